//! Words made a notification: by what the server can do, with markup escaped, an icon and hints.
//!
//! It sends nothing, and never lets markup through that a notice's author wrote.

use std::borrow::Cow;

use notify_rust::{Hint, Timeout};

use crate::notice::{About, Tone, Urgency, Wording};
use crate::notifier::desktop::icon::{self, Picture};

/// A notification, as the server is to have it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) summary: String,
    pub(super) body: String,
    pub(super) icon: &'static str,
    pub(super) hints: Vec<Hint>,
    /// Shown in place of the icon.
    pub(super) picture: Option<Picture>,
    pub(super) timeout: Timeout,
}

/// What the notification server can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities {
    /// It reads markup in bodies.
    markup: bool,
    /// It keeps what has left the screen where the user can find it.
    persistence: bool,
    /// It shows icons.
    icons: bool,
}

impl Abilities {
    pub(super) fn of(capabilities: &[String]) -> Self {
        let has = |name: &str| capabilities.iter().any(|one| one == name);
        Self {
            markup: has("body-markup"),
            persistence: has("persistence"),
            icons: has("icon-static") || has("icon-multi"),
        }
    }
}

/// What is `said`, as a server of these `abilities` is to have it.
pub(super) fn draft(about: &About, said: &Wording, abilities: Abilities, has_theme: bool) -> Draft {
    let body = if abilities.markup {
        escaped(&said.body)
    } else {
        Cow::Borrowed(said.body.as_str())
    };
    // No desktop-entry hint: by it GNOME learns whose the notice is, and takes it away with the
    // connection.
    let mut hints = vec![
        Hint::Category(category(about, said.tone, said.progress.is_some()).to_owned()),
        Hint::Urgency(match said.urgency {
            Urgency::Low => notify_rust::Urgency::Low,
            Urgency::Normal => notify_rust::Urgency::Normal,
            Urgency::Critical => notify_rust::Urgency::Critical,
        }),
    ];
    let progress = said.progress.map(i32::from);
    hints.extend(progress.map(|percent| Hint::CustomInt("value".to_owned(), percent)));
    let is_kept = abilities.persistence && progress.is_none();
    let stays = said.urgency == Urgency::Critical || (said.stays && !is_kept);
    Draft {
        summary: said.summary.clone(),
        body: body.into_owned(),
        icon: icon::name(said.tone),
        hints,
        picture: (abilities.icons && !has_theme)
            .then(|| Picture::of(said.tone, said.progress.is_some())),
        timeout: if stays {
            Timeout::Never
        } else {
            Timeout::Default
        },
    }
}

/// The category, one of those that the notification specification lists.
fn category(about: &About, tone: Tone, goes_on: bool) -> &'static str {
    match (about, tone) {
        (About::Import(_) | About::Digest, _) if goes_on => "transfer",
        (About::Import(_) | About::Digest, Tone::Good) => "transfer.complete",
        (About::Import(_) | About::Digest, Tone::Unsure) => "transfer",
        (About::Import(_) | About::Digest, Tone::Bad) => "transfer.error",
        (About::Account(_), Tone::Good) => "network.connected",
        (About::Account(_), Tone::Unsure | Tone::Bad) => "network.error",
    }
}

/// `body` with what markup is made of escaped. It comes after every cut, so that no entity is ever
/// cut in two.
fn escaped(body: &str) -> Cow<'_, str> {
    if !body.contains(['&', '<', '>']) {
        return Cow::Borrowed(body);
    }
    let mut text = String::with_capacity(body.len() + 32);
    for c in body.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            other => text.push(other),
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Trouble;
    use crate::notice::{AccountNews, Notice, Subject, wording};

    fn refused(over: bool) -> Notice {
        Notice {
            subject: Subject::Account(AccountNews {
                account: "shop".parse().unwrap(),
                trouble: Trouble::Refused,
                over,
                cause: "<b>no</b> &amp; never".to_owned(),
            }),
        }
    }

    fn drafted(notice: &Notice, capabilities: &[&str], has_theme: bool) -> Draft {
        let capabilities: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
        let abilities = Abilities::of(&capabilities);
        draft(&notice.about(), &wording(notice), abilities, has_theme)
    }

    #[test]
    fn markup_is_escaped_in_the_body_where_the_server_reads_it() {
        let plain = drafted(&refused(false), &["body"], true);
        let marked_up = drafted(&refused(false), &["body", "body-markup"], true);
        assert!(plain.body.ends_with("\nCause: <b>no</b> &amp; never"));
        assert!(
            marked_up
                .body
                .ends_with("\nCause: &lt;b&gt;no&lt;/b&gt; &amp;amp; never")
        );
        assert_eq!(plain.summary, marked_up.summary);
    }

    #[test]
    fn what_is_critical_stays() {
        let bad = drafted(&refused(false), &["persistence"], true);
        assert_eq!((bad.timeout, bad.icon), (Timeout::Never, "dialog-error"));
        let good = drafted(&refused(true), &[], true);
        assert_eq!(good.timeout, Timeout::Default);
        assert_eq!(good.icon, "dialog-information");
    }

    #[test]
    fn what_was_waited_for_stays_where_the_server_keeps_nothing() {
        let said = Wording {
            stays: true,
            ..wording(&refused(true))
        };
        let timeout = |capabilities: &[&str], progress: Option<u8>| {
            let capabilities: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
            let said = Wording {
                progress,
                ..said.clone()
            };
            let draft = draft(&About::Digest, &said, Abilities::of(&capabilities), true);
            let value = Hint::CustomInt("value".to_owned(), 41);
            assert_eq!(draft.hints.contains(&value), progress.is_some());
            draft.timeout
        };
        assert_eq!(timeout(&[], None), Timeout::Never);
        assert_eq!(timeout(&["persistence"], None), Timeout::Default);
        // What goes on would be shown again and again if it went by itself.
        assert_eq!(timeout(&["persistence"], Some(41)), Timeout::Never);
    }

    #[test]
    fn a_picture_is_sent_where_icons_show_and_no_theme_has_them() {
        let picture = |capabilities: &[&str], has_theme| {
            let draft = drafted(&refused(true), capabilities, has_theme);
            draft.picture.is_some()
        };
        assert!(picture(&["icon-static"], false));
        assert!(!picture(&["icon-static"], true));
        assert!(!picture(&[], false));
    }
}

//! The wording of what is wrong with an account, and of its end.
//!
//! It never blames an import: trouble with an account decides nothing about its tasks.

use crate::account::Trouble;
use crate::notice::{AccountNews, Tone, Urgency, Wording, body, safe};

/// The most characters of a cause that are shown.
const CAUSE_MAX: usize = 110;

/// `news` in words.
#[must_use]
pub fn wording(news: &AccountNews) -> Wording {
    let (says, comfort, advice) = if news.over {
        good_news(news.trouble)
    } else {
        bad_news(news.trouble)
    };
    let (urgency, tone) = match (news.over, news.trouble) {
        (true, _) => (Urgency::Low, Tone::Good),
        (false, Trouble::Refused) => (Urgency::Critical, Tone::Bad),
        (false, Trouble::Unavailable | Trouble::KnowsNone) => (Urgency::Normal, Tone::Unsure),
    };
    let cause = Some(safe::start(&news.cause, CAUSE_MAX))
        .filter(|cause| !cause.is_empty() && !news.over)
        .map(|cause| format!("Cause: {cause}"));
    let advice = advice.map(str::to_owned);
    Wording {
        summary: format!("account {}: {says}", news.account),
        body: body(Some(comfort), advice.into_iter().chain(cause), ""),
        urgency,
        tone,
        progress: None,
        stays: false,
    }
}

/// What is wrong, what it means for the imports or asks of the user, and what to do.
fn bad_news(trouble: Trouble) -> (&'static str, &'static str, Option<&'static str>) {
    match trouble {
        Trouble::Refused => (
            "the key is refused",
            "Its imports are not watched until this is mended; none is lost.",
            Some("Check the key, the address and the plan in the settings."),
        ),
        Trouble::Unavailable => (
            "cannot be asked for 5 minutes",
            "Imports are not affected, and watching goes on by itself.",
            None,
        ),
        Trouble::KnowsNone => (
            "the server knows none of these ids",
            "Is this the key of the right Agent?",
            Some("A key sees only the imports of its own Agent."),
        ),
    }
}

fn good_news(trouble: Trouble) -> (&'static str, &'static str, Option<&'static str>) {
    match trouble {
        Trouble::Refused => (
            "the key is accepted again",
            "Watching goes on where it stopped.",
            None,
        ),
        Trouble::Unavailable => (
            "can be asked again",
            "Watching went on all the while; nothing was lost.",
            None,
        ),
        Trouble::KnowsNone => ("the server knows its ids now", "Watching goes on.", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(trouble: Trouble, over: bool, cause: &str, expected: (&str, &str, Urgency, Tone)) {
        let news = AccountNews {
            account: "shop".parse().unwrap(),
            trouble,
            over,
            cause: cause.to_owned(),
        };
        let (summary, body, urgency, tone) = expected;
        let expected = Wording {
            summary: summary.to_owned(),
            body: body.to_owned(),
            urgency,
            tone,
            progress: None,
            stays: false,
        };
        assert_eq!(wording(&news), expected);
    }

    #[test]
    fn trouble() {
        check(
            Trouble::Refused,
            false,
            "HTTP 401, code 40127: \u{202e}developer\u{0} authentication\nfailed",
            (
                "account shop: the key is refused",
                "Its imports are not watched until this is mended; none is lost.\n\
                 Check the key, the address and the plan in the settings.\n\
                 Cause: HTTP 401, code 40127: developer authentication failed",
                Urgency::Critical,
                Tone::Bad,
            ),
        );
        check(
            Trouble::Unavailable,
            false,
            "HTTP 502",
            (
                "account shop: cannot be asked for 5 minutes",
                "Imports are not affected, and watching goes on by itself.\nCause: HTTP 502",
                Urgency::Normal,
                Tone::Unsure,
            ),
        );
        check(
            Trouble::KnowsNone,
            false,
            "",
            (
                "account shop: the server knows none of these ids",
                "Is this the key of the right Agent?\nA key sees only the imports of its own Agent.",
                Urgency::Normal,
                Tone::Unsure,
            ),
        );
    }

    #[test]
    fn the_end_of_trouble_is_one_friendly_line() {
        for (trouble, summary, body) in [
            (
                Trouble::Refused,
                "account shop: the key is accepted again",
                "Watching goes on where it stopped.",
            ),
            (
                Trouble::Unavailable,
                "account shop: can be asked again",
                "Watching went on all the while; nothing was lost.",
            ),
            (
                Trouble::KnowsNone,
                "account shop: the server knows its ids now",
                "Watching goes on.",
            ),
        ] {
            check(
                trouble,
                true,
                "HTTP 502",
                (summary, body, Urgency::Low, Tone::Good),
            );
        }
    }
}

//! Makes what the server wrote fit to be kept and shown: short, free of the key, and without
//! characters that do something to a screen.
//!
//! It never judges what a text means.

use std::fmt::{self, Write as _};

use crate::account::ApiKey;

/// The longest text of the server that is kept with an error, in characters.
const MAX_CHARS: usize = 300;

/// How much of a page is searched for its title, in bytes.
const TITLE_WITHIN: usize = 8 * 1024;

/// How much of a text is looked at for its beginning, in bytes.
const LOOKED_AT: usize = 64 * 1024;

/// The beginning of `text`, with white space drawn together and the key blotted out.
pub(super) fn keep(text: &str, key: &ApiKey) -> String {
    let key = key.expose();
    let text = beginning(text, key);
    // A key shorter than this protects nothing, and blotting it out would leave no text.
    let text = if key.len() >= 8 {
        text.replace(key, "(the key)")
    } else {
        text.to_owned()
    };
    let mut kept = String::new();
    let mut left = MAX_CHARS;
    for word in text.split_whitespace() {
        let space = usize::from(!kept.is_empty());
        if left <= space + 1 {
            kept.push('…');
            break;
        }
        kept.extend(std::iter::repeat_n(' ', space));
        left -= space;
        // One is always left for the mark.
        if let Some((end, _)) = word.char_indices().nth(left - 1) {
            kept.push_str(&word[..end]);
            kept.push('…');
            break;
        }
        kept.push_str(word);
        left -= word.chars().count();
    }
    kept
}

/// What is looked at of `text`; where it is cut, nothing of a key that the cut goes through is left.
fn beginning<'t>(text: &'t str, key: &str) -> &'t str {
    if text.len() <= LOOKED_AT {
        return text;
    }
    let cut = &text[..text.floor_char_boundary(LOOKED_AT)];
    let parts = (1..key.len())
        .rev()
        .filter(|&end| key.is_char_boundary(end));
    let part = parts
        .map(|end| &key[..end])
        .find(|part| cut.ends_with(part));
    part.and_then(|part| cut.strip_suffix(part)).unwrap_or(cut)
}

/// What a body that is not JSON says in short: the title of a page, or the beginning of a text.
/// `None` where it says nothing.
pub(super) fn of_body(body: &[u8], key: &ApiKey) -> Option<String> {
    // More than is looked at, so that a text which is cut here is known to be.
    let body = body.trim_ascii_start();
    let text = String::from_utf8_lossy(&body[..body.len().min(2 * LOOKED_AT)]);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let gist = if text.starts_with('<') {
        title(text)?
    } else {
        text
    };
    Some(keep(gist, key)).filter(|gist| !gist.is_empty())
}

fn title(page: &str) -> Option<&str> {
    let head = &page[..page.floor_char_boundary(TITLE_WITHIN)];
    // Lower-casing ASCII alone moves no byte, so the places hold for the original.
    let lower = head.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower[open..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    Some(&head[start..end])
}

/// Shows a text from outside with everything escaped that is not plainly visible.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else if is_invisible(c) {
                write!(f, "{}", c.escape_unicode())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Characters that reorder, hide or break a line of text without being control characters.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApiKey {
        ApiKey::new("app-s3cret").unwrap()
    }

    #[test]
    fn texts_are_kept_short_and_without_the_key() {
        assert_eq!(
            keep(" no\n such  key app-s3cret! ", &key()),
            "no such key (the key)!"
        );
        assert_eq!(
            keep(&"ä".repeat(300), &key()),
            format!("{}…", "ä".repeat(299))
        );
        assert_eq!(keep(&"ä".repeat(299), &key()), "ä".repeat(299));
        for text in ["ab ".repeat(200), "a ".repeat(200), "ä".repeat(1000)] {
            let kept = keep(&text, &key());
            assert!((298..=300).contains(&kept.chars().count()), "{kept}");
            assert!(kept.ends_with('…'), "{kept}");
        }
    }

    #[test]
    fn a_cut_leaves_no_part_of_the_key() {
        let shown = key().expose().to_owned();
        for back in 0..=shown.len() {
            let text = format!("a{}{shown} b", " ".repeat(LOOKED_AT - 1 - back));
            let kept = keep(&text, &key());
            assert!(
                ["a", "a (the key)"].contains(&kept.as_str()),
                "{back}: {kept}"
            );
        }
        let blank = [b" ".repeat(4 * LOOKED_AT), b"x\xff".repeat(4 * LOOKED_AT)].concat();
        assert!(of_body(&blank, &key()).unwrap().starts_with("x\u{fffd}x"));
    }

    #[test]
    fn a_page_is_told_by_its_title() {
        let gist = |body: &[u8]| of_body(body, &key());
        assert_eq!(
            gist(b"<!doctype html><HTML><head><Title lang=en>502\nBad Gateway</TITLE>").unwrap(),
            "502 Bad Gateway"
        );
        assert_eq!(gist(b"<html><title>never closed"), None);
        assert_eq!(gist(b"<p>\xff"), None);
        assert_eq!(
            gist(b" upstream \xff gone").unwrap(),
            "upstream \u{fffd} gone"
        );
        assert_eq!(gist(b" "), None);
    }

    #[test]
    fn what_does_something_to_a_screen_is_escaped() {
        assert_eq!(
            Shown("a\u{1b}[2J\nb\u{202e}c\u{2028}\u{7f}\u{9b}ä").to_string(),
            "a\\u{1b}[2J\\nb\\u{202e}c\\u{2028}\\u{7f}\\u{9b}ä"
        );
    }
}

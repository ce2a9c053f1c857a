//! Makes text that someone else wrote safe to show on one line.
//!
//! It never escapes markup: whether a reader takes markup, only the notifier knows. It never judges
//! what the text says.

use std::error::Error;

/// The sign that something was left out.
const GAP: char = '…';

/// How far before a cut, in bytes, a space is looked for.
const WORD_MAX: usize = 12;

/// `text` as one line of visible characters.
///
/// White space of every kind, line ends included, becomes single spaces; control characters, the
/// characters that reorder text (bidirectional controls), those that take no room (zero-width,
/// fillers, variation selectors, tags) and noncharacters are taken out. The result may be empty.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(4096));
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() {
            gap = true;
        } else if !is_hidden(c) {
            if gap && !line.is_empty() {
                line.push(' ');
            }
            gap = false;
            line.push(c);
        }
    }
    line
}

/// `text` as [`one_line`] makes it, in at most `most` characters: what is too long loses its end,
/// between two words where there is a space close by.
#[must_use]
pub fn start(text: &str, most: usize) -> String {
    let line = one_line(text);
    if line.chars().count() <= most {
        return line;
    }
    let Some(kept) = most.checked_sub(1) else {
        return String::new();
    };
    let mut cut: String = line.chars().take(kept).collect();
    let space = cut.rfind(' ').filter(|space| cut.len() - space <= WORD_MAX);
    cut.truncate(space.unwrap_or(cut.len()));
    cut.push(GAP);
    cut
}

/// `text` as [`one_line`] makes it, in at most `most` characters: what is too long loses its middle,
/// since ids, names and values that resemble one another differ at their ends.
#[must_use]
pub fn ends(text: &str, most: usize) -> String {
    let line = one_line(text);
    let length = line.chars().count();
    if length <= most {
        return line;
    }
    let Some(kept) = most.checked_sub(1) else {
        return String::new();
    };
    let tail = kept / 2;
    let first = line.chars().take(kept - tail);
    let last = line.chars().skip(length - tail);
    first.chain([GAP]).chain(last).collect()
}

/// An error and what it came from, as one line: `read the answer: connection reset`.
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let mut line = one_line(&error.to_string());
    let mut next = error.source();
    while let Some(error) = next {
        let cause = one_line(&error.to_string());
        // Some errors repeat in their own text what they came from.
        if !line.ends_with(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
        next = error.source();
    }
    line
}

/// Whether `c` leaves nothing on the screen, or changes what is around it.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
            | '\u{fdd0}'..='\u{fdef}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
        // The last two code points of every plane are noncharacters.
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_hidden_characters_go() {
        for (text, line) in [
            ("", ""),
            ("plain", "plain"),
            (" a\r\n\tb \u{2028} c\u{a0}", "a b c"),
            ("nul\0 esc\u{1b}[31m bell\u{7}", "nul esc[31m bell"),
            ("\u{202e}gpj.exe\u{202c}\u{2066}x\u{2069}", "gpj.exex"),
            ("a\u{200b}\u{feff}\u{ad}b\u{fffe}\u{10ffff}", "ab"),
            ("\u{e0041}\u{fe0f}<b>&amp;", "<b>&amp;"),
            ("日本語 ñ é", "日本語 ñ é"),
        ] {
            assert_eq!(one_line(text), line);
        }
    }

    #[test]
    fn cuts_count_characters() {
        assert_eq!(start("äöüß", 4), "äöüß");
        assert_eq!(start("äöüß!", 4), "äöü…");
        assert_eq!(start("one two", 5), "one…");
        assert_eq!(start("one two", 6), "one…");
        assert_eq!(start("one 0123456789abcdef", 19), "one 0123456789abcd…");
        assert_eq!(start("abc", 0), "");
        assert_eq!(ends("äöüß", 4), "äöüß");
        assert_eq!(ends("0123456789", 6), "012…89");
        assert_eq!(ends("0123456789", 1), "…");
        assert_eq!(ends("0123456789", 0), "");
    }
}

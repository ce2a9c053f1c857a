//! One line for a terminal: its parts in colour, cut where the terminal ends.
//!
//! It never makes text safe; whoever has text from elsewhere does that first.

use std::fmt;

use anstyle::Style;

/// The sign that something was left out.
const GAP: char = '…';

/// A line under construction. What comes after a cut is left out.
#[derive(Debug)]
pub(super) struct Line {
    text: String,
    width: usize,
    limit: usize,
    cut: bool,
}

impl Line {
    /// An empty line that may have so many columns.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            text: String::new(),
            width: 0,
            limit,
            cut: false,
        }
    }

    /// Adds text, or as much of it as there is room for.
    pub(super) fn push(&mut self, text: &str) {
        self.paint(Style::new(), text);
    }

    /// Adds text in a style, or as much of it as there is room for.
    pub(super) fn paint(&mut self, style: Style, text: &str) {
        if self.cut {
            return;
        }
        let room = self.limit.saturating_sub(self.width);
        if width(text) <= room {
            self.whole(style, text);
        } else {
            let short = cut(text, room);
            self.whole(style, &short);
            self.cut = true;
        }
    }

    /// Adds text in a style, however long it is: an id is of no use without its end.
    pub(super) fn whole(&mut self, style: Style, text: &str) {
        self.width += width(text);
        self.text.extend([&style.render().to_string(), text]);
        self.text.push_str(&style.render_reset().to_string());
    }

    /// Adds spaces up to a column, at least two.
    pub(super) fn pad(&mut self, column: usize) {
        if !self.cut {
            let spaces = column.saturating_sub(self.width).max(2);
            self.width += spaces;
            self.text.push_str(&" ".repeat(spaces));
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.trim_end())
    }
}

/// How many columns a terminal gives to a text.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// `text` in at most so many columns: what is too long loses its end.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let Some(most) = most.checked_sub(1) else {
        return String::new();
    };
    let mut used = 0;
    let mut short: String = text
        .chars()
        .take_while(|&c| {
            used += columns(c);
            used <= most
        })
        .collect();
    short.push(GAP);
    short
}

/// `text` with spaces at its end up to so many columns.
pub(super) fn padded(text: &str, columns: usize) -> String {
    let spaces = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(spaces))
}

/// The columns of one character, by the blocks that terminals show wide (East Asian scripts and
/// pictures) and those that combine with what is before them.
fn columns(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstyle::AnsiColor;

    #[test]
    fn widths_are_those_of_a_terminal() {
        assert_eq!(width("products"), 8);
        assert_eq!(width("产品"), 4);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(padded("产品", 6), "产品  ");
    }

    #[test]
    fn a_cut_fits_and_shows() {
        for (most, expected) in [
            (0, ""),
            (1, "…"),
            (2, "…"),
            (3, "产…"),
            (4, "产…"),
            (5, "产品…"),
        ] {
            let short = cut("产品目录", most);
            assert_eq!(short, expected);
            assert!(width(&short) <= most);
        }
        assert_eq!(cut("产品目录", 8), "产品目录");
    }

    #[test]
    fn nothing_follows_a_cut_and_colours_take_no_room() {
        let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
        let mut line = Line::new(10);
        line.paint(red, "failed");
        line.pad(8);
        line.push("abc");
        line.push("d");
        line.pad(20);
        line.push("e");
        assert_eq!(line.to_string(), "\u{1b}[31mfailed\u{1b}[0m  a…");
        let mut line = Line::new(4);
        line.whole(Style::new(), "0123456789");
        assert_eq!(line.to_string(), "0123456789");
    }
}

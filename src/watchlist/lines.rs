//! The lines of a text, each with a limit, and how far they have been read.
//!
//! However long a line is, no more of it is kept than the limit.

use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, BufRead, Read as _};

/// The longest line that is read as one; the rest of a longer one is passed over.
pub(super) const LONGEST: u64 = 64 * 1024;

/// What comes next.
#[derive(Debug)]
pub(super) enum Line {
    /// A line without its end.
    Text {
        text: Vec<u8>,
        /// Whether its end was there: the last line of a file that is being written has none yet.
        is_whole: bool,
    },
    /// One that is longer than [`LONGEST`].
    TooLong { is_whole: bool },
    /// No more.
    End,
}

/// A place between two lines of a text, and what stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// In bytes from the start.
    pub(super) offset: u64,
    /// How many lines are before it.
    pub(super) line: usize,
    /// A digest of all that is before it.
    digest: u64,
}

/// The lines of a text.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    offset: u64,
    line: usize,
    digest: DefaultHasher,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            offset: 0,
            line: 0,
            digest: DefaultHasher::new(),
        }
    }

    /// How far it has been read.
    pub(super) fn position(&self) -> Position {
        Position {
            offset: self.offset,
            line: self.line,
            digest: self.digest.finish(),
        }
    }

    /// The number of the line that was read last, from 1.
    pub(super) fn number(&self) -> usize {
        self.line
    }

    pub(super) fn next(&mut self) -> io::Result<Line> {
        let mut text = Vec::new();
        let read = (&mut self.input)
            .take(LONGEST + 1)
            .read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(Line::End);
        }
        self.line += 1;
        self.offset += read as u64;
        self.digest.write(&text);
        let is_whole = text.last() == Some(&b'\n');
        if !is_whole && read as u64 > LONGEST {
            let is_whole = self.skip_line()?;
            return Ok(Line::TooLong { is_whole });
        }
        while text.last().is_some_and(u8::is_ascii_whitespace) {
            text.pop();
        }
        Ok(Line::Text { text, is_whole })
    }

    /// Reads up to `position`. Returns whether what stands before it is what stood there when the
    /// position was taken.
    pub(super) fn skip_to(&mut self, position: Position) -> io::Result<bool> {
        while self.offset < position.offset {
            if matches!(self.next()?, Line::End) {
                return Ok(false);
            }
        }
        Ok(self.position() == position)
    }

    /// Passes over the rest of a line. Returns whether it has an end.
    fn skip_line(&mut self) -> io::Result<bool> {
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(false);
            }
            let (used, ended) = match buffer.iter().position(|&byte| byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (buffer.len(), false),
            };
            self.digest.write(&buffer[..used]);
            self.offset += used as u64;
            self.input.consume(used);
            if ended {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn after(text: &[u8], lines: usize) -> Position {
        let mut read = Lines::new(text);
        for _ in 0..lines {
            assert!(!matches!(read.next().unwrap(), Line::End));
        }
        read.position()
    }

    #[test]
    fn a_position_is_found_again_in_what_has_only_grown() {
        let long = "x".repeat(200_000);
        let text = format!("one\r\n{long}\n\nfour");
        let position = after(text.as_bytes(), 3);
        assert_eq!((position.offset, position.line), (200_007, 3));
        let grown = format!("{text} and more\n");
        // The digest does not depend on how the text comes in.
        for capacity in [1, 7, 1 << 20] {
            let found = |text: &str| {
                let mut lines = Lines::new(BufReader::with_capacity(capacity, text.as_bytes()));
                lines.skip_to(position).unwrap()
            };
            assert!(found(&text) && found(&grown), "{capacity}");
            for other in [
                text.replacen("one", "two", 1),
                text.replace("\r\n", " \n"),
                text.replacen('x', "y", 1),
                "one".to_owned(),
                String::new(),
                text.replace("\n\n", "\nx"),
            ] {
                assert!(!found(&other));
            }
        }
    }
}

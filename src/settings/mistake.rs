//! Mistakes in the settings, each with its place, collected so that one run tells of all of them.
//!
//! A mistake never holds a key; who makes one sees to it that it holds no other secret either.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// Mistakes in the settings, those in the file first and in its order; never empty in an error.
///
/// At most 20 are kept, since no one reads more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    const MOST: usize = 20;

    pub(super) fn push(&mut self, mistake: Mistake) {
        if !self.is_full() {
            let after = self.0.partition_point(|other| other.place <= mistake.place);
            self.0.insert(after, mistake);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= Self::MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one was found at this very key, so that nothing more can be said of its value.
    pub(super) fn has(&self, key: &[&str]) -> bool {
        self.0.iter().any(|mistake| mistake.key == key)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        if self.is_full() {
            write!(f, "\nthere may be more mistakes after these")?;
        }
        Ok(())
    }
}

/// One mistake: where, what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The key, in segments; empty where the text could not be read that far.
    pub(super) key: Vec<String>,
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) excerpt: Option<Excerpt>,
    pub(super) help: Option<String>,
}

impl Mistake {
    /// A mistake about `key` without excerpt and help.
    pub(super) fn new<S: AsRef<str>>(key: &[S], place: Place, message: String) -> Self {
        Self {
            key: key.iter().map(|s| s.as_ref().to_owned()).collect(),
            place,
            message,
            excerpt: None,
            help: None,
        }
    }
}

/// Where a setting stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// In a file; line and column count from 1, columns in characters.
    File {
        path: PathBuf,
        line: usize,
        column: usize,
    },
    /// In an environment variable of this name.
    Variable(String),
    /// Nowhere: it is a default.
    Default,
}

/// What the file says at the place of a mistake: one line of it, or the harmless part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) line: usize,
    pub(super) text: String,
    /// What to mark, in characters of the text.
    pub(super) marked: Range<usize>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, message, .. } = self;
        match place {
            Place::File { path, line, column } => {
                write!(f, "{}:{line}:{column}: {message}", path.display())?;
            }
            Place::Variable(name) => write!(f, "environment variable {name}: {message}")?,
            Place::Default => f.write_str(message)?,
        }
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let before = " ".repeat(self.marked.start);
        let carets = "^".repeat(self.marked.len().max(1));
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", self.text)?;
        write!(f, "{margin} | {before}{carets}")
    }
}

/// A key for a message: its segments joined with points, those that need it in quotes.
pub(super) fn dotted<S: AsRef<str>>(key: &[S]) -> String {
    let segments: Vec<String> = key.iter().map(|s| segment(s.as_ref())).collect();
    segments.join(".")
}

fn segment(text: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (1..=40).contains(&text.len()) && text.bytes().all(is_bare) {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

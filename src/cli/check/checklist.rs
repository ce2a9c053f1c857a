//! The lines of the checklist, and what they come to.

use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use textwrap::{Options, WordSeparator, WordSplitter};

use crate::cli::exit::Exit;
use crate::cli::{output, told};
use crate::notice::safe;

/// The least room for a text, however narrow the terminal is.
const LEAST: usize = 20;

/// What was checked, in order.
#[derive(Debug, Default)]
pub(super) struct Checklist {
    lines: Vec<Line>,
    /// The worst of what is not in order.
    exit: Option<Exit>,
}

#[derive(Debug)]
struct Line {
    mark: Mark,
    what: String,
    found: String,
    /// What belongs to it, below it.
    details: Vec<String>,
    /// What to do about it; empty where nothing is to be done.
    cure: String,
}

#[derive(Debug, Clone, Copy)]
enum Mark {
    Good,
    Note,
    Bad,
}

impl Checklist {
    /// In order.
    pub(super) fn good(&mut self, what: &str, found: &str) {
        self.line(Mark::Good, what, found, "");
    }

    /// Worth knowing, and perhaps as it should be.
    pub(super) fn note(&mut self, what: &str, found: &str, cure: &str) {
        self.line(Mark::Note, what, found, cure);
    }

    /// Not in order.
    pub(super) fn bad(&mut self, what: &str, found: &str, cure: &str, exit: Exit) {
        self.bad_with(what, found, &[], cure, exit);
    }

    /// The same, with details.
    pub(super) fn bad_with(
        &mut self,
        what: &str,
        found: &str,
        details: &[String],
        cure: &str,
        exit: Exit,
    ) {
        self.line(Mark::Bad, what, found, cure);
        if let Some(line) = self.lines.last_mut() {
            line.details = details.iter().map(|text| safe::one_line(text)).collect();
        }
        self.exit = Some(self.exit.map_or(exit, |worst| worst.or(exit)));
    }

    /// An error, which says itself what to do.
    pub(super) fn error(&mut self, what: &str, error: &anyhow::Error, exit: Exit) {
        // What it came from, and where it tells of several ways, has lines of its own.
        let said = told(error);
        let mut lines = said.lines();
        let first = lines.next().unwrap_or_default();
        let details: Vec<String> = lines.map(|line| line.trim().to_owned()).collect();
        self.bad_with(what, first, &details, "", exit);
    }

    /// An error that may pass, and holds nothing up.
    pub(super) fn later(&mut self, what: &str, error: &anyhow::Error) {
        let text = format!("failed to {}", safe::causes(error.as_ref()));
        self.note(what, &text, "notices wait until it is there");
    }

    fn line(&mut self, mark: Mark, what: &str, found: &str, cure: &str) {
        self.lines.push(Line {
            mark,
            what: what.to_owned(),
            found: safe::one_line(found),
            details: Vec::new(),
            cure: cure.to_owned(),
        });
    }

    /// How the command ends.
    pub(super) fn exit(&self) -> Exit {
        self.exit.unwrap_or(Exit::Done)
    }

    /// Prints the list; with `quiet` what is not in order alone.
    pub(super) fn print(&self, quiet: bool) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        let width = self
            .lines
            .iter()
            .map(|line| line.what.chars().count())
            .max();
        let width = width.unwrap_or(0);
        let columns = output::terminal_width();
        for line in &self.lines {
            let (style, sign) = match line.mark {
                Mark::Good | Mark::Note if quiet => continue,
                Mark::Good => (AnsiColor::Green.on_default(), "✔"),
                Mark::Note => (AnsiColor::Yellow.on_default(), "•"),
                Mark::Bad => (AnsiColor::Red.on_default(), "✘"),
            };
            let wrap = |text: &str, deeper: usize| wrapped(text, columns, width + 4 + deeper);
            let what = &line.what;
            writeln!(
                out,
                "{style}{sign}{style:#} {what:<width$}  {}",
                wrap(&line.found, 0)
            )?;
            for detail in &line.details {
                writeln!(out, "  {:<width$}    {}", "", wrap(detail, 4))?;
            }
            if !line.cure.is_empty() {
                let faint = Style::new().dimmed();
                let cure = wrap(&line.cure, 2);
                writeln!(out, "  {:<width$}  {faint}→ {cure}{faint:#}", "")?;
            }
        }
        Ok(())
    }
}

/// `text` in lines of at most `columns`, where they are known, of which all but the first begin at
/// `indent`. A word that is too long stays whole, so that a path can be copied.
fn wrapped(text: &str, columns: Option<usize>, indent: usize) -> String {
    let Some(columns) = columns else {
        return text.to_owned();
    };
    let options = Options::new(columns.saturating_sub(indent).max(LEAST))
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    let below = format!("\n{:indent$}", "");
    textwrap::wrap(text, options).join(&below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_the_terminal_goes_on_below_itself() {
        let text = "run: chmod o-w /home/u/.local/state/importwatch/state.db, and --until-settled";
        assert_eq!(
            wrapped(text, Some(40), 10),
            "run: chmod o-w\n          /home/u/.local/state/importwatch/state.db,\n          \
             and --until-settled"
        );
        assert_eq!(wrapped(text, None, 10), text);
        assert!(wrapped(text, Some(5), 10).lines().count() < 6);
    }
}

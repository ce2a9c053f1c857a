//! What `wait` shows: on a terminal a line for each import that is drawn anew as it gets on, with
//! what failed above; elsewhere plain lines; or one JSON object for each task.
//!
//! It never shows what the server said unless it was made safe.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::line::{self, Line};
use crate::cli::times::Now;
use crate::cli::wait::ledger::{Ledger, Part};
use crate::cli::words::{self, FAINT, STRONG};
use crate::cli::{Context, find, json, output};
use crate::clock::{self, Instant};
use crate::notice::amount::{counted, number};
use crate::outcome::Outcome;
use crate::store::outlook::End;
use crate::watch::{Standing, Watch};

/// So many tasks that did not go in whole are shown to a person one by one.
const MOST_SHOWN: u64 = 100;
/// So many imports have a line of their own.
pub(super) const MOST_LINES: usize = 10;
/// Where no bar is drawn, how far it is, is said so often.
const NOTE_INTERVAL: Duration = Duration::from_secs(30);
/// The columns that an import's name gets at most.
const NAME: usize = 24;

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Not at all.
    Quiet,
    /// One JSON object a line.
    Json,
    /// Lines for a log, or for a terminal that cannot move its cursor.
    Plain,
    /// Lines that are drawn anew.
    Screen,
}

/// What is shown, and what has been.
#[derive(Debug)]
pub(super) struct View {
    mode: Mode,
    colours: bool,
    /// The lines that are drawn anew, as they are on the screen now.
    drawn: Vec<String>,
    shown: u64,
    noted_at: Instant,
    noted: Standing,
}

/// The last line of `--json`. Fields may be added, never changed.
#[derive(Debug, Serialize)]
struct Whole<'a> {
    import: Option<&'a str>,
    tasks: u64,
    available: u64,
    partial: u64,
    failed: u64,
    expired: u64,
    missing: u64,
    refused: u64,
    pending: u64,
    rows_failed: Option<u64>,
    exit: u8,
}

impl View {
    pub(super) fn new(context: &Context, json: bool) -> Self {
        let stdout = io::stdout();
        let term = context.environment.get("TERM");
        let can_move = term.is_some_and(|term| !term.is_empty() && term != "dumb");
        let mode = match (json, context.flags.quiet) {
            (true, _) => Mode::Json,
            (false, true) => Mode::Quiet,
            // Lines of the log between those that are drawn anew would tear them apart.
            _ if stdout.is_terminal() && can_move && context.flags.verbose == 0 => Mode::Screen,
            _ => Mode::Plain,
        };
        Self {
            mode,
            colours: AutoStream::choice(&stdout) != ColorChoice::Never,
            drawn: Vec::new(),
            shown: 0,
            noted_at: clock::now(),
            noted: Standing::default(),
        }
    }

    /// A task that has settled.
    pub(super) fn settled(&mut self, watch: &Watch) -> io::Result<()> {
        match self.mode {
            Mode::Quiet => Ok(()),
            Mode::Json => {
                let line = json::line(&json::Task::of(watch, None))?;
                self.write(&line)
            }
            Mode::Plain | Mode::Screen => self.failed(watch),
        }
    }

    fn failed(&mut self, watch: &Watch) -> io::Result<()> {
        let outcome = words::outcome(watch);
        if outcome == Some(Outcome::Available) {
            return Ok(());
        }
        self.shown += 1;
        if self.shown > MOST_SHOWN {
            if self.shown > MOST_SHOWN + 1 {
                return Ok(());
            }
            return self.above("more tasks did not go in whole; they are counted, not listed");
        }
        let now = Now {
            at: clock::wall(),
            zone: TimeZone::system(),
        };
        let mut text = self.line();
        text.paint(
            words::style(outcome),
            &line::padded(words::state(outcome), 8),
        );
        text.push(" ");
        text.whole(STRONG, &find::word(&watch.id.to_string()));
        text.push("  ");
        text.push(&words::about(watch, &now));
        self.above(&text.to_string())
    }

    /// Whether it shows how far all is.
    pub(super) fn tells_how_far(&self) -> bool {
        matches!(self.mode, Mode::Plain | Mode::Screen)
    }

    /// Something a person should know, on standard error.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        if self.mode == Mode::Quiet {
            return Ok(());
        }
        self.complain(text)
    }

    /// Something that went wrong, on standard error.
    pub(super) fn complain(&mut self, text: &str) -> io::Result<()> {
        self.erase()?;
        output::say(&format!("importwatch: {text}"));
        Ok(())
    }

    /// How far it is.
    pub(super) fn draw(&mut self, ledger: &Ledger, now: Instant) -> io::Result<()> {
        match self.mode {
            Mode::Quiet | Mode::Json => Ok(()),
            Mode::Plain => self.note(ledger, now),
            Mode::Screen => {
                let lines = self.lines(ledger, now);
                if lines.is_empty() || lines == self.drawn {
                    return Ok(());
                }
                self.erase()?;
                self.write(&format!("{}\n", lines.join("\n")))?;
                self.drawn = lines;
                Ok(())
            }
        }
    }

    fn note(&mut self, ledger: &Ledger, now: Instant) -> io::Result<()> {
        let standing = *ledger.standing();
        if now.since(self.noted_at) < NOTE_INTERVAL || standing == self.noted {
            return Ok(());
        }
        self.noted_at = now;
        self.noted = standing;
        for part in ledger.parts().take(MOST_LINES) {
            let mut text = format!("{}: {}", part.import.name, progress(&part.standing));
            if let Some(left) = part.end.and_then(|end| left(end, clock::wall())) {
                text.push_str(", ");
                text.push_str(&left);
            }
            self.above(&text)?;
        }
        Ok(())
    }

    fn lines(&self, ledger: &Ledger, now: Instant) -> Vec<String> {
        let names = ledger.parts().map(|part| line::width(&part.import.name));
        let column = names.max().unwrap_or_default().min(NAME);
        let mut lines: Vec<_> = ledger
            .parts()
            .take(MOST_LINES)
            .map(|part| self.bar(part, column, now))
            .collect();
        if let more @ 1.. = ledger.parts().len().saturating_sub(MOST_LINES) {
            lines.push(format!("and {}", counted(more as u64, "more import")));
        }
        lines
    }

    fn bar(&self, part: &Part, column: usize, now: Instant) -> String {
        let standing = &part.standing;
        let mut text = self.line();
        let name = line::cut(&part.import.name, NAME);
        text.paint(STRONG, &line::padded(&name, column));
        text.push("  ");
        text.push(&words::bar(standing));
        let (settled, tasks) = (number(standing.settled.total()), number(standing.tasks()));
        text.push(&format!("  {settled} of {tasks}"));
        for (outcome, count) in words::counts(standing) {
            if !matches!(outcome, None | Some(Outcome::Available)) {
                text.push(", ");
                let count = format!("{} {}", number(count), words::state(outcome));
                text.paint(words::style(outcome), &count);
            }
        }
        if standing.pending > 0 {
            if let Some(rate) = part.pace.a_minute(now) {
                text.paint(FAINT, &format!(", {rate:.0} a min"));
            }
            if let Some(left) = part.end.and_then(|end| left(end, clock::wall())) {
                text.push(", ");
                text.push(&left);
            }
        }
        text.to_string()
    }

    /// What came of it.
    pub(super) fn end(&mut self, ledger: &Ledger, exit: Exit) -> io::Result<()> {
        match self.mode {
            Mode::Quiet => Ok(()),
            Mode::Json => {
                let line = json::line(&whole(ledger, exit))?;
                self.write(&line)
            }
            Mode::Plain | Mode::Screen => {
                self.erase()?;
                for part in ledger.parts().take(MOST_LINES) {
                    let line = Self::result(part);
                    self.above(&line)?;
                }
                if let more @ 1.. = ledger.parts().len().saturating_sub(MOST_LINES) {
                    let more = counted(more as u64, "more import");
                    self.above(&format!(
                        "and {more}; importwatch list --imports shows them"
                    ))?;
                }
                if ledger.removed() > 0 {
                    let removed = counted(ledger.removed(), "task");
                    self.above(&format!("{removed} removed from the watch list meanwhile"))?;
                }
                Ok(())
            }
        }
    }

    /// An import and what became of its tasks, in one line.
    fn result(part: &Part) -> String {
        let standing = &part.standing;
        let mut text = Line::new(usize::MAX);
        text.paint(STRONG, &part.import.name);
        let counts = words::counts(standing);
        for (n, (outcome, count)) in counts.into_iter().enumerate() {
            text.push(if n == 0 { ": " } else { ", " });
            let count = format!("{} {}", number(count), words::state(outcome));
            text.paint(words::style(outcome), &count);
        }
        let settled = &standing.settled;
        if settled.available + settled.partial + settled.failed > 0 {
            let rows = words::in_the_table(standing.rows_in, standing.rows_failed);
            text.push(&format!("; rows: {rows}"));
        }
        text.to_string()
    }

    fn line(&self) -> Line {
        Line::new(match self.mode {
            Mode::Screen => output::terminal_width().unwrap_or(usize::MAX),
            _ => usize::MAX,
        })
    }

    /// Writes a line above those that are drawn anew; they come back with the next drawing.
    fn above(&mut self, text: &str) -> io::Result<()> {
        self.erase()?;
        self.write(&format!("{text}\n"))
    }

    fn erase(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.drawn).len() {
            0 => Ok(()),
            lines => self.control(&format!("\u{1b}[{lines}A\r\u{1b}[J")),
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.colours {
            self.control(text)
        } else {
            self.control(&strip_str(text).to_string())
        }
    }

    /// Writes text as it is. Where nobody reads it any more, waiting goes on for the sake of the exit
    /// code.
    fn control(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.mode = Mode::Quiet;
                Ok(())
            }
            other => other,
        }
    }
}

/// `412 of 1,000 tasks settled, 3 failed`.
fn progress(standing: &Standing) -> String {
    let settled = number(standing.settled.total());
    let mut text = format!("{settled} of {} settled", counted(standing.tasks(), "task"));
    for (outcome, count) in words::counts(standing) {
        if !matches!(outcome, None | Some(Outcome::Available)) {
            // Writing to a String does not fail.
            _ = write!(text, ", {} {}", number(count), words::state(outcome));
        }
    }
    text
}

/// `2 to 9 min left`, in the unit of the later one; `None` where that is past.
fn left(end: End, now: Timestamp) -> Option<String> {
    let seconds = |at: Timestamp| at.duration_since(now).as_secs_f64().max(0.0);
    let (from, to) = (seconds(end.from), seconds(end.to));
    let (unit, name) = match to {
        _ if to <= 0.0 => return None,
        _ if to < 120.0 => (1.0, "s"),
        _ if to < 2.0 * 3600.0 => (60.0, "min"),
        _ if to < 48.0 * 3600.0 => (3600.0, "h"),
        _ => (24.0 * 3600.0, "d"),
    };
    let (from, to) = ((from / unit).floor(), (to / unit).ceil());
    Some(if from > 0.0 {
        format!("{from:.0} to {to:.0} {name} left")
    } else {
        format!("at most {to:.0} {name} left")
    })
}

fn whole(ledger: &Ledger, exit: Exit) -> Whole<'_> {
    let standing = ledger.standing();
    let settled = &standing.settled;
    let mut parts = ledger.parts();
    let import = match (parts.next(), parts.next()) {
        (Some(only), None) => Some(only.import.name.as_str()),
        _ => None,
    };
    Whole {
        import,
        tasks: standing.tasks(),
        available: settled.available,
        partial: settled.partial,
        failed: settled.failed,
        expired: settled.expired,
        missing: settled.missing,
        refused: settled.refused,
        pending: standing.pending,
        rows_failed: standing.rows_failed,
        exit: exit.code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_a_range_and_never_past() {
        let at = |seconds: i64| Timestamp::from_second(1_763_802_000 + seconds).unwrap();
        let told = |from, to| {
            let end = End {
                from: at(from),
                to: at(to),
            };
            left(end, at(0))
        };
        for (from, to, expected) in [
            (20, 95, Some("20 to 95 s left")),
            (130, 490, Some("2 to 9 min left")),
            (-5, 490, Some("at most 9 min left")),
            (10, 490, Some("at most 9 min left")),
            (7_300, 40_000, Some("2 to 12 h left")),
            (90_000, 400_000, Some("1 to 5 d left")),
            (-20, 0, None),
            (-20, -10, None),
        ] {
            assert_eq!(told(from, to).as_deref(), expected, "{from} to {to}");
        }
    }
}

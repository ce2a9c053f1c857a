//! What the demo shows: a line for each thing that happens, and at the end what came of it.

use std::collections::HashSet;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;

use crate::cli::line::{self, Line};
use crate::cli::output;
use crate::cli::times::Now;
use crate::cli::words::{self, FAINT, STRONG};
use crate::clock::{self, Instant};
use crate::notice::amount::{counted, number, span};
use crate::notice::safe;
use crate::outcome::Outcome;
use crate::simulator::request::Request;
use crate::store::Store;
use crate::store::changes::Seq;
use crate::store::watches::{Filter, Which};
use crate::task::TaskId;
use crate::watch::{State, Watch};

/// The characters of the bar.
const BAR: usize = 30;

const PLAIN: Style = Style::new();

/// What to type next, and what it does.
const NEXT: [(&str, &str); 5] = [
    ("export IMPORTWATCH_API_KEY=…", "the key of your Agent"),
    (
        "importwatch check --online",
        "one request: is all in order?",
    ),
    (
        "importwatch add --import products ID…",
        "the ids that your import gave you",
    ),
    (
        "importwatch daemon --until-settled",
        "watches until all is known",
    ),
    ("importwatch list --import products", "what became of it"),
];

/// What is shown, and what has been.
#[derive(Debug)]
pub(super) struct View {
    quiet: bool,
    start: Instant,
    shown: HashSet<TaskId>,
    /// The bar, if it is the last line, which the next one takes the place of.
    bar: Option<String>,
}

impl View {
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            quiet,
            start: clock::now(),
            shown: HashSet::new(),
            bar: None,
        }
    }

    /// What this is; `desktop` shows the notices, or tells why nobody does.
    pub(super) fn begin(
        &mut self,
        base_url: &str,
        desktop: &Result<String, String>,
    ) -> io::Result<()> {
        self.print(
            STRONG,
            "importwatch demo: the real program against a simulated server, for about ten seconds",
        )?;
        self.print(
            FAINT,
            &format!("no key, no network: the server is {base_url} in this process"),
        )?;
        let notices = match desktop {
            Ok(server) => format!("notices: real ones, on this desktop ({server})"),
            Err(reason) => format!("notices: none on a desktop ({reason})"),
        };
        self.print(FAINT, &safe::one_line(&notices))?;
        self.print(PLAIN, "")
    }

    pub(super) fn added(&mut self, import: &str, tasks: usize) -> io::Result<()> {
        let tasks = counted(tasks as u64, "task");
        self.event(
            PLAIN,
            "+",
            &format!("import {import}: {tasks} added to the watch list"),
        )
    }

    pub(super) fn trouble(&mut self, what: &str) -> io::Result<()> {
        self.event(AnsiColor::Yellow.on_default(), "!", what)
    }

    /// Shows what has settled since the last time, and how far it is.
    pub(super) fn settled(&mut self, store: &Store) -> anyhow::Result<()> {
        let filter = Filter {
            import: None,
            which: Which::All,
        };
        let mut pending = 0;
        for (_, watch) in store.watches(filter, Seq::START, 1000)? {
            match &watch.state {
                State::Pending(_) => pending += 1,
                State::Settled { .. } if self.shown.contains(&watch.id) => {}
                State::Settled { .. } => {
                    self.outcome(&watch)?;
                    self.shown.insert(watch.id);
                }
            }
        }
        self.progress(self.shown.len(), pending)?;
        Ok(())
    }

    fn outcome(&mut self, watch: &Watch) -> io::Result<()> {
        let outcome = words::outcome(watch);
        let now = Now {
            at: clock::wall(),
            zone: TimeZone::UTC,
        };
        let text = format!(
            "{} {} {}  {}",
            line::padded(&watch.import.name, 9),
            line::padded(words::state(outcome), 9),
            line::padded(&safe::ends(&watch.id.to_string(), 13), 13),
            words::about(watch, &now),
        );
        self.event(words::style(outcome), sign(outcome), &text)
    }

    /// The last line of a terminal: a bar of what is done.
    fn progress(&mut self, done: usize, pending: usize) -> io::Result<()> {
        if self.quiet || !io::stdout().is_terminal() || pending == 0 {
            return Ok(());
        }
        let full = BAR * done / (done + pending).max(1);
        let (full, empty) = ("█".repeat(full), "░".repeat(BAR - full));
        let bar = format!("{full}{empty} {done} of {} settled", done + pending);
        if self.bar.as_ref() == Some(&bar) {
            return Ok(());
        }
        let mut out = anstream::stdout().lock();
        let clear = if self.bar.is_some() { "\r\x1b[K" } else { "" };
        write!(out, "{clear}{bar}")?;
        self.bar = Some(bar);
        out.flush()
    }

    pub(super) fn stopped(&mut self) -> io::Result<()> {
        self.print(PLAIN, "")?;
        self.print(PLAIN, "stopped; nothing is left behind")
    }

    pub(super) fn table(&mut self) -> io::Result<()> {
        self.print(PLAIN, "")?;
        self.print(STRONG, "What came of it, as `importwatch list` shows it:")?;
        self.print(PLAIN, "")
    }

    /// Not everything has settled in `time`.
    pub(super) fn too_slow(&mut self, time: Duration) -> io::Result<()> {
        let text = format!(
            "{} are over, so it ends here: this machine is too busy for the whole of it",
            span(time)
        );
        self.event(AnsiColor::Yellow.on_default(), "!", &text)
    }

    /// So many outcomes the desktop was not told of.
    pub(super) fn untold(&mut self, outcomes: u64) -> io::Result<()> {
        if outcomes == 0 {
            return Ok(());
        }
        let text = format!(
            "the desktop did not take the notices of {}; a daemon would go on trying",
            counted(outcomes, "task")
        );
        self.event(AnsiColor::Yellow.on_default(), "!", &text)
    }

    /// What it cost.
    pub(super) fn cost(&mut self, store: &Store, requests: &[Request]) -> anyhow::Result<()> {
        let asked: usize = requests.iter().map(|request| request.ids.len()).sum();
        let tasks = store.standing_of_all()?.tasks();
        self.print(PLAIN, "")?;
        self.print(
            PLAIN,
            &format!(
                "It took {} to ask {} times about {}.",
                counted(requests.len() as u64, "request"),
                number(asked as u64),
                counted(tasks, "task"),
            ),
        )?;
        Ok(())
    }

    /// What to do next; first of all that the shell finds the program in `folder`, where it does not.
    pub(super) fn next(&mut self, folder: Option<&Path>) -> io::Result<()> {
        self.print(PLAIN, "")?;
        self.print(STRONG, "Next, with a key of your own:")?;
        if let Some(folder) = folder {
            // A command must stand there whole, however narrow the terminal is.
            self.whole(&format!("  export PATH=\"$PATH:{}\"", folder.display()))?;
        }
        for (command, what) in NEXT {
            let command = line::padded(command, 39);
            self.print(PLAIN, &format!("  {command}  {what}"))?;
        }
        Ok(())
    }

    fn event(&mut self, style: Style, sign: &str, text: &str) -> io::Result<()> {
        let seconds = clock::now().since(self.start).as_secs_f64();
        self.print(style, &format!("{seconds:5.1} s  {sign} {text}"))
    }

    fn print(&mut self, style: Style, line: &str) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let mut out = anstream::stdout().lock();
        if self.bar.take().is_some() {
            write!(out, "\r\x1b[K")?;
        }
        let limit = output::terminal_width().unwrap_or(usize::MAX);
        let mut fitting = Line::new(limit);
        fitting.paint(style, line);
        writeln!(out, "{fitting}")
    }

    /// Prints a line that is not cut.
    fn whole(&mut self, line: &str) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        writeln!(anstream::stdout(), "{line}")
    }
}

fn sign(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        None => "…",
        Some(Outcome::Available) => "✔",
        Some(Outcome::Partial) => "◐",
        Some(Outcome::Failed | Outcome::Refused) => "✘",
        Some(Outcome::Expired | Outcome::Missing) => "?",
    }
}

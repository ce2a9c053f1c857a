//! What the demo shows: a line for each thing that happens, and at the end what came of it.

use std::collections::HashSet;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::clock::{self, Instant};
use crate::notice::amount::{counted, number};
use crate::notice::{TaskNews, cause, safe};
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
const FAINT: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// What is shown, and what has been.
#[derive(Debug)]
pub(super) struct View {
    quiet: bool,
    start: Instant,
    shown: HashSet<TaskId>,
    /// Whether the last line is the bar, which the next one takes the place of.
    bar: bool,
}

impl View {
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            quiet,
            start: clock::now(),
            shown: HashSet::new(),
            bar: false,
        }
    }

    pub(super) fn begin(&mut self, base_url: &str) -> io::Result<()> {
        self.print(
            STRONG,
            "importwatch demo: the real program against a simulated server, about 12 seconds",
        )?;
        self.print(
            FAINT,
            &format!("no key, no network: the server is {base_url} in this process"),
        )?;
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
        let State::Settled { settlement, .. } = &watch.state else {
            return Ok(());
        };
        let outcome = settlement.outcome;
        let (style, sign) = look(outcome);
        let about = match outcome {
            Outcome::Expired => {
                "its time was up, and the server had still not parsed it".to_owned()
            }
            Outcome::Missing => "the server went on not knowing it".to_owned(),
            Outcome::Refused => "the server does not take this id".to_owned(),
            Outcome::Available | Outcome::Partial | Outcome::Failed => {
                let rows_in = settlement.rows_in().unwrap_or_default();
                let failed = settlement.failed_rows().unwrap_or_default();
                let rows = match failed {
                    0 => format!("{} in", counted(rows_in, "row")),
                    failed => format!("{} in, {} not", counted(rows_in, "row"), number(failed)),
                };
                let news = TaskNews {
                    id: watch.id.clone(),
                    settlement: settlement.clone(),
                    elapsed: Duration::ZERO,
                };
                match cause::lines(&[news], 1, true).first() {
                    None => rows,
                    Some(cause) => format!("{rows}. {cause}"),
                }
            }
        };
        let id = safe::ends(&watch.id.to_string(), 13);
        self.event(
            style,
            sign,
            &format!("{:<9} {:<9} {id:<13}  {about}", watch.import.name, outcome),
        )
    }

    /// The last line of a terminal: a bar of what is done.
    fn progress(&mut self, done: usize, pending: usize) -> io::Result<()> {
        if self.quiet || !io::stdout().is_terminal() || pending == 0 {
            return Ok(());
        }
        let full = BAR * done / (done + pending).max(1);
        let (full, empty) = ("█".repeat(full), "░".repeat(BAR - full));
        let mut out = anstream::stdout().lock();
        let clear = if self.bar { "\r\x1b[K" } else { "" };
        write!(
            out,
            "{clear}{full}{empty} {done} of {} settled",
            done + pending
        )?;
        self.bar = true;
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

    /// What it cost, and what to do next.
    pub(super) fn end(&mut self, store: &Store, requests: &[Request]) -> anyhow::Result<()> {
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
        self.print(PLAIN, "")?;
        self.print(STRONG, "Next, with a key of your own:")?;
        self.print(
            PLAIN,
            "  export IMPORTWATCH_API_KEY=…                       the key of your Agent",
        )?;
        self.print(
            PLAIN,
            "  importwatch add --import NAME ID…                  the ids that the import gave you",
        )?;
        self.print(
            PLAIN,
            "  importwatch daemon --until-settled                 watches until all is known",
        )?;
        self.print(
            PLAIN,
            "  importwatch list --import NAME                     what became of it",
        )?;
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
        if std::mem::take(&mut self.bar) {
            write!(out, "\r\x1b[K")?;
        }
        writeln!(out, "{style}{line}{style:#}")
    }
}

fn look(outcome: Outcome) -> (Style, &'static str) {
    match outcome {
        Outcome::Available => (AnsiColor::Green.on_default(), "✔"),
        Outcome::Partial => (AnsiColor::Yellow.on_default(), "◐"),
        Outcome::Failed | Outcome::Refused => (AnsiColor::Red.on_default(), "✘"),
        Outcome::Expired | Outcome::Missing => (AnsiColor::Magenta.on_default(), "?"),
    }
}

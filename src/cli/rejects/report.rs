//! What is said of the rows that were written, and of what does not add up.

use std::path::Path;

use crate::notice::amount::{counted, number};
use crate::rejects::reading::{Pinned, Reading, Votes};
use crate::rejects::resolve::{Certainty, Doubt};
use crate::task::TaskId;

/// So many doubts are told one by one.
const DOUBTS: usize = 10;

/// What was written, and what is to be told of it.
#[derive(Debug)]
pub(super) struct Report {
    votes: Votes,
    exact: u64,
    row: u64,
    block: u64,
    task: u64,
    left_out: u64,
    doubts: Vec<(TaskId, Doubt)>,
    more_doubts: u64,
    /// Tasks whose rows were looked at.
    pub(super) tasks: u64,
    /// Tasks with a value that is in the table already, in a row that could not be found.
    pub(super) unblamed: u64,
    /// Bodies that were written, in the format that has any.
    pub(super) bodies: Option<u64>,
}

impl Report {
    pub(super) fn new(votes: Votes) -> Self {
        Self {
            votes,
            exact: 0,
            row: 0,
            block: 0,
            task: 0,
            left_out: 0,
            doubts: Vec::new(),
            more_doubts: 0,
            tasks: 0,
            unblamed: 0,
            bodies: None,
        }
    }

    pub(super) fn count(&mut self, certainty: Certainty, is_written: bool) {
        let count = match certainty {
            _ if !is_written => &mut self.left_out,
            Certainty::Exact => &mut self.exact,
            Certainty::Row => &mut self.row,
            Certainty::Block => &mut self.block,
            Certainty::Task => &mut self.task,
        };
        *count += 1;
    }

    pub(super) fn doubt(&mut self, id: &TaskId, doubts: &[Doubt]) {
        for doubt in doubts {
            if self.doubts.len() < DOUBTS {
                self.doubts.push((id.clone(), doubt.clone()));
            } else {
                self.more_doubts += 1;
            }
        }
    }

    /// What to tell, a line each.
    pub(super) fn lines(&self, source: &Path, to: &str) -> Vec<String> {
        let rows = self.exact + self.row + self.block + self.task;
        let name = source
            .file_name()
            .map_or_else(|| source.to_string_lossy(), |name| name.to_string_lossy());
        let parts: Vec<_> = [
            (self.exact, "exact"),
            (self.row, "by number or value alone"),
            (self.block, "in blocks of which some rows failed"),
            (self.task, "of tasks of which nothing went in"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", number(count)))
        .collect();
        let parts = if parts.is_empty() {
            String::new()
        } else {
            format!(": {}", parts.join(", "))
        };
        let mut lines = vec![format!(
            "{} of {name}{to}, from {}{parts}",
            counted(rows, "row"),
            counted(self.tasks, "task")
        )];
        if let Some(bodies) = self.bodies {
            let form = if bodies == 1 { "body" } else { "bodies" };
            lines.push(format!(
                "{} {form}; {} left out, which must be mended first or may be in the table",
                number(bodies),
                counted(self.left_out, "row")
            ));
            if self.unblamed > 0 {
                lines.push(format!(
                    "in {} the row whose value is in the table already could not be found, so it is among them and they will fail again",
                    counted(self.unblamed, "task")
                ));
            }
        }
        lines.extend(self.reading());
        for (id, doubt) in &self.doubts {
            lines.push(format!("does not add up: task {id}: {}", told(doubt)));
        }
        if self.more_doubts > 0 {
            lines.push(format!(
                "and {} more that do not add up",
                number(self.more_doubts)
            ));
        }
        lines
    }

    fn reading(&self) -> Option<String> {
        if self.exact + self.row == 0 {
            return None;
        }
        let (reading, pinned) = self.votes.rows();
        let counts = match reading {
            Reading::Plain => "the server's row 1 is the first row after the header",
            Reading::Headed => "the server's row 1 is the header",
        };
        Some(match pinned {
            Pinned::ByValues(values) => {
                format!("{counts}, by {} that it named", counted(values, "value"))
            }
            Pinned::ByNumbers => format!("{counts}, by its numbers alone"),
            Pinned::Assumed if self.row == 0 => return None,
            Pinned::Assumed => format!(
                "it is not known whether the server's row 1 is the header: no value that it named tells; taken as if {counts}"
            ),
            Pinned::Denied => "the values that the server named stand neither where its rows point nor one row before: most likely the tasks took other rows than was told (importwatch add --rows, --chunk); no row is exact".to_owned(),
        })
    }
}

fn told(doubt: &Doubt) -> String {
    match doubt {
        Doubt::Total {
            counted: by_server,
            records,
        } => format!(
            "the server counted {}, and its part of the file has {}; see --rows and --chunk of importwatch add",
            counted(*by_server, "row"),
            number(*records)
        ),
        Doubt::Values => {
            "values that the server named do not stand in the rows that it named".to_owned()
        }
        Doubt::Outside(rows) => format!(
            "the server named {} that its part of the file does not have",
            counted(*rows, "row")
        ),
        Doubt::Missing(rows) => format!(
            "{} of it failed that the server does not name, and that are not written",
            counted(*rows, "more row")
        ),
        Doubt::Surplus(rows) => format!(
            "the server named {} more than it says have failed",
            counted(*rows, "row")
        ),
    }
}

//! The worlds that are shown, and how each is watched.

use std::time::Duration;

use crate::progress::Progress;
use crate::worlds::Kind;

/// What earlier imports have taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    None,
    Same,
    /// Their tasks took eight times as long.
    Longer,
    /// Their tasks took an eighth.
    Shorter,
}

/// A line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) tasks: usize,
    pub(crate) batch: u32,
    pub(crate) a_minute: u32,
    /// What a request is worth where the rate does not say.
    pub(crate) price: Option<Duration>,
    /// The rival asks in turn, since it could not sweep.
    pub(crate) in_turn: bool,
    pub(crate) draws: u64,
    pub(crate) progress: Progress,
    pub(crate) history: History,
}

impl Cell {
    pub(crate) fn progress_name(&self) -> &'static str {
        match self.progress {
            Progress::None => "none",
            Progress::Honest => "honest",
            Progress::Jumpy => "jumpy",
            Progress::Lying => "lying",
        }
    }

    pub(crate) fn history_name(&self) -> &'static str {
        match self.history {
            History::None => "no",
            History::Same => "yes",
            History::Longer => "eight times too long",
            History::Shorter => "eight times too short",
        }
    }

    pub(crate) fn in_order(&self) -> Option<&str> {
        matches!(self.kind, Kind::InOrder(_)).then_some(self.name.as_str())
    }
}

/// All lines, with durations `scale` times those of the names.
#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(crate) fn cells(scale: f64) -> Vec<Cell> {
    let s = |seconds: f64| seconds * scale;
    let worlds: [(&str, Kind, usize, u32, u64); 24] = [
        (
            "burst 3 s, σ 0.5, 400",
            Kind::Burst(s(3.0), 0.5),
            400,
            100,
            40,
        ),
        (
            "burst 75 s, σ 1.0, 400",
            Kind::Burst(s(75.0), 1.0),
            400,
            100,
            40,
        ),
        (
            "burst 45 s, σ 0.8, 1000",
            Kind::Burst(s(45.0), 0.8),
            1000,
            100,
            20,
        ),
        (
            "burst 45 s, σ 0.8, 10000, B 200",
            Kind::Burst(s(45.0), 0.8),
            10_000,
            200,
            2,
        ),
        (
            "burst 45 s, σ 0.8, 100",
            Kind::Burst(s(45.0), 0.8),
            100,
            100,
            100,
        ),
        ("ten, 45 s, σ 0.8", Kind::Burst(s(45.0), 0.8), 10, 100, 300),
        (
            "uploaded 0.5 s apart, 1000",
            Kind::Apart(0.5, s(45.0), 0.8),
            1000,
            100,
            20,
        ),
        (
            "in order, 0.5 s each, 400",
            Kind::InOrder(s(0.5)),
            400,
            100,
            20,
        ),
        (
            "in order, 0.5 s each, 1000",
            Kind::InOrder(s(0.5)),
            1000,
            100,
            10,
        ),
        (
            "heavy tail, 25 s, 400",
            Kind::HeavyTail(s(25.0)),
            400,
            100,
            40,
        ),
        ("an hour, 3 s", Kind::Apart(3.6, s(3.0), 0.8), 1000, 100, 4),
        (
            "an hour, 20 s",
            Kind::Apart(3.6, s(20.0), 0.8),
            1000,
            100,
            4,
        ),
        (
            "an hour, 100 s",
            Kind::Apart(3.6, s(100.0), 0.8),
            1000,
            100,
            4,
        ),
        (
            "an hour, 600 s",
            Kind::Apart(3.6, s(600.0), 0.8),
            1000,
            100,
            4,
        ),
        (
            "two kinds, 5 and 60 s, 400",
            Kind::TwoKinds(s(5.0), s(60.0)),
            400,
            100,
            40,
        ),
        (
            "two kinds, 20 and 60 s, 1000",
            Kind::TwoKinds(s(20.0), s(60.0)),
            1000,
            100,
            20,
        ),
        (
            "stall, 400",
            Kind::Stall(s(45.0), s(30.0), s(330.0)),
            400,
            100,
            20,
        ),
        (
            "stall, 1000",
            Kind::Stall(s(45.0), s(30.0), s(330.0)),
            1000,
            100,
            10,
        ),
        (
            "stall, 100",
            Kind::Stall(s(45.0), s(30.0), s(330.0)),
            100,
            100,
            60,
        ),
        (
            "single, 60 s, σ 0.8",
            Kind::Burst(s(60.0), 0.8),
            1,
            100,
            1000,
        ),
        (
            "single, 400 s, σ 0.8",
            Kind::Burst(s(400.0), 0.8),
            1,
            100,
            1000,
        ),
        (
            "30 a minute, burst 75 s, 1000",
            Kind::Burst(s(75.0), 0.8),
            1000,
            100,
            10,
        ),
        (
            "3 a minute, burst 600 s, 1000",
            Kind::Burst(s(600.0), 0.8),
            1000,
            100,
            10,
        ),
        (
            "3 a minute, in order, 1000",
            Kind::InOrder(s(1.5)),
            1000,
            100,
            10,
        ),
    ];
    let mut cells = Vec::new();
    for (name, kind, tasks, batch, draws) in worlds {
        let (a_minute, in_turn) = match name.split_once(" a minute") {
            Some(("3", _)) => (3, true),
            Some(_) => (30, true),
            None => (6_000, false),
        };
        let cell = Cell {
            name: name.to_owned(),
            kind,
            tasks,
            batch,
            a_minute,
            // Without a limit a request is worth as much as it is at 60 a minute.
            price: (a_minute == 6_000).then_some(Duration::from_secs(3)),
            in_turn,
            draws,
            progress: Progress::None,
            history: History::None,
        };
        let with = |progress, history| Cell {
            progress,
            history,
            ..cell.clone()
        };
        cells.extend([
            with(Progress::None, History::None),
            with(Progress::None, History::Same),
            with(Progress::Honest, History::None),
            with(Progress::Honest, History::Same),
        ]);
        if tasks >= 100 {
            cells.extend([
                with(Progress::Jumpy, History::None),
                with(Progress::Lying, History::None),
                with(Progress::None, History::Longer),
                with(Progress::None, History::Shorter),
            ]);
        }
    }
    cells
}

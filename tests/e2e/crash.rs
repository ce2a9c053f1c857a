//! The real program killed again and again, with the desktop and the log on: what the store promises,
//! seen from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use importwatch::notice::channel::Channel;
use importwatch::simulator::world::{Ending, Plan};
use importwatch::store::Store;
use importwatch::store::directory::StateDir;
use importwatch::store::outbox::{News, OutboxKey};
use serde_json::Value;

use crate::desktop::{Shown, eventually};
use crate::stage::Stage;

const KILLS: u32 = 20;
/// Tasks that are added before each start.
const EACH: u32 = 4;

/// The imports, of one task each, with a row in the outbox: not noted as told.
pub(crate) fn waiting(stage: &Stage, channel: Channel) -> BTreeSet<String> {
    let directory = StateDir::open(&stage.home.path(".local/state/importwatch")).unwrap();
    let store = Store::open(&directory).unwrap();
    let rows = store.waiting(channel, OutboxKey::START, 1_000).unwrap();
    let import = |news| match news {
        News::Task(watch) => watch.import.name,
        News::Account(news) => panic!("nothing is wrong with an account: {news:?}"),
    };
    rows.into_iter().map(|row| import(row.news)).collect()
}

/// What one channel told, by the imports' names.
struct Ledger {
    channel: Channel,
    told: BTreeMap<String, u32>,
    /// How often an import had been told, but not noted as told, when the daemon was killed.
    cut_short: BTreeMap<String, u32>,
    /// The one of the last kill.
    open: Option<String>,
}

impl Ledger {
    fn of(channel: Channel) -> Self {
        Self {
            channel,
            told: BTreeMap::new(),
            cut_short: BTreeMap::new(),
            open: None,
        }
    }

    /// Takes in what a daemon told in its life.
    #[track_caller]
    fn take(&mut self, stage: &Stage, told: &[String]) {
        let waiting = waiting(stage, self.channel);
        self.open = None;
        for (at, import) in told.iter().enumerate() {
            assert!(!told[..at].contains(import), "twice in one life: {told:?}");
            if waiting.contains(import) {
                // Notices are delivered one by one, so that at most one was under way.
                assert_eq!(self.open.replace(import.clone()), None, "{told:?}");
                *self.cut_short.entry(import.clone()).or_default() += 1;
            }
            *self.told.entry(import.clone()).or_default() += 1;
        }
    }

    /// Whether what the last kill cut short has been told again and noted.
    fn is_closed(&self, stage: &Stage) -> bool {
        let open = self.open.as_ref();
        open.is_none_or(|import| !waiting(stage, self.channel).contains(import))
    }

    /// Each import was told, and told again only if that had been cut short.
    #[track_caller]
    fn check(&self, imports: u32) {
        let told: Vec<String> = (0..imports).map(import).collect();
        assert_eq!(self.told.len(), told.len(), "{:?}", self.told);
        for import in told {
            let times = self.told.get(&import).copied().unwrap_or_default();
            let cut_short = self.cut_short.get(&import).copied().unwrap_or_default();
            assert_eq!(times, 1 + cut_short, "{import} by the {}", self.channel);
            assert!(times <= 2, "{import} by the {}", self.channel);
        }
    }
}

pub(crate) fn import(number: u32) -> String {
    format!("import-{number}")
}

/// How an import's one task ends: the plan, its state, and what its notice says.
pub(crate) fn end(number: u32) -> (Ending, &'static str, &'static str) {
    let partial = Ending::Partial {
        failed: 3,
        details: vec![],
    };
    let failed = Ending::Fail { details: vec![] };
    match number % 3 {
        0 => (failed, "failed", "none of 10 rows went in"),
        1 => (partial, "partial", "3 of 10 rows did not go in"),
        _ => (Ending::Available, "available", "all 10 rows went in"),
    }
}

/// The imports of notices, each of which says what became of its import.
pub(crate) fn imports_of(shown: &[Shown]) -> Vec<String> {
    let import_of = |shown: &Shown| {
        let (import, said) = shown.summary.split_once(": ").unwrap();
        let number = import.trim_start_matches("import-").parse().unwrap();
        assert_eq!(said, end(number).2, "{shown:?}");
        import.to_owned()
    };
    shown.iter().map(import_of).collect()
}

/// The imports of the log's events from this one on.
fn logged(stage: &Stage, from: usize) -> Vec<String> {
    let events = stage.events("task settled").into_iter().skip(from);
    let import_of = |event: Value| {
        let import = event["import"].as_str().unwrap();
        let number = import.trim_start_matches("import-").parse().unwrap();
        assert_eq!(event["outcome"], end(number).1, "{event}");
        import.to_owned()
    };
    events.map(import_of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_no_notice_and_repeat_only_what_they_cut_short() {
    let mut stage = Stage::set().await;
    // A life that is cut short leaves many imports to the next one, which would tell of them in one.
    stage.move_into("digest = 0\n");
    let mut random = fastrand::Rng::new();
    let mut desktop = Ledger::of(Channel::Desktop);
    let mut log = Ledger::of(Channel::Log);
    let mut events = 0;
    for life in 0..=KILLS {
        for number in (life * EACH)..((life + 1) * EACH) {
            let takes = Duration::from_millis(random.u64(0..200));
            let plan = Plan::ends(10, takes, end(number).0);
            stage.add(&import(number), [(format!("task-{number}"), plan)]);
        }
        let mut shown = Vec::new();
        if life < KILLS {
            let daemon = stage.daemon(&[]);
            // Killed at the same point again, it would tell the same a third time.
            eventually("what the last kill cut short is told and noted", || {
                desktop.is_closed(&stage) && log.is_closed(&stage)
            });
            // Every other kill comes right behind a notice, where most can go wrong.
            if life % 2 == 0 {
                shown.push(stage.desktop.next_shown());
                thread::sleep(Duration::from_micros(random.u64(0..4_000)));
            } else {
                thread::sleep(Duration::from_millis(random.u64(0..400)));
            }
            drop(daemon);
        } else {
            assert!(stage.daemon(&["--until-settled"]).wait().success());
        }
        shown.extend(stage.desktop.shown_so_far());
        desktop.take(&stage, &imports_of(&shown));
        let told = logged(&stage, events);
        events += told.len();
        log.take(&stage, &told);
    }
    let imports = (KILLS + 1) * EACH;
    let listed = stage.home.list(&["--settled"]);
    assert_eq!(listed.len(), imports as usize);
    for task in &listed {
        let id = task["id"].as_str().unwrap();
        let number = id.trim_start_matches("task-").parse().unwrap();
        assert_eq!(task["state"], end(number).1, "{id}");
    }
    for ledger in [&desktop, &log] {
        ledger.check(imports);
        assert!(waiting(&stage, ledger.channel).is_empty());
    }
}

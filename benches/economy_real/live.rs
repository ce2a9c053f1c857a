//! One life of the real daemon in a world of its own.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use importwatch::account::{AccountName, ApiKey};
use importwatch::clock::{self, Instant};
use importwatch::simulator::world::{Ending, Plan, Progress as Claim, World};
use importwatch::simulator::{Control, Simulator};
use importwatch::store::Store;
use importwatch::store::add::{Add, ImportChoice};
use importwatch::store::directory::StateDir;
use importwatch::store::doorbell;
use importwatch::task::TaskId;
use importwatch::watch::State;
use tokio::time::sleep;

use crate::play::Run;
use crate::progress::Progress;
use crate::worlds::Task;
use crate::{Cell, Outcome, PRICE};

/// The key that the simulator takes.
const KEY: &str = "app-correct-horse-battery";
/// How often it is looked whether the daemon is there, and whether all is settled.
const LOOK: Duration = Duration::from_millis(20);
const SETTLED: Duration = Duration::from_millis(500);
/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_mins(20);

/// What came of a life.
#[derive(Debug)]
pub(crate) struct Lived {
    pub(crate) run: Run,
    /// From each task's end to its outcome in the store.
    pub(crate) told: Vec<f64>,
}

/// A daemon that runs, and ends with this value.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// Lives through a world to its end.
pub(crate) async fn live(cell: &Cell, tasks: &[Task]) -> Outcome<Lived> {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut world = World::new(ApiKey::new(KEY)?);
    world.latency = cell.latency;
    let simulator = Simulator::start(world).await?;
    let control = simulator.control();
    let dir = StateDir::open(&home.path().join("state"))?;
    let mut store = Store::open(&dir)?;
    let daemon = start(home.path(), simulator.base_url().as_str())?;
    let patience = clock::now().after(PATIENCE);
    while !doorbell::ring(&dir) {
        in_time(patience, home.path())?;
        sleep(LOOK).await;
    }
    let ends = upload(cell, tasks, &control, &mut store, &dir).await?;
    while store.standing_of_all()?.pending > 0 {
        in_time(patience, home.path())?;
        sleep(SETTLED).await;
    }
    drop(daemon);
    Ok(Lived {
        run: delays(&control, &ends)?,
        told: told(&store, &ends)?,
    })
}

fn in_time(patience: Instant, home: &Path) -> Outcome<()> {
    if clock::now() < patience {
        return Ok(());
    }
    let log = fs::read_to_string(home.join("log"))?;
    Err(format!("the daemon does not get on: {log}").into())
}

fn start(home: &Path, base_url: &str) -> Outcome<Daemon> {
    let key = home.join("api-key");
    fs::write(&key, KEY)?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let settings = format!(
        "[accounts.default]\nbase_url = \"{base_url}\"\napi_key_file = \"api-key\"\n\
        requests_per_minute = 6000\n[poll]\nprice = \"{}s\"\n[notify]\ndesktop = false\n\
        [log]\nlevel = \"warn\"\n[state]\ndirectory = \"{}\"\n",
        PRICE.as_secs(),
        home.join("state").display()
    );
    fs::write(home.join("config.toml"), settings)?;
    let daemon = Command::new(env!("CARGO_BIN_EXE_importwatch"))
        .env_clear()
        .env("HOME", home)
        .env("IMPORTWATCH_CONFIG", home.join("config.toml"))
        .arg("daemon")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(home.join("log"))?)
        .spawn()?;
    Ok(Daemon(daemon))
}

/// Adds the tasks to the server and to the watch list, each at its time; gives their ends. Their ids tell
/// no time, so that they begin when they are added, as in simulated time.
async fn upload(
    cell: &Cell,
    tasks: &[Task],
    control: &Control,
    store: &mut Store,
    dir: &StateDir,
) -> Outcome<HashMap<TaskId, Instant>> {
    let add = Add {
        account: AccountName::default_account(),
        import: ImportChoice::Named("real".to_owned()),
        give_up_after: PATIENCE,
    };
    let begin = clock::now();
    let mut ends = HashMap::new();
    let mut numbered = (0..).zip(tasks).peekable();
    while let Some((_, first)) = numbered.peek() {
        let due = begin.after(Duration::from_secs_f64(first.added));
        sleep(due.since(clock::now())).await;
        let mut ids = Vec::new();
        while let Some((number, task)) = numbered.next_if(|(_, task)| is_due(task, begin)) {
            let id: TaskId = format!("task-{number}").parse()?;
            let takes = Duration::from_secs_f64(task.end - task.added);
            let plan = Plan {
                progress: match cell.progress {
                    Progress::Honest => Claim::Honest,
                    _ => Claim::None,
                },
                ..Plan::ends(1_000, takes, Ending::Available)
            };
            ends.insert(id.clone(), clock::now().after(takes));
            control.change(|world| world.add(id.clone(), plan));
            ids.push(id);
        }
        store.add(&add, &ids, clock::wall())?;
        let _heard = doorbell::ring(dir);
    }
    Ok(ends)
}

fn is_due(task: &Task, begin: Instant) -> bool {
    begin.after(Duration::from_secs_f64(task.added)) <= clock::now()
}

/// From the end of each task to the request that found it.
fn delays(control: &Control, ends: &HashMap<TaskId, Instant>) -> Outcome<Run> {
    let mut run = Run::default();
    let mut left = ends.clone();
    for request in control.requests() {
        run.requests += 1.0;
        for id in &request.ids {
            run.asked += 1.0;
            let id: TaskId = id.parse()?;
            if let Some(end) = left.get(&id).filter(|end| **end <= request.at) {
                run.delays.push(request.at.since(*end).as_secs_f64());
                left.remove(&id);
            }
        }
    }
    if left.is_empty() {
        Ok(run)
    } else {
        Err("a task has an outcome, and was not found".into())
    }
}

/// From the end of each task to its outcome.
fn told(store: &Store, ends: &HashMap<TaskId, Instant>) -> Outcome<Vec<f64>> {
    let (now, wall) = (clock::now(), clock::wall());
    let mut told = Vec::new();
    for (id, end) in ends {
        let watch = store.watch(id)?.ok_or("a watch is gone")?;
        let State::Settled { at, .. } = watch.state else {
            return Err("a task is pending".into());
        };
        let ago = Duration::try_from(wall.duration_since(at)).unwrap_or_default();
        told.push(now.before(ago).since(*end).as_secs_f64());
    }
    Ok(told)
}

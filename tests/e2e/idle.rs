//! A daemon that has nothing to do: how often it wakes up, as the kernel sees it.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use importwatch::simulator::world::Ending;

use crate::desktop::eventually;
use crate::program::Daemon;
use crate::stage::{Stage, ended};

/// How long each daemon is watched: two looks at the store, and what does not belong there.
const WATCHED: f64 = 130.0;
/// After its start a daemon has things to do.
const START: f64 = 5.0;
/// When the connections of an import that settled at the start have been let go: the HTTP client
/// keeps an idle one for 90 s.
const LET_GO: f64 = 95.0;

/// Starts a daemon whose calls into the kernel are written to the file `trace`.
fn traced_daemon(stage: &Stage) -> Daemon {
    let daemon = stage.daemon_command(&[]);
    let mut strace = Command::new("strace");
    strace
        .env_clear()
        .envs(
            daemon
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .args(["-f", "-ttt", "-T", "--interruptible=waiting", "-o"])
        .arg(stage.home.path("trace"))
        .arg(daemon.get_program())
        .args(daemon.get_args());
    stage.home.start(strace)
}

/// When each of the trace's calls returned, in seconds since the first did, with its line.
fn returns(trace: &str) -> Vec<(f64, &str)> {
    let mut returns: Vec<(f64, &str)> = trace.lines().filter_map(returned).collect();
    returns.sort_by(|one, other| one.0.total_cmp(&other.0));
    let first = returns.first().expect("calls were traced").0;
    returns
        .iter()
        .map(|(at, line)| (at - first, *line))
        .collect()
}

/// When the call of a line returned; none if it had not by then.
fn returned(line: &str) -> Option<(f64, &str)> {
    let (rest, took) = line.strip_suffix('>')?.rsplit_once('<')?;
    let took: f64 = took.parse().ok()?;
    let mut words = rest.split_whitespace();
    let (_process, at) = (words.next()?, words.next()?);
    let at: f64 = at.parse().ok()?;
    // The time is that of the call's start, unless the line goes on about an earlier one.
    let resumed = rest.contains(" resumed>");
    Some((if resumed { at } else { at + took }, line))
}

/// The wake-ups: calls that return with more than a second of silence before them, each with the
/// lines up to the next.
fn wake_ups(returns: &[(f64, &str)]) -> Vec<(f64, String)> {
    let mut wake_ups: Vec<(f64, String)> = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for (at, line) in returns {
        if at - last > 1.0 {
            wake_ups.push((*at, String::new()));
        }
        last = *at;
        let (_, lines) = wake_ups.last_mut().unwrap();
        writeln!(lines, "{line}").unwrap();
    }
    wake_ups
}

/// Looks at what the daemon did between two times after its start.
#[track_caller]
fn check(stage: &Stage, name: &str, from: f64) {
    let trace = fs::read_to_string(stage.home.path("trace")).unwrap();
    let mut wake_ups = wake_ups(&returns(&trace));
    wake_ups.retain(|(at, _)| (from..from + WATCHED).contains(at));
    let times: Vec<f64> = wake_ups.iter().map(|(at, _)| *at).collect();
    assert!(
        times.len() >= 2,
        "{name}: the looks at the store: {times:?}"
    );
    for (at, pair) in wake_ups.windows(2).enumerate() {
        // The looks are a minute apart; the tracer's own delay is far below a second.
        let apart = pair[1].0 - pair[0].0;
        let lines = &pair[1].1;
        assert!(
            apart > 59.0,
            "{name}: {times:?}, number {}:\n{lines}",
            at + 1
        );
    }
}

/// With nothing on the watch list, with nothing left on it, and after an import that was polled and
/// told in the same run, over connections to the server and to the bus.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_daemon_wakes_up_once_a_minute() {
    let empty = Stage::set().await;
    let settled = Stage::set().await;
    let after_work = Stage::set().await;
    for (stage, id) in [(&settled, "a"), (&after_work, "b")] {
        stage.add("products", [(id.to_owned(), ended(Ending::Available))]);
    }
    assert!(settled.daemon(&["--until-settled"]).wait().success());
    let daemons = [&empty, &settled, &after_work].map(traced_daemon);
    eventually("the import has settled", || {
        after_work.home.list(&["--pending"]).is_empty()
    });
    let watched = Duration::from_secs_f64(LET_GO + WATCHED + START);
    tokio::time::sleep(watched).await;
    for daemon in daemons {
        // The tracer passes the signal on to the daemon.
        daemon.signal("TERM");
        daemon.wait();
    }
    assert_eq!(after_work.events("task settled").len(), 1);
    assert_eq!(after_work.simulator.control().requests().len(), 1);
    check(&empty, "nothing to watch", START);
    check(&settled, "all settled", START);
    check(&after_work, "after an import", LET_GO);
}

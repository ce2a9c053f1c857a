//! The desktop notifier where there is no desktop. The bus's address is taken from the environment
//! of the process, so each test runs itself again in a child that has another environment.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use importwatch::account::Trouble;
use importwatch::notice::{AccountNews, Notice, Subject};
use importwatch::notifier::NotifierError;
use importwatch::notifier::desktop::{DesktopNotifier, LIMIT};

/// Tells a child what it is.
const CHILD: &str = "IMPORTWATCH_TEST_CHILD";

/// Runs `test`, this very test by its full name, in a child for which `socket` is the session bus.
fn with_bus(test: &str, socket: &Path) {
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .env(
            "DBUS_SESSION_BUS_ADDRESS",
            format!("unix:path={}", socket.display()),
        )
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&ran.stdout);
    let complaints = String::from_utf8_lossy(&ran.stderr);
    let passed = ran.status.success() && printed.contains("1 passed");
    assert!(passed, "{test} in a child:\n{printed}\n{complaints}");
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Delivers a notice with each of `notifiers`, one after the other, and gives what came of it.
async fn deliver(notifiers: impl IntoIterator<Item = DesktopNotifier>) -> Vec<NotifierError> {
    let notice = Notice {
        subject: Subject::Account(AccountNews {
            account: "default".parse().unwrap(),
            trouble: Trouble::Unavailable,
            over: false,
            cause: "HTTP 502".to_owned(),
        }),
    };
    let mut errors = Vec::new();
    for notifier in notifiers {
        let delivered = { notifier }.deliver(&notice).await;
        errors.push(delivered.unwrap_err());
    }
    errors
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

#[test]
fn without_a_bus_there_is_an_error_that_says_so() {
    if !is_child() {
        let directory = tempfile::tempdir().unwrap();
        return with_bus(
            "notifier::without_a_bus_there_is_an_error_that_says_so",
            &directory.path().join("bus"),
        );
    }
    let errors = runtime().block_on(deliver([DesktopNotifier::default()]));
    assert!(
        matches!(errors[..], [NotifierError::NoBus(_)]),
        "{errors:?}"
    );
    assert!(errors[0].is_passing());
}

#[test]
fn a_bus_that_hangs_up_is_no_bus() {
    if !is_child() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("bus");
        let listener = UnixListener::bind(&socket).unwrap();
        let hangs_up = thread::spawn(move || drop(listener.accept().unwrap()));
        with_bus("notifier::a_bus_that_hangs_up_is_no_bus", &socket);
        hangs_up.join().unwrap();
        return;
    }
    let errors = runtime().block_on(deliver([DesktopNotifier::default()]));
    assert!(
        matches!(errors[..], [NotifierError::NoBus(_)]),
        "{errors:?}"
    );
}

#[test]
fn a_mute_bus_meets_the_limit() {
    if !is_child() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("bus");
        let _mute = UnixListener::bind(&socket).unwrap();
        return with_bus("notifier::a_mute_bus_meets_the_limit", &socket);
    }
    let errors = runtime().block_on(deliver([DesktopNotifier::default()]));
    assert!(
        matches!(errors[..], [NotifierError::Silent { limit: LIMIT, .. }]),
        "{errors:?}"
    );
    assert!(errors[0].is_passing());
}

#[test]
fn a_hundred_tries_at_a_mute_bus_leave_nothing_behind() {
    if !is_child() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("bus");
        let _mute = UnixListener::bind(&socket).unwrap();
        let test = "notifier::a_hundred_tries_at_a_mute_bus_leave_nothing_behind";
        return with_bus(test, &socket);
    }
    let tries =
        |count| deliver((0..count).map(|_| DesktopNotifier::with_limit(Duration::from_millis(20))));
    let runtime = runtime();
    let errors = runtime.block_on(tries(1));
    assert!(matches!(errors[..], [NotifierError::Silent { .. }]));
    let settled = held(&runtime);
    let errors = runtime.block_on(tries(100));
    let silent = |error: &NotifierError| matches!(error, NotifierError::Silent { .. });
    assert!(errors.iter().all(silent));
    // An idle thread of the runtime may have gone meanwhile.
    for (now, then) in held(&runtime).into_iter().zip(settled) {
        assert!(now <= then, "{now}, and {then} at first");
    }
    // A thread that waits for the bus would keep the runtime from ending.
    drop(runtime);
}

/// What a leak would make grow: open file descriptors, threads, and the runtime's tasks. A task that
/// was aborted goes when the runtime next turns to it, so it is given some turns first.
fn held(runtime: &tokio::runtime::Runtime) -> [usize; 3] {
    runtime.block_on(async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    });
    let entries = |directory| std::fs::read_dir(directory).unwrap().count();
    [
        entries("/proc/self/fd"),
        entries("/proc/self/task"),
        runtime.metrics().num_alive_tasks(),
    ]
}

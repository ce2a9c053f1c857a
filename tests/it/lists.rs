//! `[watch] ids` and `[watch] files`, by the real program: what is listed is watched, as the files
//! come, change and go.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use importwatch::account::AccountName;
use importwatch::clock;
use importwatch::outcome::{Outcome, Settlement};
use importwatch::simulator::Simulator;
use importwatch::simulator::world::{Ending, Plan};
use importwatch::store::Store;
use importwatch::store::add::{Add, ImportChoice};
use importwatch::store::directory::StateDir;
use importwatch::store::settle::Settled;
use importwatch::task::{Counts, TaskId};

use crate::program::{Home, simulator};
use crate::support::LONG;

/// A home whose settings have these lists.
fn home(simulator: &Simulator, watch: &str) -> Home {
    let more = format!("[watch]\n{watch}\n[notify]\ndesktop = false\n");
    Home::new(simulator.base_url().as_str(), &more)
}

/// Waits until the server was asked about `id`.
async fn asked_about(simulator: &Simulator, id: &str) {
    let asked = async {
        loop {
            let requests = simulator.control().requests();
            if requests
                .iter()
                .any(|request| request.ids.iter().any(|one| one == id))
            {
                break;
            }
            let count = requests.len() as u64 + 1;
            assert!(simulator.control().received(count).await);
        }
    };
    let asked = tokio::time::timeout(LONG, asked).await;
    assert!(asked.is_ok(), "never asked about {id}");
}

fn append(home: &Home, name: &str, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .open(home.path(name))
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// As editors save.
fn replace(home: &Home, name: &str, text: &[u8]) {
    fs::write(home.path("draft"), text).unwrap();
    fs::rename(home.path("draft"), home.path(name)).unwrap();
}

fn store(home: &Home) -> Store {
    let directory = StateDir::open(&home.path(".local/state/importwatch")).unwrap();
    Store::open(&directory).unwrap()
}

/// Puts settled tasks into the store.
fn settle(home: &Home, hours_ago: u64, tasks: &[(&str, Outcome)]) {
    let mut store = store(home);
    let at = clock::wall() - Duration::from_hours(hours_ago);
    let add = Add {
        account: AccountName::default_account(),
        import: ImportChoice::New("earlier".to_owned()),
        give_up_after: Duration::from_hours(1),
    };
    let ids: Vec<TaskId> = tasks.iter().map(|(id, _)| id.parse().unwrap()).collect();
    store.add(&add, &ids, at).unwrap();
    let settled = tasks.iter().zip(ids).map(|((_, outcome), id)| Settled {
        id,
        settlement: Settlement::ours(*outcome, Counts::default()),
        polls: 1,
        polled_at: Some(at),
    });
    let settled: Vec<_> = settled.collect();
    store.settle(&settled, at, &[]).unwrap();
}

/// `id:import:state` of all that is watched.
fn listed(home: &Home) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let tasks = home.list(&[]).into_iter().map(|task| {
        let [id, import, state] = ["id", "import", "state"].map(|key| text(&task[key]));
        format!("{id}:{import}:{state}")
    });
    tasks.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_followed_as_they_come_change_and_go() {
    let simulator = simulator().await;
    let home = home(
        &simulator,
        "ids = [\"settings\"]\nfiles = [\"one@home.txt\", \"late.txt\"]",
    );
    home.write(
        "one@home.txt",
        "\u{feff}a\r\n# a comment\r\n\r\n a \nb\nb\n{\"code\":0,\"data\":[\n\"json\"]}\n",
    );
    let daemon = home.daemon(&[]);
    for id in ["settings", "a", "b", "json"] {
        asked_about(&simulator, id).await;
    }
    append(&home, "one@home.txt", "appended\n");
    asked_about(&simulator, "appended").await;
    replace(&home, "one@home.txt", b"a\nreplaced\n");
    asked_about(&simulator, "replaced").await;
    home.write("late.txt", "late\n");
    asked_about(&simulator, "late").await;

    fs::remove_file(home.path("one@home.txt")).unwrap();
    // Whoever has seen this has seen that the other has gone.
    append(&home, "late.txt", "tick\n");
    asked_about(&simulator, "tick").await;
    home.write("one@home.txt", "back\n");
    asked_about(&simulator, "back").await;
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));

    let mut watched = listed(&home);
    watched.sort();
    assert_eq!(
        watched,
        [
            "a:one-home.txt:pending",
            "appended:one-home.txt:pending",
            "b:one-home.txt:pending",
            "back:one-home.txt:pending",
            "json:one-home.txt:pending",
            "late:late.txt:pending",
            "replaced:one-home.txt:pending",
            "settings:watch list:pending",
            "tick:late.txt:pending",
        ]
    );
    let log = home.log();
    for name in ["one@home.txt", "late.txt"] {
        let about = |text: &str| {
            let lines = log.lines();
            lines
                .filter(|line| line.contains(name) && line.contains(text))
                .count()
        };
        assert_eq!(about("a list of ids is not there"), 1, "{log}");
        assert_eq!(about("a list of ids is back"), 1, "{log}");
        assert_eq!(about("cannot be"), 0, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_cannot_be_used_is_said_once() {
    let simulator = simulator().await;
    let home = home(&simulator, "files = [\"ids.txt\"]");
    let megabyte = "x".repeat(1_000_000);
    let bad = format!("two words\n{megabyte}\n--import\n\x1b[31mred\n[1,\n2]\n");
    let bad = [bad.as_bytes(), b"\xff\xfe\n"].concat();
    let with = |first: &str, last: &str| {
        let lines = [first.as_bytes(), &bad, last.as_bytes(), b"\n"];
        lines.concat()
    };
    replace(&home, "ids.txt", &with("", "one"));
    let daemon = home.daemon(&[]);
    asked_about(&simulator, "one").await;
    append(&home, "ids.txt", "two\n");
    asked_about(&simulator, "two").await;
    replace(&home, "ids.txt", &with("three\n", "four"));
    asked_about(&simulator, "four").await;
    append(&home, "ids.txt", "new mistake\nfive\n");
    asked_about(&simulator, "five").await;
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    let log = home.log();
    let said: Vec<_> = log
        .lines()
        .filter(|line| line.contains("a line of a list cannot be used"))
        .collect();
    assert_eq!(said.len(), 7, "{log}");
    for (line, number) in said.iter().zip([1, 2, 3, 4, 5, 7, 10]) {
        assert!(line.contains(&format!(" line={number} ")), "{line}");
        assert!(line.contains("ids.txt"), "{line}");
        assert!(line.len() < 500 && !line.contains('\u{1b}'), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn until_settled_reads_the_lists_first_and_all_of_a_large_one() {
    const TASKS: u32 = 10_500;
    let simulator = simulator().await;
    let home = home(&simulator, "files = [\"many.txt\", \"last.txt\"]");
    let mut text = String::new();
    simulator.control().change(|world| {
        let at_once = || Plan::ends(1, Duration::ZERO, Ending::Available);
        for number in 0..TASKS {
            let id = format!("68ec7ad3e307920f{number:08x}");
            text.push_str(&id);
            text.push('\n');
            world.add(id.parse().unwrap(), at_once());
        }
        world.add("last".parse().unwrap(), at_once());
    });
    home.write("many.txt", &text);
    // Without its end, and old enough to be whole.
    home.write("last.txt", "last");
    let file = File::options()
        .write(true)
        .open(home.path("last.txt"))
        .unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let daemon = home.daemon_in(
        &["--until-settled"],
        &[("IMPORTWATCH__POLL__BATCH_SIZE", "1000".as_ref())],
    );
    assert_eq!(daemon.wait().code(), Some(0));
    let standing = store(&home).standing_of_all().unwrap();
    assert_eq!(standing.settled.available, u64::from(TASKS) + 1);
    assert_eq!(standing.pending, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_not_watched_again_and_what_is_listed_is_not_deleted() {
    let simulator = simulator().await;
    let home = home(
        &simulator,
        "ids = [\"expired\", \"old\"]\nfiles = [\"ids.txt\"]",
    );
    home.write("ids.txt", "missing\nrefused\nold-missing\navailable\n");
    settle(
        &home,
        91 * 24,
        &[
            ("old", Outcome::Expired),
            ("old-missing", Outcome::Missing),
            ("old-unlisted", Outcome::Expired),
        ],
    );
    settle(
        &home,
        1,
        &[
            ("expired", Outcome::Expired),
            ("missing", Outcome::Missing),
            ("refused", Outcome::Refused),
            ("available", Outcome::Available),
        ],
    );
    let kept = [
        "old:earlier:expired",
        "old-missing:earlier:missing",
        "expired:earlier:expired",
        "missing:earlier:missing",
        "refused:earlier:refused",
        "available:earlier:available",
    ];
    for _ in 0..2 {
        assert!(home.daemon(&["--until-settled"]).wait().success());
        assert_eq!(listed(&home), kept);
    }
    assert_eq!(simulator.control().requests().len(), 0);
    // A file that is not there any more may come back, and then it lists what it listed.
    fs::remove_file(home.path("ids.txt")).unwrap();
    assert!(home.daemon(&["--until-settled"]).wait().success());
    assert_eq!(listed(&home), kept);
    // A person may want what a list does not bring back.
    let added = home.run(&["add", "--import", "again", "expired"]);
    assert_eq!(added.out, "1 task watched again in import again\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_another_account_is_said_and_stays_there() {
    let simulator = simulator().await;
    let url = simulator.base_url();
    let home = Home::new(
        url.as_str(),
        &format!(
            "[accounts.shop]\nbase_url = \"{url}\"\napi_key_file = \"api-key\"\n\
            [watch]\nids = [\"one\"]\nfiles = [\"ids.txt\"]\n"
        ),
    );
    assert_eq!(
        home.run(&["add", "--account", "shop", "one", "two"]).code,
        Some(0)
    );
    home.write("ids.txt", "two\n");
    let daemon = home.daemon(&[]);
    asked_about(&simulator, "two").await;
    append(&home, "ids.txt", "three\n");
    asked_about(&simulator, "three").await;
    replace(&home, "ids.txt", b"four\ntwo\n");
    asked_about(&simulator, "four").await;
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    let log = home.log();
    for said in [
        "a listed task is watched under",
        "a task of watch.ids is watched under",
    ] {
        assert_eq!(log.matches(said).count(), 1, "{log}");
    }
    let accounts: Vec<_> = home
        .list(&[])
        .iter()
        .map(|task| task["account"].to_string())
        .collect();
    let expected = ["shop", "shop", "default", "default"].map(|name| format!("\"{name}\""));
    assert_eq!(accounts, expected);
}

#[test]
fn a_list_that_cannot_be_read_holds_up_nothing() {
    let home = Home::new(
        "http://127.0.0.1:9",
        "[watch]\nfiles = [\"folder\", \"pipe\"]\n",
    );
    fs::create_dir(home.path("folder")).unwrap();
    let pipe = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo(&home.path("pipe"), pipe).unwrap();
    assert!(home.daemon(&["--until-settled"]).wait().success());
    let log = home.log();
    assert_eq!(
        log.matches("a list of ids cannot be read").count(),
        2,
        "{log}"
    );
    assert_eq!(log.matches("it is not a file").count(), 2, "{log}");
}

#[test]
fn check_tells_of_each_list() {
    let home = Home::new(
        "http://127.0.0.1:9",
        "[watch]\nids = [\"a\"]\nfiles = [\"good\", \"bad\", \"late\"]\n",
    );
    home.write("good", "a\nb\n");
    home.write("bad", "a b\nc\n-d\n\u{1b}[31m\nx y z\n");
    let checked = home.run(&["check"]);
    assert_eq!(checked.code, Some(2), "{checked:?}");
    for line in [
        "✔ watch.ids",
        "1 id, watched from the start",
        "/good: 2 ids",
        "/bad: 1 id, 4 unusable lines\n",
        "  line 1: \"a b\" is not an id: it contains ' ';",
        "  line 3: \"-d\" looks like an option, and is not taken for an id\n",
        "  line 4: \"[31m\"",
        "  …\n",
        "→ mend these lines; the others are watched",
        "/late is not there",
    ] {
        assert!(
            checked.out.contains(line),
            "no {line:?} in\n{}",
            checked.out
        );
    }
    assert!(!checked.out.contains('\u{1b}'));
    home.write("bad", "c\n");
    fs::create_dir(home.path("late")).unwrap();
    let checked = home.run(&["check", "-q"]);
    assert_eq!(checked.code, Some(2), "{checked:?}");
    assert!(
        checked
            .out
            .contains("/late cannot be read: it is not a file")
    );
    assert_eq!(checked.out.lines().count(), 2, "{}", checked.out);
}

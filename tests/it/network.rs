//! Everything that a network and a server can do wrong below HTTP and in it, played to the real
//! program: no outcome comes of it, it is said once and once when it is over, the key goes nowhere
//! else, and memory stays small.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress};
use importwatch::simulator::Simulator;
use importwatch::simulator::fault::Fault;
use importwatch::simulator::world::{Ending, Plan};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::gate::{Authority, Gate, Way, self_signed};
use crate::program::{Daemon, Home, KEY, simulator};
use crate::support::{MOST_MEMORY, note_memory};

const SILENT: &str = "the account does not answer; the poll is tried again";
const TOO_MUCH: &str = "the poll was refused; asking about fewer tasks at once";

/// How long the program waits for an answer.
#[derive(Clone, Copy)]
enum Patience {
    /// For what comes, so that a slow machine is not taken for a silent server.
    Long,
    /// Not for what never comes.
    Short,
}

/// What goes wrong.
enum Wrong {
    /// The port refuses connections.
    Refused,
    /// The way to the server.
    Way(Way),
    /// The server's answers.
    Answer(Fault),
}

struct Case {
    name: &'static str,
    https: bool,
    patience: Patience,
    wrong: Wrong,
    /// The log's event, and what is part of its cause.
    event: &'static str,
    cause: &'static str,
}

/// A server that is silent in the end.
fn silent(name: &'static str, wrong: Wrong) -> Case {
    Case {
        patience: Patience::Short,
        ..case(name, wrong, SILENT, "no whole answer")
    }
}

fn case(name: &'static str, wrong: Wrong, event: &'static str, cause: &'static str) -> Case {
    Case {
        name,
        https: false,
        patience: Patience::Long,
        wrong,
        event,
        cause,
    }
}

/// Four GiB of blanks, packed.
fn bomb() -> Fault {
    let mut packer = Compress::new(Compression::best(), false);
    let mut part = Vec::with_capacity(1 << 20);
    let blanks = vec![b' '; 1 << 20];
    // A part that refers to nothing before it can be repeated.
    let status = packer.compress_vec(&blanks, &mut part, FlushCompress::Full);
    status.unwrap();
    assert!(packer.total_in() == 1 << 20 && part.len() < 4096);
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for _ in 0..4096 {
        body.extend_from_slice(&part);
    }
    Fault::Status {
        status: 200,
        headers: vec![("Content-Encoding".to_owned(), "gzip".to_owned())],
        body,
    }
}

fn plain_cases() -> Vec<Case> {
    use Wrong::{Answer, Refused, Way as By};
    let broken = "broke off or is not HTTP";
    vec![
        case("refused", Refused, SILENT, "refuses connections"),
        case("shut", By(Way::Shut), SILENT, broken),
        silent("mute", By(Way::Mute)),
        case("reset before", Answer(Fault::Reset), SILENT, broken),
        case(
            "reset in the body",
            Answer(Fault::ResetInBody),
            SILENT,
            broken,
        ),
        silent("stall in the body", Answer(Fault::StallInBody)),
        silent("no answer", Answer(Fault::Hang)),
        silent("drip", Answer(Fault::Drip(Duration::from_millis(500)))),
        case("not HTTP", Answer(Fault::Garbage), SILENT, broken),
        case("a body that is cut off", By(Way::CutOff), SILENT, broken),
        case(
            "4 GiB",
            Answer(Fault::TooLong(4 << 30)),
            TOO_MUCH,
            "longer than 16 MiB",
        ),
        case(
            "a body without end",
            By(Way::EndlessBody),
            TOO_MUCH,
            "longer than 16 MiB",
        ),
        case("a bomb", Answer(bomb()), TOO_MUCH, "longer than 16 MiB"),
        case(
            "a header without end",
            By(Way::EndlessHead("xxxxxxxxxxxxxxxx")),
            SILENT,
            broken,
        ),
        case(
            "headers without end",
            By(Way::EndlessHead("x\r\nX-More: ")),
            SILENT,
            broken,
        ),
    ]
}

fn tls_cases(authority: &Authority) -> Vec<Case> {
    use Wrong::Way as By;
    let distrusted = "certificate";
    let mut cases = vec![
        case(
            "expired",
            By(authority.tls("localhost", 2001)),
            SILENT,
            distrusted,
        ),
        case(
            "another name",
            By(authority.tls("other.invalid", 2999)),
            SILENT,
            distrusted,
        ),
        case(
            "self-signed",
            By(self_signed("localhost")),
            SILENT,
            distrusted,
        ),
        case(
            "another authority",
            By(Authority::new().tls("localhost", 2999)),
            SILENT,
            distrusted,
        ),
        case("plain text on a TLS port", By(Way::Page), SILENT, "TLS"),
        case("shut in the handshake", By(Way::Shut), SILENT, ""),
        Case {
            patience: Patience::Short,
            ..case("mute in the handshake", By(Way::Mute), SILENT, "")
        },
    ];
    for case in &mut cases {
        case.https = true;
    }
    cases
}

fn home(gate: &Gate, authority: &Authority, https: bool, patience: Patience) -> Home {
    let (scheme, port) = (if https { "https" } else { "http" }, gate.port);
    let (connect, request) = match patience {
        Patience::Long => ("2m", "2m"),
        Patience::Short => ("1s", "2s"),
    };
    let home = Home::new("http://localhost", "");
    home.write("ca.pem", &authority.pem());
    home.settings(&format!(
        "[accounts.default]\nbase_url = \"{scheme}://localhost:{port}\"\nca_file = \"ca.pem\"\n\
        api_key_file = \"api-key\"\nrequests_per_minute = 6000\n\
        [poll]\ninitial_interval = \"20ms\"\nmax_interval = \"200ms\"\n\
        connect_timeout = \"{connect}\"\nrequest_timeout = \"{request}\"\n"
    ));
    home
}

/// Everything that the program keeps.
fn kept(home: &Home) -> Vec<u8> {
    let folder = home.path(".local/state/importwatch");
    let mut kept = home.log().into_bytes();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            kept.extend(fs::read(path).unwrap());
        }
    }
    kept
}

fn has_key(bytes: &[u8]) -> bool {
    bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes())
}

fn small(daemon: &Daemon, name: &str) -> u64 {
    let peak = daemon.peak_memory();
    assert!(peak <= MOST_MEMORY, "{name}: {peak} KiB");
    peak
}

/// Plays one case, from the first poll until all is well again. Returns the most memory that the
/// daemon took, in KiB.
async fn play(case: Case, authority: &Authority) -> u64 {
    let Case {
        name,
        https,
        patience,
        event,
        ..
    } = case;
    let server = simulator().await;
    let control = server.control();
    control.change(|world| {
        let plan = Plan::ends(10, Duration::ZERO, Ending::Available);
        world.add("task".parse().unwrap(), plan);
    });
    let mut gate = Gate::refusing(server.base_url().port().unwrap());
    let good = || {
        if https {
            authority.tls("localhost", 2999)
        } else {
            Way::Plain
        }
    };
    match case.wrong {
        Wrong::Refused => {}
        Wrong::Way(way) => gate.open(way),
        Wrong::Answer(fault) => {
            control.change(|world| world.fault = Some(fault));
            gate.open(good());
        }
    }
    let home = home(&gate, authority, https, patience);
    assert_eq!(home.run(&["add", "task"]).code, Some(0), "{name}");
    let daemon = home.daemon(&[]);
    home.logged(event).await;
    // It goes on being tried, and the first time is not the last.
    let asked = || gate.taken() + control.requests().len() as u64;
    let before = asked();
    while gate.taken() > 0 && asked() < before + 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = home.log();
    let line = log.lines().find(|line| line.contains(event)).unwrap();
    assert!(line.contains(case.cause), "{name}: {line}");
    assert_eq!(home.list(&[])[0]["state"], "pending", "{name}");
    assert_eq!(home.count("task settled"), 0, "{name}");
    small(&daemon, name);

    control.change(|world| world.fault = None);
    gate.open(good());
    home.logged("task settled").await;
    assert_eq!(home.list(&[])[0]["state"], "available", "{name}");
    for text in [event, "the account answers again", "task settled"] {
        assert_eq!(home.count(text), 1, "{name}: {text}\n{}", home.log());
    }
    let peak = small(&daemon, name);
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0), "{name}");
    assert!(!has_key(&kept(&home)), "{name}");
    peak
}

async fn play_all(cases: Vec<Case>, authority: Authority) {
    let authority = Arc::new(authority);
    let mut games = JoinSet::new();
    for case in cases {
        let authority = Arc::clone(&authority);
        games.spawn(async move {
            let name = case.name;
            (play(case, &authority).await, name)
        });
    }
    let mut most = (0, "");
    while let Some(game) = games.join_next().await {
        most = most.max(game.unwrap());
    }
    let (peak, name) = most;
    assert!(peak > 0);
    note_memory(peak, name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn what_a_network_does_wrong_is_no_outcome_and_passes() {
    play_all(plain_cases(), Authority::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn what_tls_does_wrong_is_no_outcome_and_passes() {
    let authority = Authority::new();
    play_all(tls_cases(&authority), authority).await;
}

/// A listener that counts who comes.
async fn trap() -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let came = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&came);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, came)
}

async fn watched(
    authority: &Authority,
    https: bool,
    patience: Patience,
) -> (Simulator, Gate, Home) {
    let server = simulator().await;
    server.control().change(|world| {
        let plan = Plan::ends(10, Duration::ZERO, Ending::Available);
        world.add("task".parse().unwrap(), plan);
    });
    let mut gate = Gate::refusing(server.base_url().port().unwrap());
    gate.open(if https {
        authority.tls("localhost", 2999)
    } else {
        Way::Plain
    });
    let home = home(&gate, authority, https, patience);
    assert_eq!(home.run(&["add", "task"]).code, Some(0));
    (server, gate, home)
}

/// To another host, to plain text, to itself: asked once, told once, and nobody else learns the key.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_leads_nowhere() {
    let authority = Authority::new();
    let (port, came) = trap().await;
    for (https, to) in [
        (false, format!("http://127.0.0.1:{port}/v1/database")),
        (false, format!("//user@127.0.0.1:{port}/")),
        (true, format!("http://localhost:{port}/v1/database")),
        (true, format!("https://127.0.0.1:{port}/")),
        (false, "/v1/database/query/import-results".to_owned()),
    ] {
        let (server, _gate, home) = watched(&authority, https, Patience::Long).await;
        let redirect = Fault::Redirect(to.clone());
        server
            .control()
            .change(|world| world.fault = Some(redirect));
        let daemon = home.daemon(&["--until-settled"]);
        assert_eq!(daemon.wait().code(), Some(4), "{to}");
        assert_eq!(server.control().requests().len(), 1, "{to}");
        assert_eq!(came.load(Ordering::SeqCst), 0, "{to}");
        assert_eq!(home.list(&[])[0]["state"], "pending", "{to}");
        assert_eq!(home.count("account refused"), 1, "{}", home.log());
        assert_eq!(home.count("does not answer"), 0, "{}", home.log());
        server.control().change(|world| world.fault = None);
        let daemon = home.daemon(&["--until-settled"]);
        assert_eq!(daemon.wait().code(), Some(0), "{to}");
        assert_eq!(home.list(&[])[0]["state"], "available", "{to}");
        assert_eq!(home.count("account is well again"), 1, "{}", home.log());
        assert_eq!(home.count("answers again"), 0, "{}", home.log());
        assert!(!has_key(&kept(&home)), "{to}");
    }
}

/// The descriptors that a process holds.
fn descriptors(daemon: &Daemon) -> usize {
    let folder = format!("/proc/{}/fd", daemon.id());
    fs::read_dir(Path::new(&folder)).unwrap().count()
}

/// A server that takes every request and answers none costs one connection at a time.
#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_do_not_pile_up() {
    let authority = Authority::new();
    let (_server, mut gate, home) = watched(&authority, false, Patience::Short).await;
    gate.open(Way::Mute);
    let daemon = home.daemon(&[]);
    home.logged(SILENT).await;
    let before = descriptors(&daemon);
    let taken = gate.taken();
    while gate.taken() < taken + 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(descriptors(&daemon) <= before + 1);
    gate.open(Way::Plain);
    home.logged("task settled").await;
}

/// A connection of HTTP/2 outlives a request that was given up on it: where the server does not even
/// answer a ping on it, the next request goes over another.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_connection_of_http_2_is_not_used_for_ever() {
    let authority = Authority::new();
    let (_server, mut gate, home) = watched(&authority, true, Patience::Short).await;
    gate.open(authority.silent_http_2("localhost"));
    let daemon = home.daemon(&[]);
    home.logged(SILENT).await;
    gate.open(authority.tls("localhost", 2999));
    home.logged("task settled").await;
    assert_eq!(home.list(&[])[0]["state"], Value::from("available"));
    drop(daemon);
}

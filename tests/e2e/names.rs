//! A name server that fails in each way, played to the real program in a network of its own.

use std::net::UdpSocket;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use importwatch::simulator::world::Ending;
use tempfile::TempDir;

use crate::desktop::eventually;
use crate::program::{Home, simulator};
use crate::stage::ended;

/// Tells a child what it is.
const CHILD: &str = "IMPORTWATCH_TEST_CHILD";
const TEST: &str = "names::a_name_server_that_fails_is_no_outcome_and_passes";

/// What the name server answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    /// This machine's address.
    Good,
    /// An error by its number.
    Code(u8),
    /// That there is such a name, and nothing of it.
    Nothing,
    /// That the answer is too long, where no other way to ask is open.
    Cut,
    /// Bytes that are no answer.
    Garbage,
    /// Not a word.
    Silence,
}

/// The answer to `question`.
fn answer(question: &[u8], manner: Manner) -> Option<Vec<u8>> {
    // Behind the head of twelve bytes the name ends with a zero; a type and a class follow.
    let end = question.iter().skip(12).position(|&byte| byte == 0)? + 12 + 5;
    let is_a = question.get(end - 4..end - 2)? == [0, 1];
    let (flags, code, answers) = match manner {
        Manner::Silence => return None,
        Manner::Garbage => return Some(vec![0xff; 7]),
        Manner::Good => (0x84, 0, u8::from(is_a)),
        Manner::Code(code) => (0x84, code, 0),
        Manner::Nothing => (0x84, 0, 0),
        Manner::Cut => (0x86, 0, 0),
    };
    let mut reply = question[..2].to_vec();
    reply.extend([flags, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
    reply.extend_from_slice(&question[12..end]);
    if answers == 1 {
        // The name asked for, an address, for no time at all: four bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    Some(reply)
}

fn name_server() -> Arc<Mutex<Manner>> {
    let manner = Arc::new(Mutex::new(Manner::Good));
    let current = Arc::clone(&manner);
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    thread::spawn(move || {
        let mut question = [0; 1024];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            let manner = *current.lock().unwrap();
            if let Some(reply) = answer(&question[..length], manner) {
                drop(socket.send_to(&reply, from));
            }
        }
    });
    manner
}

/// Runs the test again where it has a network and name servers of its own, and the right to.
fn in_a_network_of_its_own() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    write(
        "resolv.conf",
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    );
    write("nsswitch.conf", "hosts: files dns\n");
    let script = "ip link set lo up && for file in resolv.conf nsswitch.conf; do \
        mount --bind \"$0/$file\" \"$(readlink -f /etc/$file)\" || exit; done; exec \"$@\"";
    let ran = Command::new("unshare")
        .args([
            "--map-root-user",
            "--mount",
            "--net",
            "--",
            "sh",
            "-c",
            script,
        ])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("unshare must be there");
    let output = String::from_utf8_lossy(&ran.stdout);
    let complaints = String::from_utf8_lossy(&ran.stderr);
    let passed = ran.status.success() && output.contains("1 passed");
    assert!(passed, "{TEST} in a child:\n{output}\n{complaints}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_fails_is_no_outcome_and_passes() {
    if std::env::var_os(CHILD).is_none() {
        return in_a_network_of_its_own();
    }
    let manner = name_server();
    let server = simulator().await;
    (server.control()).change(|world| world.add("a".parse().unwrap(), ended(Ending::Available)));
    let port = server.base_url().port().unwrap();
    for bad in [
        Manner::Code(1),
        Manner::Code(2),
        Manner::Code(3),
        Manner::Code(4),
        Manner::Code(5),
        Manner::Nothing,
        Manner::Cut,
        Manner::Garbage,
        Manner::Silence,
    ] {
        *manner.lock().unwrap() = bad;
        let base_url = format!("http://server.test:{port}");
        let home = Home::new(&base_url, "[log]\nformat = \"json\"\n");
        assert_eq!(home.run(&["add", "a"]).code, Some(0));
        let before = server.control().requests().len();
        let daemon = home.start(home.command(&["daemon"]));
        let said = |message: &str| home.events(message);
        let trouble = "the account does not answer; the poll is tried again";
        eventually("the trouble is said", || !said(trouble).is_empty());
        let cause = said(trouble)[0]["cause"].to_string();
        assert!(
            cause.contains("the name of server.test"),
            "{bad:?}: {cause}"
        );
        assert_eq!(home.list(&["--pending"]).len(), 1, "{bad:?}");
        *manner.lock().unwrap() = Manner::Good;
        eventually("it settles", || !said("task settled").is_empty());
        assert_eq!(home.list(&[])[0]["state"], "available", "{bad:?}");
        assert_eq!(said(trouble).len(), 1, "{bad:?}");
        assert_eq!(said("the account answers again").len(), 1, "{bad:?}");
        assert_eq!(server.control().requests().len(), before + 1, "{bad:?}");
        daemon.signal("TERM");
        assert_eq!(daemon.wait().code(), Some(0), "{bad:?}");
    }
}

//! The scripts of the README that tell of imports elsewhere, run as they stand there by the real
//! program: with a real mail program, and with a server in place of those on the Internet.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use importwatch::simulator::Simulator;
use importwatch::simulator::world::{Ending, Plan};
use importwatch::task::{FailDetail, RowField};
use serde_json::Value;

use crate::program::{Home, simulator};

/// What would do something if anyone took it for more than text.
const REASONS: [&str; 2] = [
    "no: \"q\" 'a' `touch pwned` $(touch pwned) \\u0041\\ \n~!touch pwned\r\n.\r\n",
    "<!channel> @channel <https://evil.example|free> & \u{202e}desrever\u{1b}[31m “é” 🦀",
];
/// The same as the name of an import.
const IMPORT: &str = "~!touch pwned \"q\" 'a' `touch pwned` $(touch pwned) \\ <!here>";

/// What is said of both: shortened, on one line each, without what no one would see.
const TITLE: &str = "~!touch pwned \"q\" 'a…ch pwned) \\ <!here>: none of 10 rows went in";
const TEXT: &str = "Row 2: no: \"q\" 'a' `touch pwned` $(touch pwned) \\u0041\\ ~!touch pwned .\n\
                    Row 3: <!channel> @channel <https://evil.example|free> & desrever[31m “é” 🦀\n\
                    Details: importwatch list --settled";

/// The scripts in the README's chapter about notices.
fn recipes() -> [String; 3] {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, chapter) = readme.split_once("\n## Notices\n").unwrap();
    let (chapter, _) = chapter.split_once("\n## ").unwrap();
    let blocks = chapter.split("```sh\n").skip(1);
    let scripts = blocks.filter_map(|block| block.split_once("\n```"));
    let scripts: Vec<String> = scripts.map(|(script, _)| format!("{script}\n")).collect();
    scripts.try_into().expect("three scripts")
}

/// A home where `script` is the command of the settings, and the programs that it may run are in
/// `bin`: those of the machine, and those given here.
fn home(simulator: &Simulator, script: &str, stubs: &[(&str, &str)]) -> Home {
    let mut home = Home::new(simulator.base_url().as_str(), "");
    let recipe = install(&mut home, "tell-team", script);
    let recipe = recipe.display().to_string();
    let settings = fs::read_to_string(home.path("config.toml")).unwrap();
    home.settings(&format!(
        "{settings}[log]\nformat = \"json\"\n[notify]\ncommand = [{recipe:?}]\n"
    ));
    fs::create_dir(home.path("bin")).unwrap();
    for tool in ["cat", "curl", "jq", "mkdir", "s-nail", "sed"] {
        let there = ["/usr/bin", "/bin"].map(|folder| PathBuf::from(folder).join(tool));
        let there = there.iter().find(|path| path.exists());
        let there = there.unwrap_or_else(|| panic!("{tool} must be there"));
        symlink(there, home.path("bin").join(tool)).unwrap();
    }
    for (name, text) in stubs {
        // Not through the link, which leads to the machine's own.
        drop(fs::remove_file(home.path("bin").join(name)));
        install(&mut home, &format!("bin/{name}"), text);
    }
    home
}

/// A program in the home.
fn install(home: &mut Home, name: &str, text: &str) -> PathBuf {
    home.write(name, text);
    let path = home.path(name);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn command(home: &Home, mut command: Command) -> Command {
    command
        .env("PATH", home.path("bin"))
        .current_dir(home.path(""));
    command
}

/// Lets an import end whose words are hostile, and a good one, and waits until both were told.
fn tell(home: &Home, simulator: &Simulator) {
    let details = (2..).zip(REASONS).map(|(row, reason)| FailDetail {
        row: RowField::Row(row),
        start: Some(0),
        end: Some(0),
        reason: reason.to_owned(),
    });
    let details = details.collect();
    let ends = [
        ("bad", Ending::Fail { details }),
        ("good", Ending::Available),
    ];
    simulator.control().change(|world| {
        for (id, end) in ends {
            let plan = Plan::ends(10, Duration::ZERO, end);
            world.add(id.parse().unwrap(), plan);
        }
    });
    assert_eq!(home.run(&["add", "--import", IMPORT, "bad"]).code, Some(0));
    assert_eq!(home.run(&["add", "--import", "fine", "good"]).code, Some(0));
    let daemon = home.start(command(home, home.command(&["daemon", "--until-settled"])));
    assert!(daemon.wait().success(), "{}", home.log());
    assert!(!home.path("pwned").exists());
}

/// Runs the script by itself where jq is not installed: it may not end as if all were well.
fn fails_without_jq(home: &Home) {
    fs::remove_file(home.path("bin/jq")).unwrap();
    let mut script = command(home, Command::new(home.path("tell-team")));
    let mut child = script
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It may have ended before it reads.
    drop(child.stdin.take().unwrap().write_all(b"{}\n"));
    assert!(!child.wait().unwrap().success());
}

/// A server that answers 503 at first, and 400 to what is not JSON; the bodies that it took.
fn server() -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, taken) = mpsc::channel();
    thread::spawn(move || {
        let mut is_first = true;
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let (head, body) = request(&mut connection);
            let body = serde_json::from_str(&body);
            let status = match body {
                _ if std::mem::take(&mut is_first) => "503 Service Unavailable",
                Ok(body) => {
                    // The test may have ended.
                    drop(sender.send((head, body)));
                    "200 OK"
                }
                Err(_) => "400 Bad Request",
            };
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, taken)
}

/// The head and the body of a request.
fn request(connection: &mut TcpStream) -> (String, String) {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return (lower, body.to_owned());
            }
        }
        let more = connection.read(&mut buffer).unwrap();
        assert_ne!(more, 0, "{text}");
        read.extend_from_slice(&buffer[..more]);
    }
}

/// A `curl` that is the real one, led to our server and to a file of ours with its address.
fn curl(url: &str) -> String {
    format!(
        "#!/bin/sh\nfor argument; do shift; case $argument in https://ntfy.sh) argument={url} ;; \
         /etc/importwatch/webhook) argument=$HOME/webhook ;; esac; set -- \"$@\" \"$argument\"; done\n\
         exec /usr/bin/curl \"$@\"\n"
    )
}

/// What the server took of both imports, the hostile one first.
#[track_caller]
fn both(taken: &Receiver<(String, Value)>, field: &str) -> [Value; 2] {
    let mut bodies: Vec<Value> = taken.try_iter().map(|(_, body)| body).collect();
    bodies.sort_by_key(|body| body[field].as_str().unwrap().starts_with("fine"));
    bodies.try_into().expect("each import, once")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipe_for_mail_brings_text_and_nothing_but_text() {
    let simulator = simulator().await;
    let [recipe, ..] = recipes();
    // A real mail program, which hands over to no server but to a file; the first mail fails.
    let mail = "#!/bin/sh\nmkdir refused 2>/dev/null && exit 75\n\
                exec s-nail -n -S mime-encoding=8b -S mta=\"$HOME/bin/sendmail\" \"$@\"\n";
    let sendmail = "#!/bin/sh\necho \"ARGUMENTS $*\" >>sent\ncat >>sent\n";
    let home = home(
        &simulator,
        &recipe,
        &[("mail", mail), ("sendmail", sendmail)],
    );
    tell(&home, &simulator);
    let sent = fs::read_to_string(home.path("sent")).unwrap();
    let mails: Vec<&str> = sent.split_inclusive("ARGUMENTS").skip(1).collect();
    assert_eq!(mails.len(), 2, "{sent}");
    for mail in &mails {
        assert!(mail.starts_with(" -i -- team@example.com\n"), "{mail}");
        assert!(mail.contains("\nSubject: bulk import\n"), "{mail}");
    }
    let bad = mails.iter().find(|mail| mail.contains("pwned")).unwrap();
    assert!(bad.contains("text/plain; charset=utf-8\n"), "{bad}");
    // With a space before what would be an order.
    assert!(bad.contains(&format!("\n\n {TITLE}\n{TEXT}\n")), "{bad}");
    fails_without_jq(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipe_for_ntfy_brings_text_and_nothing_but_text() {
    let simulator = simulator().await;
    let [_, recipe, _] = recipes();
    let (url, taken) = server();
    let home = home(&simulator, &recipe, &[("curl", &curl(&url))]);
    tell(&home, &simulator);
    let [bad, fine] = both(&taken, "title");
    assert_eq!(
        (&bad["topic"], &bad["priority"]),
        (&"my-imports".into(), &5.into())
    );
    assert_eq!(
        (&fine["topic"], &fine["priority"]),
        (&"my-imports".into(), &3.into())
    );
    assert_eq!(fine["title"], "fine: all 10 rows went in");
    assert_eq!(
        (&bad["title"], &bad["message"]),
        (&TITLE.into(), &TEXT.into())
    );
    fails_without_jq(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipe_for_a_chat_brings_text_that_calls_nobody_and_links_nowhere() {
    let simulator = simulator().await;
    let [_, _, recipe] = recipes();
    let (url, taken) = server();
    let home = home(&simulator, &recipe, &[("curl", &curl(&url))]);
    home.write("webhook", &format!("url = \"{url}secret\"\n"));
    tell(&home, &simulator);
    let all: Vec<(String, Value)> = taken.try_iter().collect();
    for (head, _) in &all {
        assert!(head.starts_with("post /secret http/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
    }
    let mut texts = all.iter().map(|(_, body)| body["text"].as_str().unwrap());
    let bad = texts.find(|text| text.contains("pwned")).unwrap();
    let escaped = format!("{TITLE}\n{TEXT}")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    assert_eq!(bad, escaped.replace("@channel", "@\u{200b}channel"));
    fails_without_jq(&home);
}

//! What a hostile server says, in everything that the program prints: nothing that a terminal would
//! obey, and for programs all of it.

use std::fmt::Write as _;

use importwatch::simulator::fault::Fault;
use importwatch::simulator::world::{Ending, Plan};
use serde_json::{Value, json};

use crate::answers::{ended, id};
use crate::answers_memory::detail;
use crate::program::{Home, simulator};

/// What a terminal, a shell, a spreadsheet or a browser might obey.
fn hostile() -> Vec<String> {
    [
        "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[31mred",
        "\u{9b}31m c1 \u{85}\u{90}",
        "a\0b\r\nc\tover\u{8}\u{8}written\u{7f}",
        "\u{202e}gpj.exe\u{202c}\u{2066}x\u{2069}\u{200f}\u{61c}",
        "zero\u{200b}\u{feff}width\u{ad}\u{2028}\u{2029}line",
        "<script>alert(1)</script><b>&amp;</b>",
        "$(touch owned) `touch owned`; touch owned | touch owned",
        "=cmd|' /C calc'!A0\t+1\t-1\t@SUM(A1)",
        "%s%n{0}\\x1b[31m\\u001b[31m",
        "`\u{1b}[31mcol\u{202e}` must be unique, but the value '\u{1b}[2J\u{202e}v' is duplicated (first at row `1`).",
        "(1062, \"Duplicate entry '\u{1b}[2J\0' for key 't.\u{1b}[3m\u{202e}'\")",
    ]
    .map(ToOwned::to_owned)
    .to_vec()
}

/// Characters that no line of output may have.
fn obeyed(text: &str) -> Option<char> {
    let is_bad = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().find(is_bad)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_printed_is_obeyed_by_a_terminal() {
    for format in ["text", "json"] {
        let server = simulator().await;
        let settings = format!("[log]\nformat = \"{format}\"\nlevel = \"debug\"\n");
        let home = Home::new(server.base_url().as_str(), &settings);
        let mut reasons = hostile();
        reasons.push("x".repeat(1 << 20));
        server.control().change(|world| {
            for (number, reason) in reasons.iter().enumerate() {
                let details = vec![detail(7, reason.clone())];
                let end = Ending::Fail { details };
                world.add(id(&format!("task-{number}")), ended(end));
            }
            let odd = Plan {
                waiting: "\u{1b}[31m\u{202e}STATUS".to_owned(),
                ..Plan::never(10)
            };
            world.add(id("odd"), odd);
            let error = json!({"code": 50000, "message": hostile().join(" ")});
            world
                .next_faults
                .push_back(Fault::Body(error.to_string().into_bytes()));
        });
        let mut ids: String = (0..reasons.len()).fold(String::new(), |mut ids, number| {
            writeln!(ids, "task-{number}").unwrap();
            ids
        });
        ids.push_str("odd\n");
        home.run_with(&["add", "--import", "products", "-"], &ids);
        let daemon = home.daemon(&[]);
        home.until("all settle", || home.list(&["--pending"]).len() == 1)
            .await;
        home.until("the odd one is mentioned", || {
            home.count("a status that is not known yet") == 1
        })
        .await;
        daemon.signal("TERM");
        daemon.wait();
        assert_eq!(obeyed(&home.log()), None, "{format}: {:?}", home.log());
        let mut commands: Vec<Vec<String>> = [
            &["list"][..],
            &["list", "--imports"],
            &["list", "--json"],
            &["show", "--import", "products"],
            &["show", "--import", "products", "--json"],
        ]
        .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
        .to_vec();
        for number in 0..reasons.len() {
            for json in [None, Some("--json")] {
                let words = ["show", &format!("task-{number}")].map(ToOwned::to_owned);
                commands.push(
                    words
                        .into_iter()
                        .chain(json.map(ToOwned::to_owned))
                        .collect(),
                );
            }
        }
        for command in commands {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            let ended = home.run(&words);
            assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
            for text in [&ended.out, &ended.err] {
                let bad = obeyed(text);
                assert_eq!(
                    bad,
                    None,
                    "{words:?}: {:?}",
                    text.get(..2_000).unwrap_or(text)
                );
                assert!(text.len() < 200_000, "{words:?}: {}", text.len());
            }
        }
        let waited = home.run(&["wait", "--json", "task-0", "task-1", "task-3"]);
        assert_eq!(waited.code, Some(1), "{waited:?}");
        assert_eq!(obeyed(&waited.out), None, "{waited:?}");
        // For programs the reason is whole, as far as it is kept at all.
        for (number, reason) in hostile().into_iter().enumerate() {
            let task = format!("task-{number}");
            let ended = home.run(&["show", &task, "--json"]);
            let shown: Value = serde_json::from_str(ended.out.lines().next().unwrap()).unwrap();
            assert_eq!(
                shown["failures"][0]["reason"],
                Value::from(reason),
                "{task}"
            );
        }
        assert!(!home.path("owned").exists());
    }
}

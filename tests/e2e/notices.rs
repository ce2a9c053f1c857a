//! Notices on a real desktop: what is shown, and what happens when the desktop goes or freezes.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use importwatch::account::Trouble;
use importwatch::failure::{Failure, FailureKind};
use importwatch::notice::{AccountNews, ImportNews, Notice, Subject, TaskNews, wording};
use importwatch::notifier::NotifierError;
use importwatch::notifier::desktop::{DesktopNotifier, Event};
use importwatch::outcome::{Outcome, Settlement};
use importwatch::task::Counts;
use importwatch::watch::{ImportKey, Standing};

use crate::desktop::{Desktop, Shown, on_a_private_bus};

fn failure(kind: FailureKind, row: Option<u32>, named: (&str, &str), reason: &str) -> Failure {
    Failure {
        row,
        first_row: None,
        last_row: None,
        kind,
        column: Some(named.0.to_owned()),
        value: Some(named.1.to_owned()).filter(|value| !value.is_empty()),
        reason: reason.to_owned(),
    }
}

fn task(number: u32, outcome: Outcome, rows: (u32, u32), failures: Vec<Failure>) -> TaskNews {
    let by_server = outcome.is_by_server();
    TaskNews {
        id: format!("68ec7ad3e307920f{number:08x}").parse().unwrap(),
        settlement: Settlement {
            outcome,
            progress: None,
            counts: Counts {
                total: by_server.then_some(rows.0 + rows.1),
                succeeded: by_server.then_some(rows.0),
                failed: by_server.then_some(rows.1),
            },
            failures,
        },
        elapsed: Duration::from_mins(123),
    }
}

/// Each notice is of an import of its own, so that none replaces another.
static NEXT: AtomicI64 = AtomicI64::new(1);

fn import(name: &str, tasks: Vec<TaskNews>, pending: u64) -> Notice {
    Notice {
        subject: Subject::Import(ImportNews {
            key: ImportKey(NEXT.fetch_add(1, Ordering::Relaxed)),
            import: name.to_owned(),
            account: "default".parse().unwrap(),
            standing: Standing {
                pending,
                ..Standing::of(tasks.iter().map(|task| &task.settlement))
            },
            told: Standing::of(tasks.iter().map(|task| &task.settlement)).settled,
            longest: Duration::from_mins(123),
            tasks,
        }),
    }
}

fn all_in() -> Notice {
    let full = |number| task(number, Outcome::Available, (1_000, 0), Vec::new());
    import("products", (0..12).map(full).collect(), 0)
}

fn failed() -> Notice {
    let required = "`no` is required and must have a value; the current value is invalid or the property is missing.";
    let failures =
        [4, 9, 12, 37].map(|row| failure(FailureKind::InvalidRow, Some(row), ("no", ""), required));
    let conflicts = ["14", "15", "16", "17"]
        .map(|id| failure(FailureKind::ConflictWithTable, None, ("id", id), ""));
    let mut tasks: Vec<TaskNews> = (0..8)
        .map(|number| task(number, Outcome::Available, (1_000, 0), Vec::new()))
        .collect();
    tasks.push(task(8, Outcome::Partial, (996, 4), failures.to_vec()));
    tasks.push(task(9, Outcome::Failed, (0, 1_000), conflicts.to_vec()));
    import("spring catalogue", tasks, 2)
}

fn hostile() -> Notice {
    let reason =
        "\0<b>bold</b> & \u{202e}reversed\u{202c} <img src=\"http://x/\"> &lt;\u{1b}[31m\nend";
    let failures = vec![failure(FailureKind::InvalidRow, Some(1), ("c", ""), reason)];
    let name = "<i>it</i>\0\u{202e}";
    import(name, vec![task(1, Outcome::Failed, (0, 1), failures)], 0)
}

fn account(trouble: Trouble, over: bool, cause: &str) -> Notice {
    Notice {
        subject: Subject::Account(AccountNews {
            account: "shop".parse().unwrap(),
            trouble,
            over,
            cause: cause.to_owned(),
        }),
    }
}

fn desktop_notifier() -> DesktopNotifier {
    DesktopNotifier::default()
}

#[track_caller]
fn check(shown: &Shown, expected: (&str, &str, &str), text: &[&str]) {
    let (urgency, icon, category) = expected;
    let all = format!("{}\n{}", shown.summary, shown.body);
    assert_eq!(all.lines().collect::<Vec<_>>(), text);
    let signs = (
        shown.urgency.as_str(),
        shown.icon.as_str(),
        shown.category.as_str(),
    );
    assert_eq!(signs, (urgency, icon, category));
    assert_eq!(shown.app, "importwatch");
}

#[test]
fn an_import_is_told_with_its_urgency() {
    on_a_private_bus("notices::an_import_is_told_with_its_urgency", async {
        let mut desktop = Desktop::start();
        let mut notifier = desktop_notifier();
        notifier.deliver(&all_in()).await.unwrap();
        check(
            &desktop.next_shown(),
            ("NORMAL", "dialog-information", "transfer.complete"),
            &[
                "products: all 12,000 rows went in",
                "12 tasks, the last finished after 2 h 3 min.",
            ],
        );
        notifier.deliver(&failed()).await.unwrap();
        check(
            &desktop.next_shown(),
            ("CRITICAL", "dialog-error", "transfer.error"),
            &[
                "spring catalogue: 1,004 rows did not go in, 2 tasks pending",
                "8,996 rows went in. 12 tasks: 8 in full, 1 in part, 1 failed, 2 still pending.",
                "4 rows: `no` is required and must have a value; the current value is invalid or the property is…",
                "Already in the table: id “14”, “15”, “16”, …",
                "Details: importwatch show --import='spring catalogue'",
            ],
        );
    });
}

#[test]
fn markup_and_control_characters_show_as_text() {
    on_a_private_bus(
        "notices::markup_and_control_characters_show_as_text",
        async {
            let mut desktop = Desktop::start();
            desktop_notifier().deliver(&hostile()).await.unwrap();
            // The server takes markup in bodies, so that what it got is escaped once.
            check(
                &desktop.next_shown(),
                ("CRITICAL", "dialog-error", "transfer.error"),
                &[
                    "<i>it</i>: 1 row did not go in",
                    "Row 1: &lt;b&gt;bold&lt;/b&gt; &amp; reversed &lt;img src=\"http://x/\"&gt; &amp;lt;[31m end",
                    "Details: importwatch list --settled",
                ],
            );
        },
    );
}

#[test]
fn every_kind_of_notice_is_on_the_screen() {
    on_a_private_bus("notices::every_kind_of_notice_is_on_the_screen", async {
        let mut desktop = Desktop::start();
        let mut notifier = desktop_notifier();
        let ours = vec![
            task(1, Outcome::Expired, (0, 0), Vec::new()),
            task(2, Outcome::Missing, (0, 0), Vec::new()),
            task(3, Outcome::Refused, (0, 0), Vec::new()),
        ];
        let notices = [
            all_in(),
            failed(),
            hostile(),
            import("old feed", ours, 0),
            account(
                Trouble::Refused,
                false,
                "HTTP 401, code 40127: authentication failed",
            ),
            account(Trouble::Unavailable, false, "HTTP 502"),
            account(Trouble::Unavailable, true, ""),
        ];
        for notice in &notices {
            notifier.deliver(notice).await.unwrap();
            desktop.next_shown();
        }
        // The last one alone has the frame of low urgency.
        desktop.screenshot("notices.png", "#445566");
    });
}

#[test]
fn all_notices_go_out_on_one_connection() {
    on_a_private_bus("notices::all_notices_go_out_on_one_connection", async {
        let mut desktop = Desktop::start();
        let mut notifier = desktop_notifier();
        let mut held = Vec::new();
        for _ in 0..5 {
            notifier.deliver(&all_in()).await.unwrap();
            desktop.next_shown();
            held.push(std::fs::read_dir("/proc/self/fd").unwrap().count());
        }
        assert_eq!(held, [held[0]; 5]);
    });
}

/// What the user closes is told, and no longer replaced: what comes next is a notice of its own.
#[test]
fn a_notice_that_the_user_closes_is_gone() {
    on_a_private_bus("notices::a_notice_that_the_user_closes_is_gone", async {
        let mut desktop = Desktop::start();
        let mut notifier = desktop_notifier();
        let notice = all_in();
        notifier.deliver(&notice).await.unwrap();
        let first = desktop.next_shown();
        desktop.close(first.id);
        assert_eq!(notifier.event().await, Event::Closed(notice.about()));
        assert_eq!(desktop.on_screen(), 0);
        notifier.deliver(&notice).await.unwrap();
        assert_ne!(desktop.next_shown().id, first.id);
        // What we take away ourselves is not told.
        notifier.withdraw(&notice.about()).await;
        assert_eq!(desktop.on_screen(), 0);
        desktop.kill_server();
        assert_eq!(notifier.event().await, Event::Gone);
        desktop.start_server();
        assert_eq!(notifier.event().await, Event::Appeared);
    });
}

#[test]
fn trouble_and_its_end_are_one_notice() {
    on_a_private_bus("notices::trouble_and_its_end_are_one_notice", async {
        let mut desktop = Desktop::start();
        let mut notifier = desktop_notifier();
        notifier
            .deliver(&account(Trouble::Refused, false, "HTTP 401"))
            .await
            .unwrap();
        let trouble = desktop.next_shown();
        notifier
            .deliver(&account(Trouble::Refused, true, ""))
            .await
            .unwrap();
        let over = desktop.next_shown();
        assert_eq!(over.id, trouble.id);
        assert_eq!(over.summary, "account shop: the key is accepted again");
        assert_eq!(desktop.on_screen(), 1);
    });
}

#[test]
fn a_desktop_that_goes_and_comes_back_is_told_then() {
    on_a_private_bus(
        "notices::a_desktop_that_goes_and_comes_back_is_told_then",
        async {
            let mut desktop = Desktop::start();
            let mut notifier = desktop_notifier();
            notifier.deliver(&all_in()).await.unwrap();
            desktop.next_shown();
            desktop.kill_server();
            let error = notifier.deliver(&all_in()).await.unwrap_err();
            assert!(matches!(error, NotifierError::NoServer(_)), "{error:?}");
            assert!(error.is_passing());
            desktop.start_server();
            notifier.deliver(&all_in()).await.unwrap();
            assert_eq!(
                desktop.next_shown().summary,
                "products: all 12,000 rows went in"
            );
        },
    );
}

/// What the bus says of a server that it has just started is no word of another one.
#[test]
fn a_server_that_the_bus_starts_for_a_notice_has_it_replaced_by_the_next() {
    let test = "notices::a_server_that_the_bus_starts_for_a_notice_has_it_replaced_by_the_next";
    on_a_private_bus(test, async {
        let desktop = Desktop::start_on_demand();
        let mut notifier = DesktopNotifier::with_limit(Duration::from_mins(2));
        let notice = failed();
        notifier.deliver(&notice).await.unwrap();
        assert_eq!(desktop.on_screen(), 1);
        let later = wording(&all_in());
        notifier.show(notice.about(), &later).await.unwrap();
        assert_eq!(desktop.on_screen(), 1);
    });
}

#[test]
fn a_frozen_desktop_meets_the_limit_and_is_told_when_it_thaws() {
    let test = "notices::a_frozen_desktop_meets_the_limit_and_is_told_when_it_thaws";
    on_a_private_bus(test, async {
        let mut desktop = Desktop::start();
        let mut notifier = desktop_notifier();
        notifier.deliver(&all_in()).await.unwrap();
        desktop.next_shown();
        desktop.signal_server("STOP");
        let error = notifier.deliver(&failed()).await.unwrap_err();
        assert!(matches!(error, NotifierError::Silent { .. }), "{error:?}");
        assert!(error.is_passing());
        desktop.signal_server("CONT");
        notifier.deliver(&failed()).await.unwrap();
        assert_eq!(desktop.next_shown().urgency, "CRITICAL");
    });
}

//! The client against a real socket: what it asks, and what it makes of good answers.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use importwatch::api::client::{Client, ClientParams};
use importwatch::api::error::BuildError;
use importwatch::outcome::{Outcome, Verdict, judge};
use importwatch::simulator::fault::Fault;
use importwatch::simulator::request::KeySeen;
use importwatch::simulator::world::{Ending, Plan, Rate, Shape};
use importwatch::task::{FailDetail, RowField, Status};

use crate::support::{id, pair, params};

#[tokio::test]
async fn asks_as_the_endpoint_wants_it() {
    let (simulator, _) = pair(|_| ()).await;
    let ids = ["68ec7ad3e307920f002648cd", "täsk/1?&=%+", "b"].map(id);
    for (prefix, path) in [
        ("", "/v1/database/query/import-results"),
        ("/", "/v1/database/query/import-results"),
        ("/gpt/api", "/gpt/api/v1/database/query/import-results"),
        ("/gpt/api/", "/gpt/api/v1/database/query/import-results"),
    ] {
        let base_url = simulator.base_url().join(prefix).unwrap();
        let client = Client::new(&params(base_url)).unwrap();
        client.import_results(&ids).await.unwrap();
        client.import_results(&ids[..1]).await.unwrap();
        let requests = simulator.control().requests();
        let [.., first, second] = &requests[..] else {
            panic!("{requests:?}");
        };
        assert_eq!((&*first.method, &*first.path), ("GET", path));
        assert_eq!(first.ids, ids.each_ref().map(ToString::to_string));
        assert_eq!(first.key, KeySeen::Good);
        let version = concat!("importwatch/", env!("CARGO_PKG_VERSION"));
        for (header, value) in [
            ("accept", Some("application/json")),
            ("content-type", Some("application/json")),
            ("user-agent", Some(version)),
            ("accept-encoding", Some("gzip")),
            ("referer", None),
        ] {
            assert_eq!(first.header(header), value, "{header}");
        }
        assert_eq!(first.peer, second.peer, "the connection is kept");
    }
}

#[tokio::test]
async fn reads_each_recorded_body() {
    type Expected<'a> = Result<&'a [(&'a str, Outcome, usize)], &'a str>;
    let table: [(&str, Expected<'_>); 10] = [
        (
            "answer-2024-envelope.json",
            Ok(&[("673e9cda9f7bc178002dbd9c", Outcome::Failed, 0)]),
        ),
        (
            "answer-2025-bare-available-partial.json",
            Ok(&[("68ee001a7e0b4e6bce74cd6a", Outcome::Partial, 1)]),
        ),
        (
            "answer-2025-bare-fail.json",
            Ok(&[("68ec7ad3e307920f002648cd", Outcome::Failed, 3)]),
        ),
        (
            "answer-2025-envelope-progress.json",
            Ok(&[("673e9cda9f7bc178002dbd9c", Outcome::Failed, 2)]),
        ),
        (
            "answer-broken-as-printed.txt",
            Err("cannot be read, it is not JSON"),
        ),
        (
            "error-40008-over-limit.json",
            Err("code 40008, \"Agent RPM request limit"),
        ),
        ("error-40127-bad-key.json", Err("the key is wrong")),
        ("error-50000.json", Err("\"Internal system error\"")),
        ("error-nested.json", Err("\"Parameter error\"")),
        ("import-answer.json", Ok(&[])),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let files: HashSet<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, table.iter().map(|row| row.0.to_owned()).collect());

    let (simulator, client) = pair(|_| ()).await;
    let ids = [
        "673e9cda9f7bc178002dbd9c",
        "68ee001a7e0b4e6bce74cd6a",
        "68ec7ad3e307920f002648cd",
    ];
    let ids = ids.map(id);
    for (file, expected) in table {
        let body = fs::read(folder.join(file)).unwrap();
        simulator
            .control()
            .change(|world| world.fault = Some(Fault::Body(body)));
        let answer = client.import_results(&ids).await;
        match (answer, expected) {
            (Ok(answer), Ok(expected)) => {
                let found: Vec<_> = answer
                    .found
                    .into_iter()
                    .map(|(id, snapshot)| match judge(snapshot) {
                        Verdict::Settled(told) => {
                            (id.to_string(), told.outcome, told.failures.len())
                        }
                        Verdict::Pending(pending) => panic!("{file}: {pending:?}"),
                    })
                    .collect();
                let expected: Vec<_> = expected
                    .iter()
                    .map(|(id, outcome, failures)| ((*id).to_owned(), *outcome, *failures))
                    .collect();
                assert_eq!(found, expected, "{file}");
                // The answer to an upload lists texts, not tasks: nothing is absent from it.
                let none = if file == "import-answer.json" {
                    &ids[..]
                } else {
                    &[]
                };
                assert_eq!(answer.unread, none, "{file}");
            }
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{file}: {error}");
            }
            (answer, _) => panic!("{file}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn reads_a_task_in_each_shape_plain_and_packed() {
    let details = vec![FailDetail {
        row: RowField::Row(2),
        start: Some(0),
        end: Some(0),
        reason: "`id` must be unique".to_owned(),
    }];
    let end = Ending::Partial {
        failed: 1,
        details: details.clone(),
    };
    let (simulator, client) = pair(|world| {
        world.add(id("done"), Plan::ends(4, Duration::ZERO, end));
        world.add(id("pending"), Plan::never(4));
        world.add(id("not-asked"), Plan::never(4));
    })
    .await;
    for shape in [Shape::Bare, Shape::Envelope, Shape::EnvelopeWithProgress] {
        for gzip in [false, true] {
            simulator.control().change(|world| {
                world.shape = shape;
                world.gzip = gzip;
            });
            let ids = ["absent", "pending", "done"].map(id);
            let answer = client.import_results(&ids).await.unwrap();
            let [(first, pending), (second, done)] = &answer.found[..] else {
                panic!("{shape:?}: {answer:?}");
            };
            assert_eq!([first, second], [&ids[1], &ids[2]]);
            assert_eq!(pending.status, Status::PendingParse);
            assert_eq!(done.status, Status::Available);
            assert_eq!(done.counts.succeeded, Some(3));
            assert_eq!(done.details, details);
            assert_eq!(answer.unread, []);
        }
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_hides_the_absent_but_not_the_found() {
    let (simulator, client) = pair(|world| {
        world.add(id("good"), Plan::never(1));
        let raw = Ending::Raw(r#"{"status":"AVAILABLE"}"#.to_owned());
        world.add(id("nameless"), Plan::ends(1, Duration::ZERO, raw));
    })
    .await;
    let ids = ["good", "nameless", "absent"].map(id);
    let answer = client.import_results(&ids).await.unwrap();
    assert_eq!(answer.found.len(), 1);
    assert_eq!(answer.unread, ids[1..]);
    simulator.control().change(|world| world.forget(&ids[1]));
    let answer = client.import_results(&ids).await.unwrap();
    assert_eq!(answer.unread, []);
}

#[tokio::test]
async fn tells_the_allowance() {
    let rate = Rate {
        requests: 3,
        window: Duration::from_hours(1),
        status: 429,
        retry_after: None,
        headers: true,
    };
    let (_simulator, client) = pair(|world| world.rate = Some(rate)).await;
    for left in [2, 1, 0] {
        let allowance = client.import_results(&[id("a")]).await.unwrap().allowance;
        assert_eq!(allowance.remaining, Some(left));
        let resets_in = allowance.resets_in.unwrap();
        assert!(resets_in > Duration::from_mins(30), "{resets_in:?}");
        assert!(resets_in <= Duration::from_secs(3_601), "{resets_in:?}");
    }
    let error = client.import_results(&[id("a")]).await.unwrap_err();
    assert_eq!(error.allowance().remaining, Some(0));
}

#[test]
fn a_client_is_not_made_of_what_cannot_be_one() {
    for base_url in [
        "ftp://host",
        "data:text/plain,x",
        "https://user@host",
        "https://:pass@host",
        "https://host/?a=b",
        "https://host/#a",
    ] {
        let error = Client::new(&params(base_url.parse().unwrap())).unwrap_err();
        assert!(
            matches!(error, BuildError::BaseUrl(_)),
            "{base_url}: {error}"
        );
    }
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "no certificate", no_certificate] {
        let error = Client::new(&ClientParams {
            ca_pem: Some(pem.into()),
            ..params("https://host".parse().unwrap())
        })
        .unwrap_err();
        assert!(matches!(error, BuildError::Authority(_)), "{pem}: {error}");
    }
}

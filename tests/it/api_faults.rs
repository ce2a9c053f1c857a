//! The client against a server that answers, and badly.

use std::time::{Duration, SystemTime};

use importwatch::account::ApiKey;
use importwatch::api::error::Error;
use importwatch::clock;
use importwatch::schedule::fault::Fault;
use importwatch::simulator::fault::Fault as Played;
use importwatch::simulator::world::{MaxIds, Plan, Rate, RetryAfter};

use crate::support::{KEY, LONG, id, key, pair, params};

const UNAVAILABLE: Fault = Fault::Unavailable { retry_after: None };

fn status(status: u16, body: &str) -> Played {
    status_with(status, &[], body)
}

fn status_with(status: u16, headers: &[(&str, &str)], body: &str) -> Played {
    Played::Status {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.into(),
    }
}

fn code(status_code: u16, code: i64) -> Played {
    status(status_code, &format!(r#"{{"code":{code},"message":"no"}}"#))
}

/// Asserts what each of `table`, all of them whole answers, is taken for.
async fn check(table: impl IntoIterator<Item = (Played, Fault)>) {
    let (simulator, client) = pair(|_| ()).await;
    for (played, expected) in table {
        let shown = format!("{played:?}");
        simulator
            .control()
            .change(|world| world.fault = Some(played));
        let error = client.import_results(&[id("a")]).await.unwrap_err();
        assert_eq!(error.fault(), expected, "{shown:.200}: {error}");
        let answered = !matches!(error, Error::NoAnswer { .. });
        assert!(answered, "{shown:.200}: {error}");
    }
}

#[tokio::test]
async fn the_table_of_bad_answers() {
    let page = "<html><title>502</title></html>";
    let limited = Fault::Limited { retry_after: None };
    let mut table = Vec::new();
    for (fault, statuses, codes) in [
        (
            Fault::Refused,
            &[401, 403][..],
            &[40127, 20055, 20059, 40353, 40378][..],
        ),
        (limited, &[429], &[40001, 40008]),
        (Fault::TooLarge, &[413, 414, 431], &[]),
        (Fault::Rejected, &[400], &[40000]),
        (UNAVAILABLE, &[408, 500, 502, 503, 504], &[50000]),
        (Fault::NotFound, &[404], &[]),
        (Fault::Refused, &[300, 301, 302, 303, 304, 307, 308], &[]),
    ] {
        table.extend(statuses.iter().map(|found| (status(*found, page), fault)));
        table.extend(statuses.iter().map(|found| (status(*found, ""), fault)));
        for found in codes {
            table.extend([200, 201, 400, 401, 404, 500].map(|under| (code(under, *found), fault)));
        }
    }
    table.push((code(200, 12345), UNAVAILABLE));
    table.push((code(400, 12345), Fault::Rejected));
    check(table).await;
}

#[tokio::test]
async fn unreadable_answers_are_nothing_but_that() {
    let bodies = [
        "",
        "<html>",
        "{}",
        "[",
        "null",
        "[]]",
        "{\"code\":0}",
        "\u{0}",
    ];
    let table = bodies.map(|body| (Played::Body(body.into()), UNAVAILABLE));
    check(table).await;
    check([
        (Played::Body(b"[\"\xff\"]".to_vec()), UNAVAILABLE),
        (status(204, ""), UNAVAILABLE),
        (Played::Body("[".repeat(200_000).into()), UNAVAILABLE),
    ])
    .await;
}

#[tokio::test]
async fn the_cap_is_on_the_unpacked_body() {
    const CAP: u64 = 16 << 20;
    check([
        (Played::TooLong(CAP + 1), Fault::TooLarge),
        (Played::GzipBomb(CAP + 1), Fault::TooLarge),
        // Whole, and blank but for a bracket.
        (Played::TooLong(CAP), UNAVAILABLE),
        (Played::GzipBomb(CAP), UNAVAILABLE),
    ])
    .await;
}

#[tokio::test]
async fn retry_after_is_heeded_up_to_an_hour() {
    let after = |seconds| Some(Duration::from_secs(seconds));
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    let far = httpdate::fmt_http_date(SystemTime::from(clock::wall()) + Duration::from_hours(48));
    let mut table = Vec::new();
    for (value, retry_after) in [
        ("7", after(7)),
        ("86400", after(3600)),
        (past, after(0)),
        (&far, after(3600)),
        ("soon", None),
    ] {
        let headers = [("Retry-After", value)];
        let over_limit = r#"{"code":40008,"message":"no"}"#;
        table.extend([
            (
                status_with(429, &headers, ""),
                Fault::Limited { retry_after },
            ),
            (
                status_with(200, &headers, over_limit),
                Fault::Limited { retry_after },
            ),
            (
                status_with(503, &headers, ""),
                Fault::Unavailable { retry_after },
            ),
        ]);
    }
    check(table).await;
}

#[tokio::test]
async fn the_simulators_own_refusals() {
    let (simulator, client) = pair(|world| {
        world.bad_ids.insert(id("bad"));
        world.add(id("a"), Plan::never(1));
    })
    .await;
    let ask = async |ids: &[&str]| {
        let ids: Vec<_> = ids.iter().map(|text| id(text)).collect();
        client
            .import_results(&ids)
            .await
            .map_err(|error| error.fault())
    };
    assert!(ask(&["a"]).await.is_ok());
    assert_eq!(ask(&["a", "bad"]).await, Err(Fault::Rejected));
    for (status, fault) in [
        (400, Fault::Rejected),
        (413, Fault::TooLarge),
        (414, Fault::TooLarge),
    ] {
        let max = MaxIds { ids: 1, status };
        simulator
            .control()
            .change(|world| world.max_ids = Some(max));
        assert_eq!(ask(&["a", "b"]).await, Err(fault));
        assert!(ask(&["a"]).await.is_ok());
    }
    for (status, retry_after) in [(429, RetryAfter::Seconds), (200, RetryAfter::Date)] {
        simulator.control().change(|world| {
            world.rate = Some(Rate {
                requests: 0,
                window: LONG,
                status,
                retry_after: Some(retry_after),
                headers: false,
            });
        });
        let fault = ask(&["a"]).await.unwrap_err();
        assert!(
            matches!(
                fault,
                Fault::Limited {
                    retry_after: Some(_)
                }
            ),
            "{fault:?}"
        );
    }
    for status in [200, 401] {
        simulator.control().change(|world| {
            world.key = ApiKey::new("another").unwrap();
            world.bad_key_status = status;
        });
        assert_eq!(ask(&["a"]).await, Err(Fault::Refused));
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let (other, _) = pair(|_| ()).await;
    let elsewhere = other.base_url();
    let port = elsewhere.port().unwrap();
    let (simulator, client) = pair(|_| ()).await;
    for (to, shown) in [
        (
            format!("{elsewhere}v1/x?ids=secret-id"),
            format!("http://127.0.0.1:{port} "),
        ),
        (
            format!("//user:pw@localhost:{port}/"),
            format!("http://localhost:{port} "),
        ),
        (
            "/login".to_owned(),
            simulator
                .base_url()
                .to_string()
                .trim_end_matches('/')
                .to_owned(),
        ),
        (
            format!("https://{KEY}.example/"),
            "https://(the key).example".to_owned(),
        ),
        (
            "https://h\u{202e}st/".to_owned(),
            "nowhere that can be read".to_owned(),
        ),
        ("mailto:x".to_owned(), "nowhere that can be read".to_owned()),
        ("http://[".to_owned(), "nowhere that can be read".to_owned()),
    ] {
        simulator
            .control()
            .change(|world| world.fault = Some(Played::Redirect(to)));
        let error = client.import_results(&[id("secret-id")]).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("the server redirects to {shown}")),
            "{text}"
        );
        for hidden in ["secret-id", "pw", KEY] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
    assert_eq!(other.control().requests(), []);
}

#[tokio::test]
async fn the_key_is_nowhere() {
    let (simulator, client) = pair(|_| ()).await;
    let shown = [
        format!("{client:?}"),
        format!("{:?}", params(simulator.base_url())),
    ];
    for shown in shown {
        assert!(!shown.contains(KEY), "{shown}");
    }
    let echo = format!(r#"{{"code":40127,"message":"bad key {KEY}"}}"#);
    for played in [
        status(401, &echo),
        status(200, &echo),
        status(500, &format!("no {KEY}")),
        Played::Body(format!("<title>{KEY}</title>").into()),
    ] {
        simulator
            .control()
            .change(|world| world.fault = Some(played));
        let error = client.import_results(&[id("a")]).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("(the key)"), "{text}");
        assert!(
            !text.contains(key().expose()) && !format!("{error:?}").contains(KEY),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn what_the_server_says_is_short_and_tame() {
    let message = format!("a\\u001b[2J\\u202e{}", "x".repeat(100_000));
    let played = status(
        500,
        &format!(r#"{{"code":50000,"msg":"{}"}}"#, &message[..60_000]),
    );
    let (_simulator, client) = pair(|world| world.fault = Some(played)).await;
    let error = client.import_results(&[id("a")]).await.unwrap_err();
    let Error::Declined(declined) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(declined.message.as_ref().unwrap().chars().count(), 300);
    let text = error.to_string();
    let start = "the server answered HTTP 500, code 50000, \"a\\u{1b}[2J\\u{202e}xxx";
    assert!(text.starts_with(start), "{text}");
}

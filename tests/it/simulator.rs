//! The simulator by itself, over plain sockets, since the client has no part of it.

use std::time::Duration;

use importwatch::clock;
use importwatch::simulator::Simulator;
use importwatch::simulator::fault::Fault;
use importwatch::simulator::request::KeySeen;
use importwatch::simulator::world::{Ending, Plan, Rate, RetryAfter, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{KEY, LONG, id, key, pair};

/// What the server sends for `sent`, up to the end of the connection.
async fn exchange(simulator: &Simulator, sent: &str) -> String {
    let port = simulator.base_url().port().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn upload() -> String {
    let body = r#"{"records":[]}"#;
    format!(
        "POST /v1/database/import/records HTTP/1.1\r\nauthorization: Bearer {KEY}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn question(ids: &str) -> String {
    format!(
        "GET /v1/database/query/import-results?{ids} HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\n"
    )
}

#[tokio::test]
async fn takes_uploads_and_knows_them() {
    let (simulator, _) = pair(|world| {
        world.uploads = Plan::ends(7, Duration::ZERO, Ending::Available);
    })
    .await;
    // Both on one connection, the second sent before the first is answered.
    let sent = format!("{}{}Connection: close\r\n\r\n", upload(), question("ids=x"));
    let answers = exchange(&simulator, &sent).await;
    let (_, told) = answers
        .split_once(r#"{"code":0,"message":"OK","data":[""#)
        .unwrap();
    let new = &told[..24];
    assert!(new.bytes().all(|b| b.is_ascii_hexdigit()), "{new}");
    assert!(answers.ends_with("[]"), "{answers}");

    let sent = format!(
        "{}Connection: close\r\n\r\n",
        question(&format!("ids={new}"))
    );
    let answer = exchange(&simulator, &sent).await;
    assert!(answer.contains(r#""status":"AVAILABLE""#), "{answer}");
    assert!(answer.contains(r#""total_count":7"#), "{answer}");
}

#[tokio::test]
async fn logs_what_it_received_and_never_a_key() {
    let before = clock::now();
    let (simulator, _) = pair(|_| ()).await;
    for authorization in ["", "Authorization: Bearer wrong\r\n"] {
        let sent = format!(
            "GET /x/v1/database/query/import-results?ids=a%2Fb&ids=c&other=d HTTP/1.1\r\n\
             {authorization}X-Odd: \u{e4}\r\nConnection: close\r\n\r\n"
        );
        let answer = exchange(&simulator, &sent).await;
        assert!(
            answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"),
            "{answer}"
        );
        assert!(answer.contains(r#""code":40127"#), "{answer}");
    }
    exchange(&simulator, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(simulator.control().received(3).await);
    let requests = simulator.control().requests();
    let keys: Vec<_> = requests.iter().map(|request| request.key).collect();
    assert_eq!(keys, [KeySeen::None, KeySeen::Bad, KeySeen::None]);
    assert_eq!(requests[0].ids, ["a/b", "c"]);
    assert_eq!(requests[0].path, "/x/v1/database/query/import-results");
    assert_eq!(requests[0].header("x-odd"), Some("\u{e4}"));
    assert!(requests[0].at >= before && requests[0].at <= requests[1].at);
    assert!(!format!("{requests:?}").contains("wrong"));
}

#[tokio::test]
async fn faults_come_in_turn_and_spare_uploads() {
    let (simulator, client) = pair(|world| {
        world
            .next_faults
            .extend([Fault::Body(b"1".to_vec()), Fault::Body(b"2".to_vec())]);
        world.fault = Some(Fault::Body(b"[]".to_vec()));
        world.rate = Some(Rate {
            requests: 4,
            window: LONG,
            status: 429,
            retry_after: Some(RetryAfter::Seconds),
            headers: false,
        });
    })
    .await;
    let answer = exchange(
        &simulator,
        &upload().replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for expected in [false, false, true] {
        assert_eq!(client.import_results(&[id("a")]).await.is_ok(), expected);
    }
    // Uploads draw on the same rate as questions.
    let answer = exchange(
        &simulator,
        &upload().replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    assert!(answer.contains("\r\nRetry-After: "), "{answer}");
}

#[tokio::test]
async fn stops_with_its_connections() {
    let mut world = World::new(key());
    world.fault = Some(Fault::Hang);
    let simulator = Simulator::start(world).await.unwrap();
    let (address, control) = (simulator.base_url(), simulator.control());
    let address = format!("127.0.0.1:{}", address.port().unwrap());
    let mut hanging = TcpStream::connect(&address).await.unwrap();
    let sent = format!("{}\r\n", question("ids=a"));
    hanging.write_all(sent.as_bytes()).await.unwrap();
    assert!(control.received(1).await);
    simulator.stop().await;
    assert_eq!(hanging.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(&address).await.is_err());
    assert!(!control.received(2).await);
}

#[tokio::test]
async fn a_world_that_is_dropped_lets_its_clients_go() {
    let (simulator, client) = pair(|world| world.fault = Some(Fault::Hang)).await;
    let control = simulator.control();
    let asked = tokio::spawn(async move { client.import_results(&[id("a")]).await });
    assert!(control.received(1).await);
    drop(simulator);
    assert!(asked.await.unwrap().is_err());
}

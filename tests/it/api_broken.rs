//! The client against a server that gives no answer, or half of one.

use std::error::Error as _;
use std::time::Duration;

use importwatch::api::client::{Client, ClientParams};
use importwatch::api::error::Error;
use importwatch::api::transport::Obstacle;
use importwatch::schedule::fault::Fault;
use importwatch::simulator::fault::Fault as Played;
use importwatch::simulator::world::Plan;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};

use crate::support::{LONG, id, pair, params};

const UNAVAILABLE: Fault = Fault::Unavailable { retry_after: None };

/// An answer that claims to be packed as `encoding` says.
fn status(status: u16, encoding: &str) -> Played {
    Played::Status {
        status,
        headers: vec![("Content-Encoding".to_owned(), encoding.to_owned())],
        body: b"[]".to_vec(),
    }
}

/// Asserts that `played` keeps the answer away by `expected`, and gives back the error's text.
async fn obstructed(played: Played, request_timeout: Duration, expected: Obstacle) -> String {
    let (simulator, _) = pair(|world| world.fault = Some(played)).await;
    let client = Client::new(&ClientParams {
        request_timeout,
        ..params(simulator.base_url())
    })
    .unwrap();
    let error = client.import_results(&[id("secret-id")]).await.unwrap_err();
    assert_eq!(error.fault(), UNAVAILABLE);
    let Error::NoAnswer { obstacle, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(obstacle, expected, "{error:?}");
    assert!(error.source().is_some());
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(!shown.contains("secret-id"), "{shown}");
    }
    error.to_string()
}

#[tokio::test]
async fn broken_answers_are_told_apart_from_slow_ones() {
    for played in [
        Played::Reset,
        Played::ResetInBody,
        Played::Garbage,
        status(200, "gzip"),
    ] {
        let text = obstructed(played, LONG, Obstacle::Broken).await;
        assert!(text.contains("broke off or is not HTTP"), "{text}");
    }
    let soon = Duration::from_millis(200);
    for played in [
        Played::Hang,
        Played::StallInBody,
        Played::Drip(Duration::from_millis(100)),
    ] {
        let text = obstructed(played, soon, Obstacle::Timeout).await;
        assert!(text.contains("request_timeout"), "{text}");
    }
}

#[tokio::test]
async fn a_drip_that_ends_in_time_is_an_answer() {
    let (simulator, client) = pair(|world| world.add(id("a"), Plan::never(1))).await;
    simulator.control().change(|world| {
        world.next_faults.push_back(Played::Drip(Duration::ZERO));
    });
    assert_eq!(
        client.import_results(&[id("a")]).await.unwrap().found.len(),
        1
    );
}

#[tokio::test]
async fn a_request_is_never_sent_twice() {
    for played in [
        Played::Reset,
        Played::Garbage,
        status(503, "identity"),
        status(429, "identity"),
    ] {
        let (simulator, client) = pair(|world| world.fault = Some(played)).await;
        client.import_results(&[id("a")]).await.unwrap_err();
        assert_eq!(simulator.control().requests().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    // Bound and not listening: nobody else gets the port meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let client = Client::new(&params(format!("http://127.0.0.1:{port}").parse().unwrap())).unwrap();
    let error = client.import_results(&[id("a")]).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("127.0.0.1:{port} refuses connections")),
        "{text}"
    );
}

#[tokio::test]
async fn an_error_is_known_by_its_beginning() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut request).await.unwrap();
        }
        let head = format!("HTTP/1.1 503 No\r\nContent-Length: {}\r\n\r\n", 64 << 20);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; 64 << 20]).await
    });
    let client = Client::new(&params(format!("http://{address}").parse().unwrap())).unwrap();
    let error = client.import_results(&[id("a")]).await.unwrap_err();
    assert!(
        matches!(&error, Error::Declined(declined) if declined.status == 503),
        "{error:?}"
    );
    // The rest is more than the sockets hold, so it went only where it was read.
    assert!(server.await.unwrap().is_err());
}

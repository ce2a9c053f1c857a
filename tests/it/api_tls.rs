//! The client over TLS, with certificates good and bad.

use std::sync::Arc;
use std::time::Duration;

use importwatch::api::client::{Client, ClientParams};
use importwatch::api::error::Error;
use importwatch::api::transport::Obstacle;
use importwatch::schedule::fault::Fault;
use importwatch::simulator::Simulator;
use importwatch::simulator::world::Plan;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::support::{LONG, id, pair, params};

/// A simulator behind TLS, under a private authority.
pub(crate) struct Secured {
    _simulator: Simulator,
    /// The port of the TLS side.
    pub(crate) port: u16,
    /// The authority's certificate.
    pub(crate) ca_pem: Vec<u8>,
}

impl Secured {
    pub(crate) fn params(&self, ca_pem: Option<Vec<u8>>) -> ClientParams {
        ClientParams {
            ca_pem,
            ..params(format!("https://localhost:{}/", self.port).parse().unwrap())
        }
    }
}

/// Starts one with a certificate for `name` that runs out at the beginning of `until`.
pub(crate) async fn secured(name: &str, until: i32) -> Secured {
    secured_by("one authority", name, until).await
}

async fn secured_by(authority_name: &str, name: &str, until: i32) -> Secured {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority
        .distinguished_name
        .push(DnType::CommonName, authority_name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = CertificateParams::new([name.to_owned()]).unwrap();
    leaf.not_after = date_time_ymd(until, 1, 1);
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let (simulator, _) = pair(|world| world.add(id("a"), Plan::never(1))).await;
    let behind = simulator.base_url().port().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Clients that do not trust us break off here, which is what is tested.
                let Ok(mut front) = acceptor.accept(stream).await else {
                    return;
                };
                let mut back = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut front, &mut back).await;
            });
        }
    });
    Secured {
        _simulator: simulator,
        port,
        ca_pem: issuer.pem().into_bytes(),
    }
}

async fn obstacle(params: &ClientParams) -> (Obstacle, String) {
    let client = Client::new(params).unwrap();
    let error = client.import_results(&[id("a")]).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Unavailable { retry_after: None });
    match &error {
        Error::NoAnswer { obstacle, .. } => (*obstacle, error.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_given() {
    let server = secured("localhost", 2999).await;
    let client = Client::new(&server.params(Some(server.ca_pem.clone()))).unwrap();
    let answer = client.import_results(&[id("a")]).await.unwrap();
    assert_eq!(answer.found.len(), 1);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_says_what_to_do() {
    let server = secured("localhost", 2999).await;
    let other = secured_by("another", "localhost", 2999).await;
    let renewed = secured("localhost", 2999).await;
    let expired = secured("localhost", 2001).await;
    let elsewhere = secured("elsewhere.example", 2999).await;
    for (params, advice) in [
        (server.params(Some(other.ca_pem.clone())), "as ca_file"),
        (server.params(Some(renewed.ca_pem.clone())), "as ca_file"),
        (
            expired.params(Some(expired.ca_pem.clone())),
            "it has run out; check this machine's clock",
        ),
        (
            elsewhere.params(Some(elsewhere.ca_pem.clone())),
            "it is for another host",
        ),
    ] {
        let (obstacle, text) = obstacle(&params).await;
        assert_eq!(obstacle, Obstacle::Certificate, "{text}");
        assert!(
            text.starts_with("the TLS certificate of localhost:"),
            "{text}"
        );
        assert!(text.contains(advice), "{text}");
    }
}

#[tokio::test]
async fn a_port_without_tls_says_so() {
    let (simulator, _) = pair(|_| ()).await;
    let server = secured("localhost", 2999).await;
    let plain = ClientParams {
        base_url: format!("https://127.0.0.1:{}", simulator.base_url().port().unwrap())
            .parse()
            .unwrap(),
        ..server.params(Some(server.ca_pem.clone()))
    };
    let (obstacle, text) = obstacle(&plain).await;
    assert_eq!(obstacle, Obstacle::Tls, "{text}");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_about_is_a_connect_timeout() {
    let server = secured("localhost", 2999).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let params = ClientParams {
        base_url: format!("https://{}", silent.local_addr().unwrap())
            .parse()
            .unwrap(),
        connect_timeout: Duration::from_millis(100),
        request_timeout: LONG,
        ..server.params(Some(server.ca_pem.clone()))
    };
    let (obstacle, text) = obstacle(&params).await;
    assert_eq!(obstacle, Obstacle::ConnectTimeout, "{text}");
    assert!(text.contains("connect_timeout"), "{text}");
}

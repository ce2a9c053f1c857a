//! A way to the simulated server on which everything below HTTP can go wrong.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// How the way is.
#[derive(Clone)]
pub(crate) enum Way {
    /// Straight to the server.
    Plain,
    /// To the server, behind TLS.
    Tls(TlsAcceptor),
    /// Behind TLS a server that speaks HTTP/2: it greets, reads on, and never answers anything.
    SilentHttp2(TlsAcceptor),
    /// What comes is read, and nothing ever answered.
    Mute,
    /// A page in plain text comes back at once, whatever was sent.
    Page,
    /// The connection is taken and closed at once.
    Shut,
    /// An answer's head that never ends: one line after another, or one line without an end.
    EndlessHead(&'static str),
    /// A body in chunks that never ends.
    EndlessBody,
    /// A body in chunks whose end is cut off.
    CutOff,
}

/// A port that leads to a server, or should.
pub(crate) struct Gate {
    /// Bound, so that nobody else gets the port, and not listening: it refuses connections.
    socket: Option<TcpSocket>,
    pub(crate) port: u16,
    behind: u16,
    way: Arc<Mutex<Way>>,
    taken: Arc<AtomicU64>,
}

impl Gate {
    /// A gate to the server at the port `behind` that refuses connections until it is opened.
    pub(crate) fn refusing(behind: u16) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self {
            port: socket.local_addr().unwrap().port(),
            socket: Some(socket),
            behind,
            way: Arc::new(Mutex::new(Way::Plain)),
            taken: Arc::default(),
        }
    }

    /// How many connections it has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    /// Lets connections in, by this way from now on; those that are there stay on theirs.
    pub(crate) fn open(&mut self, way: Way) {
        *self.way.lock().unwrap() = way;
        let Some(socket) = self.socket.take() else {
            return;
        };
        let listener = socket.listen(128).unwrap();
        let (way, taken, behind) = (Arc::clone(&self.way), Arc::clone(&self.taken), self.behind);
        tokio::spawn(take_all(listener, way, taken, behind));
    }
}

async fn take_all(listener: TcpListener, way: Arc<Mutex<Way>>, taken: Arc<AtomicU64>, behind: u16) {
    while let Ok((stream, _)) = listener.accept().await {
        let way = way.lock().unwrap().clone();
        let taken = Arc::clone(&taken);
        tokio::spawn(async move {
            // A client that breaks off is what most of this is about.
            let _ = lead(stream, way, behind, &taken).await;
        });
    }
}

async fn lead(
    mut stream: TcpStream,
    way: Way,
    behind: u16,
    taken: &AtomicU64,
) -> std::io::Result<()> {
    taken.fetch_add(1, Ordering::SeqCst);
    match way {
        Way::Plain => pass(stream, behind).await,
        Way::Tls(acceptor) => pass(acceptor.accept(stream).await?, behind).await,
        Way::SilentHttp2(acceptor) => {
            let mut stream = acceptor.accept(stream).await?;
            // An empty frame of settings.
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
            stream.flush().await?;
            swallow(&mut stream).await
        }
        Way::Mute => swallow(&mut stream).await,
        Way::Page => {
            let page = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno";
            stream.write_all(page).await?;
            swallow(&mut stream).await
        }
        Way::Shut => Ok(()),
        Way::EndlessHead(part) => {
            request(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nX-First: ").await?;
            endless(&mut stream, part.as_bytes()).await
        }
        Way::EndlessBody => {
            request(&mut stream).await?;
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n";
            stream.write_all(head).await?;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            endless(&mut stream, chunk.as_bytes()).await
        }
        Way::CutOff => {
            request(&mut stream).await?;
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n";
            stream.write_all(head).await
        }
    }
}

async fn pass(mut front: impl AsyncRead + AsyncWrite + Unpin, behind: u16) -> std::io::Result<()> {
    let mut back = TcpStream::connect(("127.0.0.1", behind)).await?;
    tokio::io::copy_bidirectional(&mut front, &mut back).await?;
    Ok(())
}

async fn swallow(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    let mut passed_over = [0; 4096];
    while stream.read(&mut passed_over).await? > 0 {}
    Ok(())
}

async fn request(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Writes the same over and over, until nobody takes it any more.
async fn endless(stream: &mut TcpStream, part: &[u8]) -> std::io::Result<()> {
    loop {
        stream.write_all(part).await?;
    }
}

/// An authority, and what it signs.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A way behind TLS with a certificate for `name` that runs out at the beginning of `until`.
    pub(crate) fn tls(&self, name: &str, until: i32) -> Way {
        let (leaf, key) = leaf(name, until);
        let leaf = leaf.signed_by(&key, &self.0).unwrap();
        Way::Tls(acceptor(config(leaf.der().clone(), &key)))
    }

    /// A way to a server that offers HTTP/2 and is silent.
    pub(crate) fn silent_http_2(&self, name: &str) -> Way {
        let (leaf, key) = leaf(name, 2999);
        let leaf = leaf.signed_by(&key, &self.0).unwrap();
        let mut config = config(leaf.der().clone(), &key);
        config.alpn_protocols = vec![b"h2".to_vec()];
        Way::SilentHttp2(acceptor(config))
    }
}

/// A way behind TLS with a certificate that nobody else has signed.
pub(crate) fn self_signed(name: &str) -> Way {
    let (leaf, key) = leaf(name, 2999);
    let leaf = leaf.self_signed(&key).unwrap();
    Way::Tls(acceptor(config(leaf.der().clone(), &key)))
}

fn leaf(name: &str, until: i32) -> (CertificateParams, KeyPair) {
    let mut leaf = CertificateParams::new([name.to_owned()]).unwrap();
    leaf.not_after = date_time_ymd(until, 1, 1);
    (leaf, KeyPair::generate().unwrap())
}

fn config(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

fn acceptor(config: ServerConfig) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(config))
}

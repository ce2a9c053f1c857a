//! Reads a request as far as the simulated server needs it.
//!
//! It never keeps a key: of `Authorization` it keeps whether it was the right one.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use url::form_urlencoded;

use crate::account::ApiKey;
use crate::clock::{self, Instant};

/// The longest head that is read, in bytes: far above what servers take, so that the world decides.
const MAX_HEAD: usize = 1 << 20;

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 64 << 20;

/// A request that the simulated server received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// When it had arrived.
    pub at: Instant,
    /// From where.
    pub peer: SocketAddr,
    /// Its method.
    pub method: String,
    /// Its path, as sent, without the query.
    pub path: String,
    /// The `ids` of its query, in order, decoded.
    pub ids: Vec<String>,
    /// Which key it came with.
    pub key: KeySeen,
    /// Its other headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// Which key a request came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySeen {
    /// The right one.
    Good,
    /// Another, or not as `Bearer`.
    Bad,
    /// None.
    None,
}

impl Request {
    /// The value of a header, its name in lower case; the first if it came more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Reads the next request, body included; `None` where the client has closed. `left` holds what
    /// was read beyond the request before. What is not HTTP is an error of the kind `InvalidData`.
    pub(super) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        left: &mut Vec<u8>,
        peer: SocketAddr,
        key: impl Fn() -> ApiKey,
    ) -> io::Result<Option<Self>> {
        let (head, request) = loop {
            if let Some(parsed) = parse(left, peer, &key)? {
                break parsed;
            }
            if left.len() > MAX_HEAD {
                return Err(invalid("the head is too long"));
            }
            if stream.read_buf(left).await? == 0 {
                return Ok(None);
            }
        };
        let body = match request.header("content-length") {
            Some(length) => length.parse().map_err(|_| invalid("odd content-length"))?,
            None if request.header("transfer-encoding").is_some() => {
                return Err(invalid("a body must come with its length"));
            }
            None => 0,
        };
        if body > MAX_BODY {
            return Err(invalid("the body is too long"));
        }
        while left.len() < head + body {
            if stream.read_buf(left).await? == 0 {
                return Ok(None);
            }
        }
        left.drain(..head + body);
        Ok(Some(request))
    }
}

/// The request at the beginning of `bytes` and the length of its head, once that is whole.
fn parse(
    bytes: &[u8],
    peer: SocketAddr,
    key: impl Fn() -> ApiKey,
) -> io::Result<Option<(usize, Request)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = parsed.parse(bytes).map_err(not_http)? else {
        return Ok(None);
    };
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        at: clock::now(),
        peer,
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        ids: form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| name == "ids")
            .map(|(_, id)| id.into_owned())
            .collect(),
        key: KeySeen::None,
        headers: Vec::new(),
    };
    for header in parsed.headers.iter() {
        if header.name.eq_ignore_ascii_case("authorization") {
            let good = format!("Bearer {}", key().expose());
            request.key = if header.value == good.as_bytes() {
                KeySeen::Good
            } else {
                KeySeen::Bad
            };
        } else {
            let value = String::from_utf8_lossy(header.value).into_owned();
            request
                .headers
                .push((header.name.to_ascii_lowercase(), value));
        }
    }
    Ok(Some((head, request)))
}

fn not_http(error: httparse::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

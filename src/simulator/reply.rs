//! An answer as it goes over the wire.
//!
//! It never decides what is answered.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// An answer, not yet sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn new(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }

    pub(super) fn json(status: u16, body: String) -> Self {
        let kind = ("Content-Type".to_owned(), "application/json".to_owned());
        Self::new(status, vec![kind], body.into_bytes())
    }

    pub(super) fn code(status: u16, code: u32, message: &str) -> Self {
        let body = serde_json::json!({"code": code, "message": message});
        Self::json(status, body.to_string())
    }

    /// What a gateway answers in the application's place.
    pub(super) fn page(status: u16) -> Self {
        let title = format!("{status} {}", reason(status));
        let page = format!("<html><head><title>{title}</title></head><body>{title}</body></html>");
        let kind = ("Content-Type".to_owned(), "text/html".to_owned());
        Self::new(status, vec![kind], page.into_bytes())
    }

    pub(super) fn header(&mut self, name: &str, value: &impl ToString) {
        self.headers.push((name.to_owned(), value.to_string()));
    }

    /// The head of an answer with a body of `length` bytes.
    pub(super) fn head(status: u16, headers: &[(String, String)], length: u64) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        for (name, value) in headers {
            // Writing to a String does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let _ = write!(head, "Content-Length: {length}\r\n\r\n");
        head.into_bytes()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Self::head(self.status, &self.headers, self.body.len() as u64);
        bytes.extend(self.body);
        bytes
    }
}

/// Sends a whole answer.
pub(super) async fn send(mut stream: TcpStream, reply: Reply) -> io::Result<Option<TcpStream>> {
    stream.write_all(&reply.into_bytes()).await?;
    Ok(Some(stream))
}

/// `bytes` as gzip.
pub(super) fn packed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn reason(status: u16) -> &'static str {
    let status = StatusCode::from_u16(status).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unknown")
}

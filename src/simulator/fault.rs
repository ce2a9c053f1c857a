//! The ways in which the simulated server fails to give a good answer, and the bytes of each.
//!
//! It never decides when: that is up to the world's `fault` and `next_faults`.

use std::io::{self, Write as _};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::simulator::reply::{Reply, send};

/// A way not to give a good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Another status, with these headers and this body.
    Status {
        /// The HTTP status.
        status: u16,
        /// Headers beside `Content-Length`.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Status 200 with this body.
    Body(Vec<u8>),
    /// A redirect (302) to this, a URL or not.
    Redirect(String),
    /// The connection is reset before the answer.
    Reset,
    /// It is reset in the middle of the good answer's body.
    ResetInBody,
    /// The good answer stops in the middle of its body, and the connection stays open.
    StallInBody,
    /// The good answer comes a byte at a time, with this between any two.
    Drip(Duration),
    /// Something that is not HTTP.
    Garbage,
    /// A body of this many bytes, the beginning of a list.
    TooLong(u64),
    /// The same, packed: a few bytes a kilobyte.
    GzipBomb(u64),
    /// No answer ever.
    Hang,
}

impl Fault {
    /// Does it to a question whose good answer is `good`. Gives back the connection where another
    /// request may follow on it.
    pub(super) async fn play(
        self,
        mut stream: TcpStream,
        good: Reply,
    ) -> io::Result<Option<TcpStream>> {
        match self {
            Self::Status {
                status,
                headers,
                body,
            } => return send(stream, Reply::new(status, headers, body)).await,
            Self::Body(body) => return send(stream, Reply::new(200, Vec::new(), body)).await,
            Self::Redirect(to) => {
                let headers = vec![("Location".to_owned(), to)];
                return send(stream, Reply::new(302, headers, Vec::new())).await;
            }
            Self::Reset => stream.set_zero_linger()?,
            Self::ResetInBody => {
                write_half(&mut stream, good).await?;
                stream.set_zero_linger()?;
            }
            Self::StallInBody => {
                write_half(&mut stream, good).await?;
                wait_for_close(&mut stream).await;
            }
            Self::Drip(interval) => {
                for byte in good.into_bytes() {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(interval).await;
                }
                return Ok(Some(stream));
            }
            Self::Garbage => {
                stream
                    .write_all(b"\x00\x01SSH-2.0-not-http\r\n\r\n")
                    .await?;
            }
            Self::TooLong(length) => {
                stream.write_all(&Reply::head(200, &[], length)).await?;
                let mut left = length;
                let mut chunk = vec![b'['];
                while left > 0 {
                    chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    stream.write_all(&chunk).await?;
                    left -= chunk.len() as u64;
                    chunk = vec![b' '; 64 << 10];
                }
                return Ok(Some(stream));
            }
            Self::GzipBomb(length) => {
                let packed = packed_blanks(length)?;
                let headers = vec![("Content-Encoding".to_owned(), "gzip".to_owned())];
                return send(stream, Reply::new(200, headers, packed)).await;
            }
            Self::Hang => wait_for_close(&mut stream).await,
        }
        Ok(None)
    }
}

fn packed_blanks(length: u64) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(b"[")?;
    let mut left = length.saturating_sub(1);
    let blanks = vec![b' '; 64 << 10];
    while left > 0 {
        let part = usize::try_from(left).map_or(blanks.len(), |left| left.min(blanks.len()));
        encoder.write_all(&blanks[..part])?;
        left -= part as u64;
    }
    encoder.finish()
}

async fn write_half(stream: &mut TcpStream, good: Reply) -> io::Result<()> {
    let head = Reply::head(good.status, &good.headers, good.body.len() as u64);
    stream.write_all(&head).await?;
    stream.write_all(&good.body[..good.body.len() / 2]).await
}

async fn wait_for_close(stream: &mut TcpStream) {
    let mut passed_over = [0; 1024];
    while stream
        .read(&mut passed_over)
        .await
        .is_ok_and(|read| read > 0)
    {}
}

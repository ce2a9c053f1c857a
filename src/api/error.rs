//! What can go wrong with a request: what the user reads of it, and which fault it is.
//!
//! Nothing here holds the key or the query of a URL, and what the server wrote is bounded when it is
//! kept and escaped when it is shown.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::api::excerpt::Shown;
use crate::api::transport::{self, Obstacle};
use crate::api::wire::Unreadable;
use crate::schedule::fault::{Allowance, Fault};

/// Why no client could be made of its parameters.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The base URL cannot carry the endpoint's path or the key.
    #[error("base_url {0}; write it like https://api-sg.gptbots.ai")]
    BaseUrl(&'static str),
    /// The key does not fit into a header.
    #[error("the key does not fit into a header: copy it again from the console")]
    Key(#[source] reqwest::header::InvalidHeaderValue),
    /// The extra authorities are not certificates.
    #[error(
        "ca_file holds no certificate that can be used: it must be PEM, with BEGIN CERTIFICATE lines"
    )]
    Authority(#[source] Option<reqwest::Error>),
    /// This system lists no authorities, and none were given.
    #[error(
        "no TLS with {host}, since this system has no CA certificates: install the package ca-certificates, or set ca_file"
    )]
    NoAuthorities {
        /// The host, and its port where it is not the usual one.
        host: String,
        /// What the TLS library said.
        #[source]
        source: reqwest::Error,
    },
}

/// Why a request brought no answer about its tasks.
#[derive(Debug, Error)]
pub enum Error {
    /// There was no answer, or not a whole one.
    #[error("{}", NoAnswer { host, obstacle: *obstacle, source })]
    NoAnswer {
        /// The host, and its port where it is not the usual one.
        host: String,
        /// What was in the way.
        obstacle: Obstacle,
        /// The HTTP client's error, without its URL.
        #[source]
        source: reqwest::Error,
    },
    /// The server answered that it will not answer: by its HTTP status, or by a code in the body.
    #[error("{0}")]
    Declined(Declined),
    /// The server points elsewhere (HTTP 3xx).
    #[error(
        "the server redirects to {target} (HTTP {status}), which is not followed, so that the key goes to no one else: if that is the right server, set base_url to it"
    )]
    Redirect {
        /// The HTTP status.
        status: u16,
        /// Where to: scheme, host and port, or words in their place; safe to show.
        target: String,
    },
    /// The body, unpacked, is longer than any good answer.
    #[error("the answer is longer than {} MiB: fewer ids are asked at once; if it goes on, check base_url", limit >> 20)]
    TooLong {
        /// What it may be at most, in bytes.
        limit: usize,
    },
    /// The answer is none of those that the endpoint is known to give.
    #[error("the answer (HTTP {status}{}) cannot be read, {source}: it is tried again; if it goes on, check base_url and what lies between", Quoted(gist.as_deref()))]
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// What the body says in short, where it is a page or a text; at most 300 characters.
        /// Hostile.
        gist: Option<String>,
        /// What is wrong with it.
        #[source]
        source: Unreadable,
    },
}

/// An answer that is a no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined {
    /// The HTTP status.
    pub status: u16,
    /// The code in the body, where it has one.
    pub code: Option<i64>,
    /// The HTTP status that the body names, where it does.
    pub body_status: Option<u16>,
    /// What the server says, at most 300 characters. Hostile.
    pub message: Option<String>,
    /// `Retry-After`, at most an hour.
    pub retry_after: Option<Duration>,
    /// What the headers tell of the account's rate.
    pub allowance: Allowance,
}

/// What a code or a status stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    BadKey,
    Closed,
    NotFound,
    Limited,
    TooLarge,
    Rejected,
    Unavailable,
}

impl Error {
    /// What follows from it for the account.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoAnswer { .. } | Self::Unreadable { .. } => {
                Fault::Unavailable { retry_after: None }
            }
            Self::Declined(declined) => declined.fault(),
            Self::Redirect { .. } => Fault::Refused,
            Self::TooLong { .. } => Fault::TooLarge,
        }
    }

    /// What the answer's headers told of the account's rate; nothing where there was no answer.
    #[must_use]
    pub fn allowance(&self) -> Allowance {
        match self {
            Self::Declined(declined) => declined.allowance,
            _ => Allowance::default(),
        }
    }
}

impl Declined {
    fn fault(&self) -> Fault {
        let retry_after = self.retry_after;
        match self.meaning() {
            Meaning::BadKey | Meaning::Closed => Fault::Refused,
            Meaning::NotFound => Fault::NotFound,
            Meaning::Limited => Fault::Limited {
                retry_after: retry_after.max(self.reset()),
            },
            Meaning::TooLarge => Fault::TooLarge,
            Meaning::Rejected => Fault::Rejected,
            Meaning::Unavailable => Fault::Unavailable { retry_after },
        }
    }

    /// When the allowance is renewed, where it is the one that is used up.
    fn reset(&self) -> Option<Duration> {
        let Allowance {
            remaining,
            resets_in,
            ..
        } = self.allowance;
        resets_in.filter(|_| remaining.is_none_or(|left| left == 0))
    }

    /// By the code where it is a known one, else by the status: a gateway may put its own status on
    /// the application's answer, and never the other way round.
    fn meaning(&self) -> Meaning {
        let by_code = match self.code {
            Some(40127) => Some(Meaning::BadKey),
            Some(20055 | 20059 | 40353 | 40378) => Some(Meaning::Closed),
            Some(40001 | 40008) => Some(Meaning::Limited),
            Some(40000) => Some(Meaning::Rejected),
            Some(50000) => Some(Meaning::Unavailable),
            _ => None,
        };
        let status = match self.status {
            200..=299 => self.body_status.unwrap_or(self.status),
            status => status,
        };
        by_code.unwrap_or(match status {
            401 | 403 => Meaning::BadKey,
            402 => Meaning::Closed,
            // 405 and 410 come from a server that has something else at the path.
            404 | 405 | 410 => Meaning::NotFound,
            429 => Meaning::Limited,
            413 | 414 | 431 => Meaning::TooLarge,
            400 | 422 => Meaning::Rejected,
            _ => Meaning::Unavailable,
        })
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered HTTP {}", self.status)?;
        if let Some(code) = self.code {
            write!(f, ", code {code}")?;
        }
        write!(f, "{}: ", Quoted(self.message.as_deref()))?;
        f.write_str(match self.meaning() {
            Meaning::BadKey => {
                "the key is wrong, revoked, or of another region; check the key and the endpoint"
            }
            Meaning::Closed => {
                "the API is off, the Agent is deleted, or the plan does not include it; look at the Agent in the console"
            }
            Meaning::NotFound => "there is no such endpoint at this URL; check base_url",
            Meaning::Limited => {
                "over the rate limit, so requests are slowed down; if it goes on, lower requests_per_minute"
            }
            Meaning::TooLarge => "too many ids for one request, so fewer are asked at once",
            Meaning::Rejected => {
                "it does not take the ids, so they are asked in smaller parts to find out why"
            }
            Meaning::Unavailable => "something is wrong on its side, so it is tried again later",
        })
    }
}

struct NoAnswer<'a> {
    host: &'a str,
    obstacle: Obstacle,
    source: &'a reqwest::Error,
}

impl fmt::Display for NoAnswer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        transport::explain(f, self.host, self.obstacle, self.source)
    }
}

/// What the server wrote, behind a comma and between quotes, or nothing.
struct Quoted<'a>(Option<&'a str>);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => write!(f, ", \"{}\"", Shown(text)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Option<Duration> = Some(Duration::from_secs(7));

    fn declined(status: u16, code: Option<i64>) -> Declined {
        Declined {
            status,
            code,
            body_status: None,
            message: None,
            retry_after: AFTER,
            allowance: Allowance::default(),
        }
    }

    #[test]
    fn the_table_of_bad_answers() {
        let limited = Fault::Limited { retry_after: AFTER };
        let unavailable = Fault::Unavailable { retry_after: AFTER };
        for (faults, statuses, codes) in [
            (
                Fault::Refused,
                &[401, 402, 403][..],
                &[40127, 20055, 20059, 40353, 40378][..],
            ),
            (Fault::NotFound, &[404, 405, 410], &[]),
            (limited, &[429], &[40001, 40008]),
            (Fault::TooLarge, &[413, 414, 431], &[]),
            (Fault::Rejected, &[400, 422], &[40000]),
            (
                unavailable,
                &[408, 409, 418, 500, 502, 503, 504, 599],
                &[50000],
            ),
        ] {
            for &status in statuses {
                assert_eq!(declined(status, None).fault(), faults, "{status}");
                assert_eq!(
                    declined(status, Some(7)).fault(),
                    faults,
                    "{status}, odd code"
                );
                let nested = Declined {
                    body_status: Some(status),
                    ..declined(200, None)
                };
                assert_eq!(nested.fault(), faults, "{status} in the body");
            }
            for &code in codes {
                for status in [200, 400, 404, 429, 500] {
                    let found = declined(status, Some(code)).fault();
                    assert_eq!(found, faults, "{code} under {status}");
                }
            }
        }
        for unknown in [1, -1, 200, 404, 99999] {
            assert_eq!(declined(200, Some(unknown)).fault(), unavailable);
        }
        // A status that came with the answer counts for more than one written in it.
        let nested = Declined {
            body_status: Some(404),
            ..declined(503, None)
        };
        assert_eq!(nested.fault(), unavailable);
    }

    #[test]
    fn over_the_limit_the_reset_of_what_is_used_up_counts() {
        let limited = |remaining, retry_after| {
            let allowance = Allowance {
                limit: None,
                remaining,
                resets_in: Some(Duration::from_secs(40)),
            };
            let declined = Declined {
                retry_after,
                allowance,
                ..declined(429, None)
            };
            match declined.fault() {
                Fault::Limited { retry_after } => retry_after.map(|wait| wait.as_secs()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(limited(Some(0), None), Some(40));
        assert_eq!(limited(None, None), Some(40));
        assert_eq!(limited(Some(0), AFTER), Some(40));
        assert_eq!(limited(Some(5), AFTER), Some(7));
        // The reset is that of another limit than the one that was hit.
        assert_eq!(limited(Some(5), None), None);
    }

    #[test]
    fn a_message_cannot_act_on_the_screen() {
        let error = Error::Declined(Declined {
            message: Some("no\u{1b}[2J\u{202e}\n2026 INFO task settled".to_owned()),
            ..declined(401, Some(40127))
        });
        assert_eq!(
            error.to_string(),
            "the server answered HTTP 401, code 40127, \"no\\u{1b}[2J\\u{202e}\\n2026 INFO task settled\": \
             the key is wrong, revoked, or of another region; check the key and the endpoint"
        );
    }
}

//! Tells what kept a request from being answered, so that the user learns what to do about it.
//!
//! It never decides what follows: for the schedule all of it is the same.

use std::error::Error;
use std::fmt;
use std::io;
use std::iter;

use rustls::CertificateError;

use crate::api::excerpt::Shown;

/// What was in the way of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The host's name does not resolve.
    Lookup,
    /// Nothing listens at the port.
    ConnectionRefused,
    /// No connection within the connect timeout.
    ConnectTimeout,
    /// No connection for another reason.
    Connect,
    /// The server's certificate is not to be trusted.
    Certificate,
    /// TLS failed in another way: perhaps there is none at the port.
    Tls,
    /// No whole answer within the request timeout.
    Timeout,
    /// The connection or the answer broke off, or it was not HTTP.
    Broken,
}

/// What kept a request from being answered.
pub(super) fn obstacle(error: &reqwest::Error) -> Obstacle {
    // A connection that times out is both, and so is a body that does.
    if error.is_timeout() {
        return if error.is_connect() {
            Obstacle::ConnectTimeout
        } else {
            Obstacle::Timeout
        };
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return match tls {
            rustls::Error::InvalidCertificate(_) => Obstacle::Certificate,
            _ => Obstacle::Tls,
        };
    }
    if error.is_dns() {
        return Obstacle::Lookup;
    }
    let refused = chain(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|io| io.kind() == io::ErrorKind::ConnectionRefused);
    if refused {
        Obstacle::ConnectionRefused
    } else if error.is_connect() {
        Obstacle::Connect
    } else {
        Obstacle::Broken
    }
}

/// What `obstacle` means for the user of `host`, and what to do.
pub(super) fn explain(
    f: &mut fmt::Formatter<'_>,
    host: &str,
    obstacle: Obstacle,
    error: &reqwest::Error,
) -> fmt::Result {
    let cause = chain(error).last().map(ToString::to_string);
    let cause = cause.unwrap_or_default();
    let cause = Shown(&cause[..cause.floor_char_boundary(300)]);
    match obstacle {
        Obstacle::Lookup => write!(
            f,
            "the name of {host} cannot be looked up ({cause}): check base_url, the network and its DNS"
        ),
        Obstacle::ConnectionRefused => write!(
            f,
            "{host} refuses connections: check the port in base_url, and whether the server or the proxy runs"
        ),
        Obstacle::ConnectTimeout => write!(
            f,
            "no connection to {host} within connect_timeout: check the network, the firewall and the proxy settings"
        ),
        Obstacle::Connect => write!(
            f,
            "no connection to {host} ({cause}): check base_url, the network and the proxy settings"
        ),
        Obstacle::Certificate => write!(
            f,
            "the TLS certificate of {host} is not accepted ({cause}): {}",
            certificate_advice(error)
        ),
        Obstacle::Tls => write!(
            f,
            "{host} does not speak TLS with us ({cause}): check that base_url should begin with https and names the right port"
        ),
        Obstacle::Timeout => write!(
            f,
            "no whole answer from {host} within request_timeout: it is tried again; if it goes on, raise request_timeout or lower batch_size"
        ),
        Obstacle::Broken => write!(
            f,
            "the answer of {host} broke off or is not HTTP ({cause}): it is tried again; if it goes on, check base_url and what lies between"
        ),
    }
}

fn certificate_advice(error: &reqwest::Error) -> &'static str {
    let Some(rustls::Error::InvalidCertificate(reason)) = find::<rustls::Error>(error) else {
        return "ask whoever runs the server";
    };
    match reason {
        // The signature is wrong where an authority of the same name has another key by now.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "if it comes from a private authority, or from a proxy that opens TLS, give that authority's certificate as ca_file"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has run out; check this machine's clock, else ask whoever runs the server to renew it"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; check this machine's clock"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host; check the host in base_url"
        }
        _ => "ask whoever runs the server",
    }
}

/// The error and its causes. The plain chain of sources steps over what an I/O error wraps, and that
/// is where TLS puts its own.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let next = |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    };
    iter::successors(Some(error), next)
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

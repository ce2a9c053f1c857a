//! Asks the endpoint about tasks: one request, one answer.
//!
//! It never asks twice, never follows a redirect, never keeps more of an answer than it needs, and
//! never shows the key.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Certificate, ClientBuilder, Response, redirect, retry};
use url::{Host, Url};

use crate::account::ApiKey;
use crate::api::error::{BuildError, Declined, Error};
use crate::api::wire::{self, Complaint, Said};
use crate::api::{excerpt, headers, transport};
use crate::clock;
use crate::schedule::fault::Allowance;
use crate::task::{Snapshot, TaskId};

/// The longest body that is read, unpacked: twice what 100 tasks of 1,000 failed rows take.
const MAX_BODY: usize = 16 << 20;

/// Up to this a body has no more room than it needs; what is longer has room for the longest.
const PLAIN_BODY: usize = 1 << 20;

/// How much of the body of an error is read.
const MAX_ERROR_BODY: usize = 64 << 10;

/// What a client needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientParams {
    /// Where the API is: http or https, with or without a path before `/v1`.
    pub base_url: Url,
    /// The account's key.
    pub key: ApiKey,
    /// Certificate authorities to trust beside the system's, in PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// How long a connection may take to come about, TLS included.
    pub connect_timeout: Duration,
    /// How long a request may take in all, from looking up the name to the end of the body.
    pub request_timeout: Duration,
}

/// Asks one deployment with one key. Connections are kept open between requests; proxies are those
/// of the environment (`HTTPS_PROXY`, `NO_PROXY` and so on), except for a server on this machine.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: Url,
    host: String,
    key: ApiKey,
    request_timeout: Duration,
}

/// What an answer says of the tasks it was asked about. An id in neither list was certainly absent
/// from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Ids with what was said of them, in the order asked; only ids that were asked.
    pub found: Vec<(TaskId, Snapshot)>,
    /// Ids of which it cannot be told what was said, or whether anything was.
    pub unread: Vec<TaskId>,
    /// What the headers tell of the account's rate.
    pub allowance: Allowance,
}

impl Client {
    /// Makes a client. It connects when it is first asked.
    ///
    /// # Errors
    ///
    /// [`BuildError`] where the parameters cannot make one; trying again does not help.
    pub fn new(params: &ClientParams) -> Result<Self, BuildError> {
        let endpoint = endpoint(&params.base_url)?;
        let host = host(&endpoint);
        let authorities = params.ca_pem.as_deref().map(authorities).transpose()?;
        let builder = || -> Result<ClientBuilder, BuildError> {
            let builder = plain_builder(params)?;
            Ok(if is_this_machine(&endpoint) {
                builder.no_proxy()
            } else {
                builder
            })
        };
        let http = match authorities {
            Some(authorities) => builder()?
                .tls_certs_merge(authorities)
                .build()
                .map_err(|source| BuildError::Authority(Some(source)))?,
            // Without any authority the HTTP library makes no client at all, though a plain URL
            // needs none.
            None => match builder()?.build() {
                Ok(http) => http,
                Err(_) if endpoint.scheme() == "http" => builder()?
                    .tls_certs_only([])
                    .build()
                    .map_err(|source| no_authorities(&host, source))?,
                Err(source) => return Err(no_authorities(&host, source)),
            },
        };
        Ok(Self {
            http,
            endpoint,
            host,
            key: params.key.clone(),
            request_timeout: params.request_timeout,
        })
    }

    /// How long a request may take in all.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// Asks once what became of `ids`. Without ids it still asks, which shows whether the server
    /// and the key are right.
    ///
    /// Cancel safe in that nothing is left behind here; the server may have counted the request.
    ///
    /// # Errors
    ///
    /// [`Error`], whose [`fault`](Error::fault) says what follows for the account.
    pub async fn import_results(&self, ids: &[TaskId]) -> Result<Answer, Error> {
        let mut url = self.endpoint.clone();
        if !ids.is_empty() {
            url.query_pairs_mut()
                .extend_pairs(ids.iter().map(|id| ("ids", id.to_string())));
        }
        let request = self.http.get(url);
        let response = request.send().await.map_err(|e| self.no_answer(e))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(Error::Redirect {
                status: status.as_u16(),
                target: self.target(response.headers()),
            });
        }
        if status.is_success() {
            self.read(response, ids).await
        } else {
            Err(self.declined(response).await)
        }
    }

    async fn read(&self, mut response: Response, ids: &[TaskId]) -> Result<Answer, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.no_answer(e))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Error::TooLong { limit: MAX_BODY });
            }
            // A long body that doubles its room each time it grows would take up twice what it is.
            if body.len() > PLAIN_BODY && body.capacity() < MAX_BODY {
                body.reserve_exact(MAX_BODY - body.len());
            }
            body.extend_from_slice(&chunk);
        }
        match wire::read(&body, ids) {
            Ok(Said::Tasks(tasks)) => Ok(Answer {
                found: tasks.found,
                unread: tasks.unread,
                allowance: headers::allowance(response.headers(), clock::wall()),
            }),
            Ok(Said::Complaint(complaint)) => {
                Err(Error::Declined(self.complaint(&response, complaint)))
            }
            Err(source) => Err(Error::Unreadable {
                status: response.status().as_u16(),
                gist: excerpt::of_body(&body, &self.key),
                source,
            }),
        }
    }

    async fn declined(&self, mut response: Response) -> Error {
        let mut body = Vec::new();
        // The status decides already: a body that breaks off or goes on for ever takes nothing from
        // it.
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(MAX_ERROR_BODY - body.len())]);
            if body.len() == MAX_ERROR_BODY {
                break;
            }
        }
        let mut complaint = match wire::read(&body, &[]) {
            Ok(Said::Complaint(complaint)) => complaint,
            Ok(Said::Tasks(_)) | Err(_) => Complaint::default(),
        };
        if complaint == Complaint::default() {
            complaint.message = excerpt::of_body(&body, &self.key);
        }
        Error::Declined(self.complaint(&response, complaint))
    }

    fn complaint(&self, response: &Response, complaint: Complaint) -> Declined {
        let (headers, now) = (response.headers(), clock::wall());
        Declined {
            status: response.status().as_u16(),
            code: complaint.code,
            body_status: complaint.status,
            message: complaint
                .message
                .map(|message| excerpt::keep(&message, &self.key)),
            retry_after: headers::retry_after(headers, now),
            allowance: headers::allowance(headers, now),
        }
    }

    fn no_answer(&self, error: reqwest::Error) -> Error {
        // The URL holds the ids.
        let source = error.without_url();
        Error::NoAnswer {
            host: self.host.clone(),
            obstacle: transport::obstacle(&source),
            source,
        }
    }

    /// Where a redirect points, as far as it may be shown: neither path nor query, which may hold
    /// what was asked.
    fn target(&self, headers: &HeaderMap) -> String {
        let target = headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .and_then(|location| self.endpoint.join(location).ok());
        match target {
            Some(url) if url.has_host() => {
                let target = format!("{}://{}", url.scheme(), host(&url));
                excerpt::Shown(&excerpt::keep(&target, &self.key)).to_string()
            }
            _ => "nowhere that can be read".to_owned(),
        }
    }
}

fn endpoint(base_url: &Url) -> Result<Url, BuildError> {
    if !matches!(base_url.scheme(), "http" | "https") {
        return Err(BuildError::BaseUrl("is neither http nor https"));
    }
    if !base_url.username().is_empty() || base_url.password().is_some() {
        return Err(BuildError::BaseUrl(
            "holds a user name or a password, and the endpoint knows nothing but the key",
        ));
    }
    if base_url.query().is_some() || base_url.fragment().is_some() {
        return Err(BuildError::BaseUrl("has a query or a fragment"));
    }
    let mut url = base_url.clone();
    url.path_segments_mut()
        .map_err(|()| BuildError::BaseUrl("cannot have a path"))?
        .pop_if_empty()
        .extend(["v1", "database", "query", "import-results"]);
    Ok(url)
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// A proxy that is set for the network cannot reach this machine's own ports, or should not.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn authorities(pem: &[u8]) -> Result<Vec<Certificate>, BuildError> {
    match Certificate::from_pem_bundle(pem) {
        Ok(none) if none.is_empty() => Err(BuildError::Authority(None)),
        Ok(authorities) => Ok(authorities),
        Err(source) => Err(BuildError::Authority(Some(source))),
    }
}

fn no_authorities(host: &str, source: reqwest::Error) -> BuildError {
    BuildError::NoAuthorities {
        host: host.to_owned(),
        source,
    }
}

fn plain_builder(params: &ClientParams) -> Result<ClientBuilder, BuildError> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", params.key.expose()))
        .map_err(BuildError::Key)?;
    bearer.set_sensitive(true);
    let json = HeaderValue::from_static("application/json");
    let headers = HeaderMap::from_iter([
        (AUTHORIZATION, bearer),
        (ACCEPT, json.clone()),
        (CONTENT_TYPE, json),
    ]);
    Ok(ClientBuilder::new()
        .user_agent(concat!("importwatch/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(redirect::Policy::none())
        .referer(false)
        // Each request counts against the account's rate, so none is sent unseen.
        .retry(retry::never())
        .connect_timeout(params.connect_timeout)
        .timeout(params.request_timeout)
        .pool_max_idle_per_host(2)
        // A connection of HTTP/2 outlives a request that runs out of time. Where a ping brings nothing
        // back while a request waits, it is dead, and the next request needs another; an idle one is
        // left in peace.
        .http2_keep_alive_interval(params.request_timeout / 4)
        .http2_keep_alive_timeout(params.request_timeout / 2)
        .http1_max_headers(64)
        .http2_max_header_list_size(64 << 10))
}

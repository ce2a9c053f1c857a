//! The answer that the simulated server gives when nothing is in its way, as the real one would.
//!
//! It never waits and never touches a socket.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use crate::clock::{self, Instant};
use crate::simulator::reply::{self, Reply};
use crate::simulator::request::{KeySeen, Request};
use crate::simulator::world::{Rate, RetryAfter, Shape, World};
use crate::task::TaskId;

/// Which call a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Results,
    Upload,
    Unknown,
}

impl Call {
    /// Any path before `/v1` is taken, as gateways put one there.
    pub(super) fn of(request: &Request) -> Self {
        let call = [
            ("GET", "/v1/database/query/import-results", Self::Results),
            ("POST", "/v1/database/import/records", Self::Upload),
        ];
        let found = call
            .iter()
            .find(|(method, path, _)| request.method == *method && request.path.ends_with(path));
        found.map_or(Self::Unknown, |(_, _, call)| *call)
    }
}

/// When requests were taken, as far as the rate limit looks back, and how many tasks were uploaded.
#[derive(Debug, Default)]
pub(super) struct Past {
    taken: VecDeque<Instant>,
    uploads: u32,
}

/// The good answer to `request`.
pub(super) fn answer(world: &mut World, past: &mut Past, request: &Request) -> Reply {
    let mut reply = reply(world, past, request);
    if let Some(rate) = world.rate.filter(|rate| rate.headers) {
        let left = rate.requests.saturating_sub(past.within(rate, request.at));
        reply.header("X-RateLimit-Remaining", &left);
        let reset = clock::wall()
            .as_second()
            .saturating_add_unsigned(past.reset_in(rate, request.at));
        reply.header("X-RateLimit-Reset", &reset);
    }
    let takes_gzip = request
        .header("accept-encoding")
        .is_some_and(|encodings| encodings.contains("gzip"));
    if world.gzip
        && takes_gzip
        && let Ok(packed) = reply::packed(&reply.body)
    {
        reply.body = packed;
        reply.header("Content-Encoding", &"gzip");
    }
    reply
}

fn reply(world: &mut World, past: &mut Past, request: &Request) -> Reply {
    let call = Call::of(request);
    if call == Call::Unknown {
        return Reply::page(404);
    }
    if request.key != KeySeen::Good {
        return Reply::code(
            world.bad_key_status,
            40127,
            "Developer authentication failed",
        );
    }
    if let Some(rate) = world.rate {
        if past.within(rate, request.at) >= rate.requests {
            return limited(rate, past, request.at);
        }
        past.taken.push_back(request.at);
    }
    if call == Call::Upload {
        return upload(world, past);
    }
    let ids: Vec<TaskId> = request.ids.iter().flat_map(|id| id.parse()).collect();
    if let Some(max) = world.max_ids.filter(|max| request.ids.len() > max.ids) {
        return match max.status {
            400 => Reply::code(400, 40000, "Parameter error"),
            status => Reply::page(status),
        };
    }
    if ids.is_empty() || ids.iter().any(|id| world.bad_ids.contains(id)) {
        return Reply::code(400, 40000, "Parameter error");
    }
    let entries: Vec<String> = ids
        .iter()
        .filter_map(|id| world.entry(id, request.at))
        .collect();
    Reply::json(200, shaped(world.shape, &entries.join(",")))
}

fn shaped(shape: Shape, entries: &str) -> String {
    match shape {
        Shape::Bare => format!("[{entries}]"),
        Shape::Envelope => format!(r#"{{"code":0,"message":"OK","data":[{entries}]}}"#),
        Shape::EnvelopeWithProgress => {
            format!(r#"{{"code":0,"message":"OK","progress":0,"data":[{entries}]}}"#)
        }
    }
}

/// Takes an upload: a new task, whose id begins with the time as the real ones do.
fn upload(world: &mut World, past: &mut Past) -> Reply {
    past.uploads = past.uploads.wrapping_add(1);
    let second = clock::wall().as_second() & 0xffff_ffff;
    let text = format!("{second:08x}{:016x}", past.uploads);
    if let Ok(id) = text.parse() {
        world.add(id, world.uploads.clone());
    }
    Reply::json(
        200,
        format!(r#"{{"code":0,"message":"OK","data":["{text}"]}}"#),
    )
}

fn limited(rate: Rate, past: &Past, now: Instant) -> Reply {
    let message = "Agent RPM request limit exceeded. Please contact the service provider to increase the limit.";
    let mut reply = Reply::code(rate.status, 40008, message);
    let seconds = past.reset_in(rate, now);
    match rate.retry_after {
        Some(RetryAfter::Seconds) => reply.header("Retry-After", &seconds),
        Some(RetryAfter::Date) => {
            let at = SystemTime::from(clock::wall()) + Duration::from_secs(seconds);
            reply.header("Retry-After", &httpdate::fmt_http_date(at));
        }
        None => {}
    }
    reply
}

impl Past {
    /// How many requests the window up to `now` holds.
    fn within(&mut self, rate: Rate, now: Instant) -> u32 {
        while let Some(oldest) = self.taken.front()
            && now.since(*oldest) >= rate.window
        {
            self.taken.pop_front();
        }
        u32::try_from(self.taken.len()).unwrap_or(u32::MAX)
    }

    /// In how many seconds, rounded up, the window holds one less.
    fn reset_in(&self, rate: Rate, now: Instant) -> u64 {
        let oldest = self.taken.front();
        let left = oldest.map_or(Duration::ZERO, |oldest| {
            rate.window.saturating_sub(now.since(*oldest))
        });
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }
}

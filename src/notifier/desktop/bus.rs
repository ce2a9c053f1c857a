//! The one connection to the session bus: what is asked of the notification server, and what it tells
//! unasked.
//!
//! It never decides what is shown, and never limits how long a call takes: whoever calls does.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::pin::Pin;

use zbus::export::futures_core::Stream as _;
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream, Variant, fdo};

use crate::notifier::desktop::draft::Draft;

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// Signals that wait to be looked at. A full queue would hold up the answers behind it, and servers
/// tell everybody of every notice that goes.
const QUEUE: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// A connection to the session bus.
#[derive(Debug)]
pub(super) struct Bus {
    connection: Connection,
    owners: MessageStream,
    closed: MessageStream,
}

/// What the bus or the server tells unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// The server has gone, or another has taken its place; what was shown went with it.
    Changed {
        /// Whether there is one now.
        there: bool,
    },
    /// A notice is no longer on the screen, by the user or by the server's own rules.
    Closed {
        /// Its number.
        id: u32,
    },
}

impl Bus {
    pub(super) async fn connect() -> zbus::Result<Self> {
        let connection = Connection::session().await?;
        let owners = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")
            .interface("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .arg(0, NAME)
            .build()?;
        let closed = MatchRule::builder()
            .msg_type(Type::Signal)
            .interface(NAME)
            .member("NotificationClosed")
            .path(PATH)
            .build()?;
        Ok(Self {
            owners: MessageStream::for_match_rule(owners, &connection, Some(QUEUE)).await?,
            closed: MessageStream::for_match_rule(closed, &connection, Some(QUEUE)).await?,
            connection,
        })
    }

    /// Asks the server something that takes no arguments.
    pub(super) async fn ask<T>(&self, method: &str) -> zbus::Result<T>
    where
        T: for<'de> serde::Deserialize<'de> + zbus::zvariant::Type,
    {
        self.connection
            .call_method(Some(NAME), PATH, Some(NAME), method, &())
            .await
            .and_then(|reply| reply.body().deserialize())
    }

    /// Shows `draft` in place of the one with the number `replaced` (0: of none). Returns its number.
    ///
    /// By zbus itself, since notify-rust opens a connection for each notification, and GNOME lets only
    /// the connection that has shown a notice replace it.
    pub(super) async fn notify(&self, draft: &Draft, replaced: u32) -> zbus::Result<u32> {
        let mut hints: HashMap<&str, Variant<'_>> = draft.hints.iter().map(Into::into).collect();
        if let Some(picture) = &draft.picture {
            hints.insert("image-data", picture.value());
        }
        let actions: &[&str] = &[];
        let arguments = (
            "importwatch",
            replaced,
            draft.icon,
            draft.summary.as_str(),
            draft.body.as_str(),
            actions,
            hints,
            i32::from(draft.timeout),
        );
        self.connection
            .call_method(Some(NAME), PATH, Some(NAME), "Notify", &arguments)
            .await
            .and_then(|reply| reply.body().deserialize())
    }

    /// Takes the notice with this number off the screen.
    pub(super) async fn close(&self, id: u32) -> zbus::Result<()> {
        let method = "CloseNotification";
        let closed = self
            .connection
            .call_method(Some(NAME), PATH, Some(NAME), method, &id);
        closed.await.map(drop)
    }

    /// The next thing that it tells; none once the connection is gone.
    ///
    /// Cancel safe: what was not returned is returned by the next call.
    pub(super) async fn signal(&mut self) -> Option<Signal> {
        loop {
            let message = std::future::poll_fn(|context| {
                match Pin::new(&mut self.owners).poll_next(context) {
                    std::task::Poll::Pending => Pin::new(&mut self.closed).poll_next(context),
                    ready @ std::task::Poll::Ready(_) => ready,
                }
            });
            let message = message.await?.ok()?;
            let header = message.header();
            let body = message.body();
            // What does not read as it should is no signal of a server's.
            match header.member().map(zbus::names::MemberName::as_str) {
                Some("NameOwnerChanged") => {
                    if let Ok((_, _, owner)) = body.deserialize::<(String, String, String)>() {
                        let there = !owner.is_empty();
                        return Some(Signal::Changed { there });
                    }
                }
                _ => {
                    if let Ok((id, _reason)) = body.deserialize::<(u32, u32)>() {
                        return Some(Signal::Closed { id });
                    }
                }
            }
        }
    }
}

/// Whether an error is the server's or the bus's answer, so that the connection is well.
pub(super) fn is_answer(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(..) | zbus::Error::FDO(_))
}

/// Whether the server will not take this very call.
pub(super) fn is_refusal(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::FDO(error) if matches!(**error, fdo::Error::InvalidArgs(_)))
}

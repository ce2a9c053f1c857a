//! The log in the journal of systemd, by its native protocol: each event with its fields beside its
//! text, so that one can ask for those of an import, a task, an account or an outcome.
//!
//! The library for this, tracing-journald, gives a reader of the journal the constant message alone;
//! here the text has the values too. It never waits for an answer, and what the journal does not take
//! goes to standard error.

use std::fmt;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::sys::stat::fstat;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::telemetry::{EscapedVisitor, push_escaped};

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// What the names of our fields begin with.
const PREFIX: &str = "IMPORTWATCH_";
/// The most bytes of a value, so that an event with all its fields fits into one datagram.
const LONGEST: usize = 8 << 10;

/// Whether `stream` goes to the journal, by what `$JOURNAL_STREAM` says of it.
pub(super) fn is_stream(stream: impl AsFd, journal_stream: Option<&str>) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    let Some((device, inode)) = journal_stream.and_then(|text| text.split_once(':')) else {
        return false;
    };
    fstat(stream.as_fd())
        .is_ok_and(|stat| number(device) == Some(stat.st_dev) && number(inode) == Some(stat.st_ino))
}

/// Sends each event to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// The journal of this machine.
    ///
    /// # Errors
    ///
    /// That none listens.
    pub(super) fn open() -> io::Result<Self> {
        Self::at(Path::new(SOCKET))
    }

    fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // Connected, it would stay with a journal that has been replaced by another.
        Ok(Self {
            socket: UnixDatagram::unbound()?,
            path: path.to_owned(),
        })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let priority = match *metadata.level() {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            Level::DEBUG | Level::TRACE => "7",
        };
        let mut entry = Entry::default();
        entry.put("PRIORITY", priority);
        entry.put("SYSLOG_IDENTIFIER", "importwatch");
        entry.put("TARGET", metadata.target());
        if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
            entry.put("CODE_FILE", file);
            entry.put("CODE_LINE", &line.to_string());
        }
        event.record(&mut entry);
        let mut text = EscapedVisitor::default();
        event.record(&mut text);
        entry.put("MESSAGE", &text.line);
        if self.socket.send_to(&entry.bytes, &self.path).is_err() {
            // That this cannot be written either can be told to nobody.
            _ = writeln!(io::stderr().lock(), "{} {}", metadata.level(), text.line);
        }
    }
}

/// An entry of the journal, as it is sent: `NAME=value` lines.
#[derive(Default)]
struct Entry {
    bytes: Vec<u8>,
}

impl Entry {
    /// Adds a field. A value is escaped, and so it has no line end.
    fn put(&mut self, name: &str, value: &str) {
        let mut line = String::new();
        push_escaped(&mut line, value);
        let end = (0..=LONGEST.min(line.len())).rev();
        let mut end = end.filter(|&end| line.is_char_boundary(end));
        line.truncate(end.next().unwrap_or(0));
        for part in [name, "=", &line, "\n"] {
            self.bytes.extend_from_slice(part.as_bytes());
        }
    }

    fn put_ours(&mut self, field: &Field, value: &str) {
        // What the constant message is called leaves the name to the text.
        let name = match field.name() {
            "message" => "event",
            name => name,
        };
        let name = name.to_ascii_uppercase();
        let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = name.chars().map(allowed).collect();
        self.put(&format!("{PREFIX}{name}"), value);
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_ours(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_ours(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt as _;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What a journal is sent while `events` happen.
    fn sent(events: impl FnOnce()) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let journal = Journal::at(&path).unwrap();
        let log = tracing_subscriber::registry().with(journal);
        tracing::subscriber::with_default(log, events);
        let mut sent = Vec::new();
        let mut buffer = vec![0; 1 << 20];
        while let Ok(length) = socket.recv(&mut buffer) {
            sent.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        sent
    }

    #[test]
    fn an_event_has_its_fields_and_a_text_for_people() {
        let sent = sent(|| {
            tracing::error!(
                target: "importwatch",
                task = %"a1",
                import = "Grüße 1",
                failed = Some(3_u64),
                succeeded = None::<u64>,
                "task settled"
            );
        });
        let lines: Vec<&str> = sent[0].lines().collect();
        assert_eq!(
            lines[..3],
            [
                "PRIORITY=3",
                "SYSLOG_IDENTIFIER=importwatch",
                "TARGET=importwatch"
            ]
        );
        assert!(lines[3].starts_with("CODE_FILE=") && lines[4].starts_with("CODE_LINE="));
        assert_eq!(
            lines[5..],
            [
                "IMPORTWATCH_EVENT=task settled",
                "IMPORTWATCH_TASK=a1",
                "IMPORTWATCH_IMPORT=Grüße 1",
                "IMPORTWATCH_FAILED=3",
                "MESSAGE=task settled task=a1 import=\"Grüße 1\" failed=3",
            ]
        );
    }

    #[test]
    fn each_level_has_its_priority() {
        let sent = sent(|| {
            tracing::error!("x");
            tracing::warn!("x");
            tracing::info!("x");
            tracing::debug!("x");
            tracing::trace!("x");
        });
        let first = sent.iter().map(|entry| entry.lines().next().unwrap());
        let expected = ["3", "4", "6", "7", "7"].map(|number| format!("PRIORITY={number}"));
        assert_eq!(first.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_value_adds_no_field_and_fits() {
        let evil = format!("a\nPRIORITY=0\r\u{1b}[31m{}", "é".repeat(1 << 20));
        let sent = sent(|| tracing::info!(a.b = %evil, c = ?evil, d = evil.as_str(), "{evil}"));
        assert_eq!(sent.len(), 1);
        let names: Vec<&str> = sent[0]
            .lines()
            .map(|l| l.split_once('=').unwrap().0)
            .collect();
        assert_eq!(
            names[5..],
            [
                "IMPORTWATCH_EVENT",
                "IMPORTWATCH_A_B",
                "IMPORTWATCH_C",
                "IMPORTWATCH_D",
                "MESSAGE"
            ]
        );
        assert!(!sent[0].contains('\u{1b}'));
        assert!(sent[0].contains("\nIMPORTWATCH_A_B=a\\nPRIORITY=0\\r\\u{1b}[31mé"));
    }

    #[test]
    fn the_journal_is_told_from_other_streams() {
        let file = tempfile::tempfile().unwrap();
        let metadata = file.metadata().unwrap();
        let stream = format!("{}:{}", metadata.dev(), metadata.ino());
        assert!(is_stream(&file, Some(&stream)));
        let other = File::open("/").unwrap();
        assert!(!is_stream(&other, Some(&stream)));
        for bad in [None, Some(""), Some("1"), Some("a:b"), Some(":")] {
            assert!(!is_stream(&file, bad));
        }
        assert!(Journal::at(Path::new("/nowhere/socket")).is_err());
    }
}

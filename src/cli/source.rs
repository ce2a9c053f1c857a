//! The file that an import was made of: what it is, whether it is still the same, and its records one
//! after another.
//!
//! It never holds more of the file than one record and a buffer, and never writes to it.

use std::fs::{File, Metadata};
use std::io::{Read, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use xxhash_rust::xxh3::xxh3_64;

use crate::notice::amount::number;
use crate::rejects::beginning::{self, Beginning};
use crate::rejects::dialect::Form;
use crate::rejects::scan::{self, Scanner};
use crate::watch::{Fingerprint, SourceFile};

/// How much of either end tells one state of a file from another.
const ENDS: u64 = 1 << 20;
/// How much is read at once.
const BUFFER: usize = 1 << 18;
/// The longest record. In a file whose quotes do not match, everything behind one of them is one
/// record, and must not fill memory.
const LONGEST: usize = 16 << 20;

/// A file with records, open.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    /// Its path from the root, as a person may use it.
    pub(super) path: PathBuf,
    /// How it is written.
    pub(super) beginning: Beginning,
    /// What it holds.
    pub(super) fingerprint: Fingerprint,
}

impl Opened {
    /// Opens `path` and looks at its ends.
    ///
    /// # Errors
    ///
    /// That it cannot be read, is not a file, or is not written in a way that can be read.
    pub(super) fn open(path: &Path, delimiter: Option<u8>) -> anyhow::Result<Self> {
        let shown = path.display();
        let mut file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        let about = file
            .metadata()
            .with_context(|| format!("cannot read {shown}"))?;
        if !about.is_file() {
            bail!(
                "{shown} is not a file; its records are read twice, so it cannot be a pipe or a folder"
            );
        }
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot read {shown}"))?;
        let (fingerprint, head) =
            ends(&mut file, &about).with_context(|| format!("cannot read {shown}"))?;
        let beginning = beginning::detect(&head, delimiter)
            .with_context(|| format!("{shown} cannot be a source"))?;
        Ok(Self {
            file,
            path,
            beginning,
            fingerprint,
        })
    }

    /// Its records, from the first; the header is one of them.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(super) fn records(&self) -> anyhow::Result<Records> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(self.beginning.mark as u64))?;
        Ok(Records {
            file,
            path: self.path.clone(),
            scanner: Scanner::new(self.beginning.dialect),
            buffer: vec![0; BUFFER],
            start: 0,
            scanned: 0,
            end: 0,
            is_over: false,
            read: 0,
        })
    }

    /// How many records there are behind the header.
    ///
    /// # Errors
    ///
    /// The system's, or that a record has no end.
    pub(super) fn count(&self) -> anyhow::Result<u64> {
        let mut records = self.records()?;
        let mut count = 0_u64;
        while records.next()?.is_some() {
            count += 1;
        }
        Ok(count.saturating_sub(u64::from(self.beginning.dialect.form == Form::Csv)))
    }

    /// What is kept of it, with the number of its records.
    #[must_use]
    pub(super) fn kept(&self, records: u64) -> SourceFile {
        SourceFile {
            path: self.path.clone(),
            fingerprint: self.fingerprint,
            records,
        }
    }

    /// Whether `path` is this very file, by whatever name.
    pub(super) fn is(&self, path: &Path) -> bool {
        let ours = self.file.metadata().map(|about| (about.dev(), about.ino()));
        let theirs = path.metadata().map(|about| (about.dev(), about.ino()));
        matches!((ours, theirs), (Ok(ours), Ok(theirs)) if ours == theirs)
    }
}

fn ends(file: &mut File, about: &Metadata) -> std::io::Result<(Fingerprint, Vec<u8>)> {
    let size = about.len();
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    Read::by_ref(file).take(ENDS).read_to_end(&mut head)?;
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(size.saturating_sub(ENDS)))?;
    Read::by_ref(file).take(ENDS).read_to_end(&mut tail)?;
    let fingerprint = Fingerprint {
        size,
        modified_at: about
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(about.mtime_nsec()),
        head: xxh3_64(&head),
        tail: xxh3_64(&tail),
    };
    Ok((fingerprint, head))
}

/// The records of a file, one after another.
#[derive(Debug)]
pub(super) struct Records {
    file: File,
    path: PathBuf,
    scanner: Scanner,
    buffer: Vec<u8>,
    /// Where the record begins that comes next.
    start: usize,
    /// Up to where its end was looked for.
    scanned: usize,
    /// How much of the buffer is filled.
    end: usize,
    is_over: bool,
    /// Records before this one.
    read: u64,
}

impl Records {
    /// The next record, as it stands in the file, with its line break; blank lines are none.
    ///
    /// # Errors
    ///
    /// The system's, or that the record has no end.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<&[u8]>> {
        loop {
            let fresh = &self.buffer[self.scanned..self.end];
            let (from, to) = if let Some(length) = self.scanner.end(fresh) {
                (self.start, self.scanned + length)
            } else if self.is_over {
                if self.start == self.end {
                    return Ok(None);
                }
                (self.start, self.end)
            } else {
                self.scanned = self.end;
                self.refill()?;
                continue;
            };
            self.start = to;
            self.scanned = to;
            if !scan::is_blank(&self.buffer[from..to]) {
                self.read += 1;
                return Ok(Some(&self.buffer[from..to]));
            }
        }
    }

    fn refill(&mut self) -> anyhow::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.scanned -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            if self.end >= LONGEST {
                bail!(
                    "{}: line or record {} has no end within {} bytes; most likely a quote (\") that opens a field there is never closed",
                    self.path.display(),
                    number(self.read + 1),
                    number(LONGEST as u64)
                );
            }
            self.buffer.resize(self.end * 2, 0);
        }
        let read = loop {
            match self.file.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let read = read.with_context(|| format!("cannot read {}", self.path.display()))?;
        self.end += read;
        self.is_over = read == 0;
        Ok(())
    }
}

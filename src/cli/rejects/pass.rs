//! The one pass over the source: what its records say of the failures, and those records that may
//! have failed.
//!
//! Which of them did is known only at the end, so they wait in a file without a name.

use std::io::{BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::Context as _;
use tempfile::SpooledTempFile;

use crate::cli::rejects::select::Part;
use crate::cli::source::Opened;
use crate::rejects::dialect::Form;
use crate::rejects::evidence::{Evidence, Search};
use crate::rejects::fields::Header;
use crate::rejects::reading::Votes;
use crate::store::Store;
use crate::watch::State;

/// So many bytes of records wait in memory, more on disk.
const IN_MEMORY: usize = 4 << 20;

/// What the pass found.
#[derive(Debug)]
pub(super) struct Sifted {
    /// The header as it stands in the source.
    pub(super) header: Vec<u8>,
    pub(super) votes: Votes,
    /// By the place of the part.
    pub(super) evidence: Vec<Evidence>,
    /// The records that may have failed, in their order.
    pub(super) waiting: Waiting,
}

/// A record that may have failed.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// The place of its part.
    pub(super) part: usize,
    /// Its number within the part.
    pub(super) record: u64,
    pub(super) bytes: Vec<u8>,
}

/// Reads every record up to the last that matters, once.
pub(super) fn sift(
    store: &Store,
    source: &Opened,
    parts: &[Part],
    output: Option<&Path>,
) -> anyhow::Result<Sifted> {
    let dialect = source.beginning.dialect;
    let is_utf8 = source.beginning.is_utf8;
    let folder = match output.and_then(Path::parent) {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        Some(_) => ".".into(),
        None => std::env::temp_dir(),
    };
    let mut draft = BufWriter::new(SpooledTempFile::new_in(IN_MEMORY, folder));
    let mut records = source.records()?;
    let mut header = Vec::new();
    if dialect.form == Form::Csv
        && let Some(record) = records.next()?
    {
        header.extend_from_slice(record);
    }
    let columns = Header::read(&header, dialect);
    let mut votes = Votes::default();
    let mut evidence: Vec<_> = parts.iter().map(|_| Evidence::default()).collect();
    let mut active: Vec<(usize, Search)> = Vec::new();
    let mut next = 0;
    let mut row = 0_u64;
    while next < parts.len() || !active.is_empty() {
        let Some(record) = records.next()? else {
            break;
        };
        row += 1;
        while let Some(part) = parts.get(next).filter(|part| part.first <= row) {
            active.push((next, search(store, part, is_utf8)?));
            next += 1;
        }
        if active.is_empty() {
            continue;
        }
        for (place, search) in &mut active {
            if search.see(record, dialect, &columns) {
                let number = row - parts[*place].first + 1;
                put(&mut draft, *place, number, record).context("cannot keep a record aside")?;
            }
        }
        active.retain_mut(|(place, search)| {
            if row < parts[*place].last {
                return true;
            }
            let (failures, seen) = search.end();
            votes.count(&failures, &seen);
            evidence[*place] = seen;
            false
        });
    }
    // The file was shorter than was told.
    for (place, mut search) in active {
        let (failures, seen) = search.end();
        votes.count(&failures, &seen);
        evidence[place] = seen;
    }
    for place in next..parts.len() {
        evidence[place] = search(store, &parts[place], is_utf8)?.end().1;
    }
    let mut draft = draft
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .context("cannot keep a record aside")?;
    draft.seek(SeekFrom::Start(0))?;
    Ok(Sifted {
        header,
        votes,
        evidence,
        waiting: Waiting(BufReader::new(draft)),
    })
}

fn search(store: &Store, part: &Part, is_utf8: bool) -> anyhow::Result<Search> {
    let watch = store.watch(&part.id)?;
    let settlement = watch.and_then(|watch| match watch.state {
        State::Settled { settlement, .. } => Some(settlement),
        State::Pending(_) => None,
    });
    let settlement = settlement.with_context(|| gone(part))?;
    Ok(Search::new(settlement, is_utf8))
}

/// That a task is no longer what it was when the command began.
pub(super) fn gone(part: &Part) -> String {
    format!(
        "the task {} was removed or added anew meanwhile; run the command again",
        part.id
    )
}

fn put(
    draft: &mut BufWriter<SpooledTempFile>,
    part: usize,
    number: u64,
    record: &[u8],
) -> std::io::Result<()> {
    draft.write_all(&(part as u64).to_le_bytes())?;
    draft.write_all(&number.to_le_bytes())?;
    draft.write_all(&(record.len() as u64).to_le_bytes())?;
    draft.write_all(record)
}

/// The records that may have failed.
#[derive(Debug)]
pub(super) struct Waiting(BufReader<SpooledTempFile>);

impl Waiting {
    /// Takes the next of them into `entry`. Whether there was one.
    pub(super) fn next(&mut self, entry: &mut Entry) -> anyhow::Result<bool> {
        let mut number = [0; 8];
        if self.0.read(&mut number[..1])? == 0 {
            return Ok(false);
        }
        self.0.read_exact(&mut number[1..])?;
        entry.part = usize::try_from(u64::from_le_bytes(number))?;
        self.0.read_exact(&mut number)?;
        entry.record = u64::from_le_bytes(number);
        self.0.read_exact(&mut number)?;
        entry
            .bytes
            .resize(usize::try_from(u64::from_le_bytes(number))?, 0);
        self.0.read_exact(&mut entry.bytes)?;
        Ok(true)
    }
}

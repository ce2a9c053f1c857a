//! Writes the records that failed, and counts what there is to tell of them.

use std::collections::HashMap;
use std::io::Write;

use anyhow::bail;

use crate::cli::rejects::forms::{Forms, Row};
use crate::cli::rejects::pass::{Entry, Sifted, gone};
use crate::cli::rejects::report::Report;
use crate::cli::rejects::select::Part;
use crate::failure::{Failure, FailureKind};
use crate::rejects::evidence::Evidence;
use crate::rejects::reading::Votes;
use crate::rejects::resolve::{self, Certainty, Resolved};
use crate::store::Store;
use crate::watch::State;

/// A task whose records are being written.
struct Open {
    failures: Vec<Failure>,
    resolved: Resolved,
}

/// Writes everything that failed to `out`.
pub(super) fn write(
    store: &Store,
    parts: &[Part],
    mut sifted: Sifted,
    forms: &Forms,
    out: &mut dyn Write,
) -> anyhow::Result<Report> {
    let mut report = Report::new(sifted.votes);
    let mut writer = forms.begin(&sifted.header, out)?;
    let mut open: HashMap<usize, Open> = HashMap::new();
    let mut is_done = vec![false; parts.len()];
    let mut entry = Entry::default();
    while sifted.waiting.next(&mut entry)? {
        let part = &parts[entry.part];
        let row = part.first + entry.record - 1;
        if !is_done[entry.part] {
            is_done[entry.part] = true;
            open.retain(|place, _| parts[*place].last >= row);
            let evidence = std::mem::take(&mut sifted.evidence[entry.part]);
            let opened = begin(store, part, &evidence, &sifted.votes, &mut report)?;
            open.insert(entry.part, opened);
        }
        let Some(task) = open.get(&entry.part) else {
            continue;
        };
        let Some((index, certainty)) = task.resolved.records.get(&entry.record) else {
            continue;
        };
        let is_written = writer.row(&Row {
            task: &part.id,
            number: row,
            failure: index.and_then(|index| task.failures.get(index)),
            certainty: *certainty,
            record: &entry.bytes,
        })?;
        report.count(*certainty, is_written);
    }
    for (place, part) in parts.iter().enumerate() {
        if !is_done[place] {
            begin(
                store,
                part,
                &sifted.evidence[place],
                &sifted.votes,
                &mut report,
            )?;
        }
    }
    report.bodies = writer.end()?;
    Ok(report)
}

fn begin(
    store: &Store,
    part: &Part,
    evidence: &Evidence,
    votes: &Votes,
    report: &mut Report,
) -> anyhow::Result<Open> {
    let watch = store.watch(&part.id)?;
    let Some(State::Settled { settlement, .. }) = watch.map(|watch| watch.state) else {
        bail!(gone(part));
    };
    let resolved = resolve::resolve(&settlement, evidence, votes);
    report.tasks += 1;
    report.doubt(&part.id, &resolved.doubts);
    let is_conflict =
        |index: &usize| settlement.failures[*index].kind == FailureKind::ConflictWithTable;
    let has_culprit = resolved.records.values().any(|(index, certainty)| {
        *certainty == Certainty::Exact && index.as_ref().is_some_and(is_conflict)
    });
    let has_conflict = settlement
        .failures
        .iter()
        .any(|failure| failure.kind == FailureKind::ConflictWithTable);
    report.unblamed += u64::from(has_conflict && !has_culprit);
    Ok(Open {
        failures: settlement.failures,
        resolved,
    })
}

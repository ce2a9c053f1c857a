//! Sources and answers whose truth is known, made at random over everything that the vendor's rules
//! allow, both readings of row numbers and rows that were told wrongly: how much of it is found, and
//! whether what is called exact ever is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use fastrand::Rng;
use importwatch::failure::{Failure, explain};
use importwatch::outcome::{Outcome, Settlement};
use importwatch::rejects::beginning;
use importwatch::rejects::dialect::{Dialect, Form};
use importwatch::rejects::evidence::{Evidence, Search};
use importwatch::rejects::fields::{self, Header};
use importwatch::rejects::reading::Votes;
use importwatch::rejects::resolve::{self, Certainty};
use importwatch::rejects::scan::{self, Scanner};
use importwatch::task::{Counts, FailDetail, RowField};

/// How many sources there are, each with its tasks and answers.
const WORLDS: u64 = 3000;

/// How a server says which rows failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Rows,
    Blocks,
    Unsaid,
}

/// One cell of each column of a row.
#[derive(Debug, Clone)]
struct Cells {
    id: String,
    name: String,
    price: String,
}

/// A task: its true rows in the source, what the server answered, and which rows failed. For each
/// failure of the answer, the row that it is about.
struct Task {
    first: usize,
    rows: usize,
    settlement: Settlement,
    failed: BTreeSet<usize>,
    about: Vec<usize>,
}

struct World {
    source: Vec<u8>,
    tasks: Vec<Task>,
    /// How far the rows that were told are from those that the tasks took.
    shift: usize,
}

fn cells(rng: &mut Rng, number: usize) -> Cells {
    let words = [
        "chair",
        "a \"big\" table",
        "lamp;red",
        "x,y",
        "two\nlines",
        "",
        "=1+2",
        "Stuhl grün",
    ];
    Cells {
        id: format!("{}{number}", ["", "SKU-", "0"][rng.usize(..3)]),
        name: words[rng.usize(..words.len())].to_owned(),
        price: rng.u32(1..500).to_string(),
    }
}

/// The rows that fail for themselves, with the reason's beginning: the value that came before, or what
/// is broken.
fn spoil(rng: &mut Rng, rows: &mut [Cells]) -> BTreeMap<usize, Option<usize>> {
    let mut bad = BTreeMap::new();
    for _ in 0..rng.usize(0..6) {
        let at = rng.usize(..rows.len());
        if bad.contains_key(&at) {
            continue;
        }
        if rng.bool() && at > 0 {
            let first = if rng.bool() { at - 1 } else { rng.usize(..at) };
            if bad.contains_key(&first) {
                continue;
            }
            let same = |row: &Cells| row.id == rows[first].id;
            let first = rows.iter().position(same).unwrap_or(first);
            let id = rows[first].id.clone();
            rows[at].id = id;
            bad.insert(at, Some(first));
        } else {
            let price = ["n/a", "abc", "-", ""][rng.usize(..4)];
            price.clone_into(&mut rows[at].price);
            bad.insert(at, None);
        }
    }
    bad
}

fn reason(rng: &mut Rng, row: &Cells, first: Option<usize>) -> String {
    match first {
        Some(first) => format!(
            "`id` must be unique, but the value '{}' is duplicated (first at row `{first}`).",
            row.id
        ),
        None if row.price.is_empty() || rng.bool() => {
            "`price` is required and must have a value; the current value is invalid.".to_owned()
        }
        None => format!(
            "`price` must be a number, but the value '{}' is none.",
            row.price
        ),
    }
}

fn task(rng: &mut Rng, first: usize, rows: &mut [Cells], headed: bool, style: Style) -> Task {
    let count = rows.len();
    let bad = spoil(rng, rows);
    let conflict = (rng.usize(..4) == 0).then(|| rng.usize(..count));
    let number = |row: usize| u32::try_from(row + 1 + usize::from(headed)).unwrap();
    let detail = |row, start, end, reason| FailDetail {
        row,
        start: Some(start),
        end: Some(end),
        reason,
    };
    let (mut details, mut about) = (Vec::new(), Vec::new());
    if let Some(row) = conflict {
        let block = number(row / 10 * 10);
        let reason = format!(
            "(1062, \"Duplicate entry '{}' for key 't_1.id'\")",
            rows[row].id
        );
        details.push(detail(RowField::Null, block, block + 1, reason));
        about.push(row);
    }
    let mut blocks = BTreeSet::new();
    for (row, first) in &bad {
        let reason = reason(rng, &rows[*row], first.map(|first| number(first) as usize));
        let entry = match style {
            Style::Rows => detail(RowField::Row(number(*row)), 0, 0, reason),
            Style::Unsaid => detail(RowField::Absent, 0, 0, reason),
            Style::Blocks if blocks.insert(row / 10) => {
                let start = number(row / 10 * 10);
                let reason = if rng.bool() {
                    reason
                } else {
                    "fail reason".to_owned()
                };
                detail(RowField::Absent, start, start + 9, reason)
            }
            Style::Blocks => continue,
        };
        details.push(entry);
        about.push(*row);
    }
    let failed: BTreeSet<usize> = match conflict {
        Some(_) => (0..count).collect(),
        None => bad.keys().copied().collect(),
    };
    if details.len() > 1 && rng.usize(..5) == 0 {
        // The list may be shorter than the count.
        details.pop();
        about.pop();
    }
    let whole = |count: usize| Some(u32::try_from(count).unwrap());
    let knows_total = rng.usize(..4) > 0;
    let counts = Counts {
        total: whole(count).filter(|_| knows_total || conflict.is_some()),
        succeeded: whole(count - failed.len()),
        failed: whole(failed.len()),
    };
    let outcome = match (failed.len(), count) {
        (0, _) => Outcome::Available,
        (failed, count) if failed == count => Outcome::Failed,
        _ => Outcome::Partial,
    };
    let failures = details.into_iter().map(|detail| explain(detail, counts));
    Task {
        first,
        rows: count,
        settlement: Settlement {
            outcome,
            progress: None,
            counts,
            failures: failures.collect(),
        },
        failed,
        about,
    }
}

fn quoted(text: &str, delimiter: char) -> String {
    if text.contains(['"', '\n', '\r', delimiter]) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn source(rng: &mut Rng, rows: &[Cells]) -> Vec<u8> {
    if rng.usize(..5) == 0 {
        let line = |row: &Cells| {
            let object = serde_json::json!({"id": row.id, "name": row.name, "price": row.price});
            format!("{object}\n")
        };
        return rows.iter().map(line).collect::<String>().into_bytes();
    }
    let delimiter = [',', ';', '\t', '|'][rng.usize(..4)];
    let end = ["\n", "\r\n"][rng.usize(..2)];
    let mut text = String::new();
    if rng.usize(..3) == 0 {
        text.push('\u{feff}');
    }
    write!(text, "id{delimiter}name{delimiter}price{end}").unwrap();
    for row in rows {
        let cells = [&row.id, &row.name, &row.price].map(|cell| quoted(cell, delimiter));
        text.push_str(&cells.join(&delimiter.to_string()));
        text.push_str(end);
    }
    if rng.bool() {
        text.truncate(text.trim_end().len());
    }
    if rng.usize(..4) == 0 && !text.starts_with('\u{feff}') {
        // An encoding that keeps ASCII and is not UTF-8.
        return text.chars().map(|c| u8::try_from(c).unwrap()).collect();
    }
    text.into_bytes()
}

fn world(seed: u64) -> World {
    let mut rng = Rng::with_seed(seed);
    let headed = rng.bool();
    let style = [Style::Rows, Style::Rows, Style::Blocks, Style::Unsaid][rng.usize(..4)];
    let chunk = rng.usize(5..80);
    let count = chunk * rng.usize(1..5) + rng.usize(1..chunk);
    let mut rows: Vec<_> = (0..count).map(|number| cells(&mut rng, number)).collect();
    let mut tasks = Vec::new();
    for (index, rows) in rows.chunks_mut(chunk).enumerate() {
        tasks.push(task(&mut rng, index * chunk, rows, headed, style));
    }
    let shift = if rng.usize(..8) == 0 {
        rng.usize(1..7)
    } else {
        0
    };
    World {
        source: source(&mut rng, &rows),
        tasks,
        shift,
    }
}

/// The records of a source, and its columns.
fn records(source: &[u8]) -> (Vec<&[u8]>, Header, Dialect, bool) {
    let beginning = beginning::detect(source, None).unwrap();
    let mut scanner = Scanner::new(beginning.dialect);
    let mut rest = &source[beginning.mark..];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let end = scanner.end(rest).unwrap_or(rest.len());
        let (record, after) = rest.split_at(end);
        rest = after;
        if !scan::is_blank(record) {
            records.push(record);
        }
    }
    let mut header = Header::default();
    if beginning.dialect.form == Form::Csv {
        header = Header::read(records.remove(0), beginning.dialect);
    }
    (records, header, beginning.dialect, beginning.is_utf8)
}

/// What was called how, and whether it was so.
#[derive(Debug, Default)]
struct Score {
    right: u64,
    wrong: u64,
}

#[derive(Debug, Default)]
struct Scores {
    by_certainty: BTreeMap<Certainty, Score>,
    failed: u64,
    found: u64,
}

impl Scores {
    fn judge(&mut self, world: &World, seed: u64) {
        let (records, header, dialect, is_utf8) = records(&world.source);
        let mut votes = Votes::default();
        let mut shown: Vec<(Vec<Failure>, Evidence)> = Vec::new();
        for task in &world.tasks {
            let mut search = Search::new(task.settlement.clone(), is_utf8);
            let told = records.iter().skip(task.first + world.shift);
            for record in told.take(task.rows) {
                search.see(record, dialect, &header);
            }
            let (failures, evidence) = search.end();
            votes.count(&failures, &evidence);
            shown.push((failures, evidence));
        }
        for (task, (_, evidence)) in world.tasks.iter().zip(&shown) {
            if task.settlement.outcome == Outcome::Available {
                continue;
            }
            let resolved = resolve::resolve(&task.settlement, evidence, &votes);
            self.failed += task.failed.len() as u64;
            let mut found = BTreeSet::new();
            for (record, (index, certainty)) in &resolved.records {
                let row = usize::try_from(*record).unwrap() - 1 + world.shift;
                let score = self.by_certainty.entry(*certainty).or_default();
                if task.failed.contains(&row) {
                    score.right += 1;
                    found.insert(row);
                } else {
                    score.wrong += 1;
                }
                if *certainty == Certainty::Exact {
                    let is_right = match (world.shift, index) {
                        (0, Some(index)) => {
                            // Several failures without a number may name one value.
                            let same = |other: &usize| {
                                task.settlement.failures[*other].value
                                    == task.settlement.failures[*index].value
                            };
                            let about = (0..task.about.len()).filter(same);
                            about
                                .map(|index| task.about[index])
                                .any(|about| about == row)
                        }
                        _ => task.failed.contains(&row),
                    };
                    assert!(
                        is_right,
                        "seed {seed}, task at {}, record {record} {:?} {:?} about {:?} failed {:?} shift {} votes {:?} {:?}",
                        task.first,
                        index.map(|i| &task.settlement.failures[i]),
                        index.map(|i| &evidence.seen[i]),
                        task.about,
                        task.failed,
                        world.shift,
                        votes,
                        resolved.doubts
                    );
                }
            }
            self.found += found.len() as u64;
        }
    }

    fn told(&self) -> String {
        let share = |part: u64, whole: u64| {
            let permille = (part * 1000 + whole / 2) / whole.max(1);
            format!("{}.{} %", permille / 10, permille % 10)
        };
        let mut text = String::from(
            "| certainty | rows | precision | of all that failed |\n| --- | --- | --- | --- |\n",
        );
        let all = [
            Certainty::Exact,
            Certainty::Row,
            Certainty::Block,
            Certainty::Task,
        ];
        for certainty in all {
            let score = &self.by_certainty[&certainty];
            writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                certainty.as_str(),
                score.right + score.wrong,
                share(score.right, score.right + score.wrong),
                share(score.right, self.failed)
            )
            .unwrap();
        }
        let (right, wrong) = self
            .by_certainty
            .values()
            .fold((0, 0), |(right, wrong), score| {
                (right + score.right, wrong + score.wrong)
            });
        writeln!(
            text,
            "| all | {} | {} | {} |",
            right + wrong,
            share(right, right + wrong),
            share(self.found, self.failed)
        )
        .unwrap();
        text
    }
}

fn scores(is_wanted: impl Fn(&World) -> bool) -> Scores {
    let mut scores = Scores::default();
    for seed in 0..WORLDS {
        let world = world(seed);
        if is_wanted(&world) {
            scores.judge(&world, seed);
        }
    }
    scores
}

#[test]
fn rejects_corpus_is_as_the_readme_says() {
    let scores = scores(|world| world.shift == 0);
    let told = scores.told();
    assert_eq!(scores.by_certainty[&Certainty::Exact].wrong, 0);
    assert_eq!(scores.by_certainty[&Certainty::Task].wrong, 0);
    insta::assert_snapshot!(told);
    let readme = fs::read_to_string("README.md").unwrap();
    assert!(readme.contains(&told), "the README should have:\n{told}");
}

#[test]
fn rejects_corpus_with_rows_told_wrongly_has_no_wrong_exact() {
    let scores = scores(|world| world.shift > 0);
    assert!(scores.failed > 1000);
    if let Some(exact) = scores.by_certainty.get(&Certainty::Exact) {
        assert_eq!(exact.wrong, 0);
    }
}

#[test]
fn the_rows_of_the_corpus_are_read_as_they_were_written() {
    for seed in 0..300 {
        let mut rng = Rng::with_seed(seed);
        let rows: Vec<_> = (0..30).map(|number| cells(&mut rng, number)).collect();
        let source = source(&mut rng, &rows);
        let (records, header, dialect, _) = records(&source);
        assert_eq!(records.len(), rows.len(), "{seed}");
        for (record, row) in records.iter().zip(&rows) {
            let id = fields::value(record, dialect, &header, "id").unwrap();
            assert_eq!(id.as_ref(), row.id.as_bytes(), "{seed}");
        }
    }
}

//! `importwatch rejects`: the rows of the source that failed, as they stand in it, with what is known
//! of each.
//!
//! It never changes the source, and never says more of a row than is known.

mod forms;
mod pass;
mod report;
mod select;
mod write;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use tempfile::NamedTempFile;

use crate::cli::Context;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::rejects::forms::Forms;
use crate::cli::rejects::report::Report;
use crate::cli::rejects::select::Wanted;
use crate::cli::source::Opened;
use crate::rejects::dialect::Form;
use crate::store::Store;

#[derive(Debug, Args)]
#[command(
    after_help = "Each row is written as it stands in the source, byte for byte, behind seven \
columns of ours:
  importwatch_task       the task
  importwatch_row        the row of the source; 1 is the first after the header
  importwatch_cause      conflict_with_table, duplicate_in_import, invalid_row, block, unknown
  importwatch_column     the column that the server named
  importwatch_value      the value that it named
  importwatch_reason     its words
  importwatch_certainty  exact: its number was named and the value stands in it, or the value that
                                is in the table already does
                         row: its number was named, or the value stands in no other row
                         block: one of these ten; the server does not say which
                         task: nothing of this task went in
Without those columns it is a part of the source, to be mended and imported again.

--format request writes bodies for the endpoint /v1/database/import/records, one a line, of the rows \
that may be sent as they are: those of tasks of which nothing went in, without the rows to blame.

Examples:
  importwatch rejects --import products --output rejected.csv
  importwatch rejects --import products --format jsonl | jq .
  importwatch rejects --import products --format request --table TABLE-ID --output bodies.jsonl
  importwatch rejects --source moved/products.csv 68ec7ad3e307920f002648cd"
)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(super) struct Arguments {
    /// An import: the newest of this name, or NAME@2026-11-21T02:00 for an older
    #[arg(long, value_name = "NAME", group = "which")]
    import: Option<String>,
    /// The source, where it is not where it was, or was not told when the tasks were added; each task
    /// then has as many rows as the server counted, in the order of adding
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
    /// Write to this file instead of standard output; it is there whole or not at all
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How the rows are written; as in the source, if nothing is said
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// The table that the bodies of --format request are for
    #[arg(long, value_name = "ID", required_if_eq("format", "request"))]
    table: Option<String>,
    /// What stands between the fields of the source, one character or `tab`; else it is found out
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// Put a ' before cells that a spreadsheet would run; the rows are then no longer as they were
    #[arg(long)]
    spreadsheet_safe: bool,
    /// Go on although the source has changed since
    #[arg(long)]
    force: bool,
    /// Ids of import tasks
    #[arg(value_name = "ID", group = "which")]
    ids: Vec<String>,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The rows of a CSV file as they are
    Csv,
    /// One JSON object a line
    Jsonl,
    /// Bodies for the import endpoint, at most 1,000 rows each, one a line
    Request,
}

fn delimiter(text: &str) -> Result<u8, String> {
    let byte = match text {
        "tab" | "\\t" => Some(b'\t'),
        _ => text.bytes().next().filter(|_| text.len() == 1),
    };
    let usable = |byte: &u8| !matches!(byte, b'"' | b'\n' | b'\r' | 0);
    byte.filter(usable).ok_or_else(|| {
        "give one character of ASCII that is no quote and no line break, or `tab`".to_owned()
    })
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let directory = context.state()?;
    let store = Store::open(&directory)?;
    let wanted = select::wanted(
        &store,
        arguments.import.as_deref(),
        &arguments.ids,
        &TimeZone::system(),
    )?;
    let say = |text: &str| {
        if !context.flags.quiet {
            output::say(text);
        }
    };
    if wanted.failed == 0 {
        say(&wanted.nothing());
        return Ok(Exit::Done);
    }
    let (source, parts) = wanted.choose(
        arguments.source.as_deref(),
        arguments.delimiter,
        arguments.force,
    )?;
    let forms = forms(arguments, &source)?;
    if let Some(path) = &arguments.output
        && source.is(path)
    {
        bail!(
            "{} is the source itself; write to another file",
            path.display()
        );
    }
    let sifted = pass::sift(&store, &source, &parts, arguments.output.as_deref())?;
    let report = match &arguments.output {
        None => {
            let mut out = BufWriter::new(io::stdout().lock());
            let report = write::write(&store, &parts, sifted, &forms, &mut out)?;
            out.flush()?;
            report
        }
        Some(path) => to_file(path, |out| {
            write::write(&store, &parts, sifted, &forms, out)
        })?,
    };
    tell(&report, &source, &wanted, arguments, say);
    Ok(Exit::Done)
}

fn forms(arguments: &Arguments, source: &Opened) -> anyhow::Result<Forms> {
    let own = match source.beginning.dialect.form {
        Form::Csv => Format::Csv,
        Form::JsonLines => Format::Jsonl,
    };
    let format = arguments.format.unwrap_or(own);
    let path = source.path.display();
    if own == Format::Jsonl && format == Format::Csv {
        bail!(
            "{path} is JSON lines, which have no fixed columns; its rows are written as --format jsonl"
        );
    }
    if own == Format::Csv && format != Format::Csv && !source.beginning.is_utf8 {
        bail!(
            "{path} is not UTF-8, which JSON must be; its rows are written as --format csv, or convert it first"
        );
    }
    Ok(Forms {
        format,
        table: arguments.table.clone().unwrap_or_default(),
        dialect: source.beginning.dialect,
        is_utf8: source.beginning.is_utf8,
        mark: source.beginning.mark_bytes().to_vec(),
        is_safe: arguments.spreadsheet_safe,
    })
}

/// Writes a file that is there whole or not at all, and that no one else can read.
fn to_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<Report>,
) -> anyhow::Result<Report> {
    let shown = path.display();
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        bail!("{shown} is not a file, so it cannot be replaced by one");
    }
    let draft = NamedTempFile::new_in(folder)
        .with_context(|| format!("cannot write to the folder of {shown}"))?;
    let mut out = BufWriter::new(draft);
    let report = write(&mut out)?;
    let draft = out
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .with_context(|| format!("cannot write {shown}"))?;
    draft
        .as_file()
        .sync_all()
        .with_context(|| format!("cannot write {shown}"))?;
    draft
        .persist(path)
        .map_err(|error| error.error)
        .with_context(|| format!("cannot write {shown}"))?;
    Ok(report)
}

fn tell(
    report: &Report,
    source: &Opened,
    wanted: &Wanted,
    arguments: &Arguments,
    say: impl Fn(&str),
) {
    let to = arguments
        .output
        .as_ref()
        .map(|path| format!(" to {}", path.display()));
    for line in report.lines(&source.path, &to.unwrap_or_default()) {
        say(&line);
    }
    if wanted.pending > 0 {
        say(&wanted.still_pending());
    }
}

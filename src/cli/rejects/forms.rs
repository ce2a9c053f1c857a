//! The formats in which rows are written: as they are, as JSON lines, or as bodies of requests.
//!
//! What the server said is made harmless in every one of them; what stood in the source is left as it
//! stood, unless it is asked otherwise.

use std::borrow::Cow;
use std::io::Write;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::rejects::Format;
use crate::failure::Failure;
use crate::notice::safe;
use crate::rejects::dialect::{Dialect, Form};
use crate::rejects::fields::{self, Header};
use crate::rejects::resolve::Certainty;
use crate::task::TaskId;

/// Rows that the import endpoint takes at once.
const ROWS: usize = 1000;
/// The most bytes of a body. The vendor turns a body into CSV of at most 10 MB; that of JSON is longer.
const BODY: usize = 8_000_000;

/// The columns that come before those of the source.
const COLUMNS: [&str; 7] = [
    "importwatch_task",
    "importwatch_row",
    "importwatch_cause",
    "importwatch_column",
    "importwatch_value",
    "importwatch_reason",
    "importwatch_certainty",
];

/// How rows are to be written.
#[derive(Debug, Clone)]
pub(super) struct Forms {
    pub(super) format: Format,
    /// The table that requests are for.
    pub(super) table: String,
    pub(super) dialect: Dialect,
    pub(super) is_utf8: bool,
    /// The bytes that say the encoding.
    pub(super) mark: Vec<u8>,
    /// Whether cells that a spreadsheet would run are made harmless.
    pub(super) is_safe: bool,
}

/// A row that failed.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) task: &'a TaskId,
    /// Its number in the source.
    pub(super) number: u64,
    pub(super) failure: Option<&'a Failure>,
    pub(super) certainty: Certainty,
    /// The row as it stands in the source.
    pub(super) record: &'a [u8],
}

#[derive(Debug, Serialize)]
struct Added<'a> {
    #[serde(rename = "importwatch_task")]
    task: String,
    #[serde(rename = "importwatch_row")]
    row: u64,
    #[serde(rename = "importwatch_cause")]
    cause: &'a str,
    #[serde(rename = "importwatch_column")]
    column: Option<&'a str>,
    #[serde(rename = "importwatch_value")]
    value: Option<&'a str>,
    #[serde(rename = "importwatch_reason")]
    reason: &'a str,
    #[serde(rename = "importwatch_certainty")]
    certainty: &'a str,
}

impl<'a> From<&Row<'a>> for Added<'a> {
    fn from(row: &Row<'a>) -> Self {
        Self {
            task: row.task.to_string(),
            row: row.number,
            cause: cause(row),
            column: row.failure.and_then(|failure| failure.column.as_deref()),
            value: row.failure.and_then(|failure| failure.value.as_deref()),
            reason: row.failure.map_or("", |failure| failure.reason.as_str()),
            certainty: row.certainty.as_str(),
        }
    }
}

fn cause(row: &Row<'_>) -> &'static str {
    row.failure
        .map_or("unknown", |failure| failure.kind.as_str())
}

/// Writes rows one after another.
pub(super) struct Writer<'w> {
    forms: Forms,
    out: &'w mut dyn Write,
    header: Header,
    /// The line break of the source.
    line_end: &'static [u8],
    body: Vec<u8>,
    rows: usize,
    bodies: u64,
}

impl Forms {
    /// Begins with the header of the source, where it has one.
    pub(super) fn begin<'w>(
        &self,
        header: &[u8],
        out: &'w mut dyn Write,
    ) -> anyhow::Result<Writer<'w>> {
        let line_end: &[u8] = match (header, self.dialect.line_end) {
            (_, b'\r') => b"\r",
            (header, _) if header.ends_with(b"\r\n") => b"\r\n",
            _ => b"\n",
        };
        let mut writer = Writer {
            forms: self.clone(),
            out,
            header: Header::read(header, self.dialect),
            line_end,
            body: Vec::new(),
            rows: 0,
            bodies: 0,
        };
        if self.format == Format::Csv {
            writer.out.write_all(&self.mark)?;
            for name in COLUMNS {
                writer.out.write_all(name.as_bytes())?;
                writer.out.write_all(&[self.dialect.delimiter])?;
            }
            writer.source_row(header)?;
        }
        Ok(writer)
    }
}

impl Writer<'_> {
    /// Writes a row, if it is one that the format is for. Whether it was.
    pub(super) fn row(&mut self, row: &Row<'_>) -> anyhow::Result<bool> {
        match (self.forms.format, self.forms.dialect.form) {
            (Format::Csv, _) => {
                self.added(row)?;
                self.source_row(row.record)?;
            }
            (Format::Jsonl, Form::JsonLines) => {
                let added = serde_json::to_vec(&Added::from(row))?;
                let line = with_added(added, fields::body(row.record));
                self.out.write_all(&line)?;
                self.out.write_all(b"\n")?;
            }
            (Format::Jsonl, Form::Csv) => {
                let added = serde_json::to_vec(&Added::from(row))?;
                let line = with_added(added, &self.object(row.record)?);
                self.out.write_all(&line)?;
                self.out.write_all(b"\n")?;
            }
            (Format::Request, form) => {
                // The other rows are to blame, or may be in the table.
                if row.certainty != Certainty::Task {
                    return Ok(false);
                }
                let values = match form {
                    Form::Csv => self.object(row.record)?,
                    Form::JsonLines => fields::body(row.record).trim_ascii().to_vec(),
                };
                if serde_json::from_slice::<&RawValue>(&values).is_err() {
                    return Ok(false);
                }
                self.request(&values)?;
            }
        }
        Ok(true)
    }

    /// What is still to be written. How many bodies there were, in the format that has any.
    pub(super) fn end(mut self) -> anyhow::Result<Option<u64>> {
        self.end_body()?;
        Ok((self.forms.format == Format::Request).then_some(self.bodies))
    }

    fn added(&mut self, row: &Row<'_>) -> anyhow::Result<()> {
        let named = |name: fn(&Failure) -> Option<&str>| row.failure.and_then(name).unwrap_or("");
        let (id, number) = (row.task.to_string(), row.number.to_string());
        let texts = [
            id.as_str(),
            number.as_str(),
            cause(row),
            named(|failure| failure.column.as_deref()),
            named(|failure| failure.value.as_deref()),
            named(|failure| Some(&failure.reason)),
            row.certainty.as_str(),
        ];
        for text in texts {
            let field = self.field(text);
            self.out.write_all(field.as_bytes())?;
            self.out.write_all(&[self.forms.dialect.delimiter])?;
        }
        Ok(())
    }

    /// A field of ours: one line, nothing that runs, and ASCII alone where the file is not UTF-8.
    fn field(&self, text: &str) -> String {
        let mut field = safe::one_line(text);
        if !self.forms.is_utf8 {
            field = field
                .chars()
                .map(|c| {
                    if c.is_ascii() {
                        c.to_string()
                    } else {
                        c.escape_unicode().to_string()
                    }
                })
                .collect();
        }
        if runs(field.as_bytes()) {
            field.insert(0, '\'');
        }
        let delimiter = char::from(self.forms.dialect.delimiter);
        if field.contains(delimiter) || field.contains('"') {
            field = format!("\"{}\"", field.replace('"', "\"\""));
        }
        field
    }

    /// A row of the source, as it stands there.
    fn source_row(&mut self, record: &[u8]) -> anyhow::Result<()> {
        let body = fields::body(record);
        if self.forms.is_safe && self.forms.dialect.form == Form::Csv {
            let delimiter = self.forms.dialect.delimiter;
            let mut is_first = true;
            for field in fields::split(record, self.forms.dialect) {
                if !is_first {
                    self.out.write_all(&[delimiter])?;
                }
                is_first = false;
                self.out.write_all(&harmless(field))?;
            }
        } else {
            self.out.write_all(body)?;
        }
        let end = &record[body.len()..];
        // The last record of a file may have no line break.
        self.out
            .write_all(if end.is_empty() { self.line_end } else { end })?;
        Ok(())
    }

    /// A record of CSV as a JSON object, each field a text.
    fn object(&self, record: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut object = vec![b'{'];
        let cells = fields::split(record, self.forms.dialect).map(fields::unquoted);
        for (name, cell) in self.header.names().iter().zip(cells) {
            if object.len() > 1 {
                object.push(b',');
            }
            serde_json::to_writer(&mut object, name)?;
            object.push(b':');
            serde_json::to_writer(&mut object, &String::from_utf8_lossy(&cell))?;
        }
        object.push(b'}');
        Ok(object)
    }

    fn request(&mut self, values: &[u8]) -> anyhow::Result<()> {
        if self.rows == ROWS || (self.rows > 0 && self.body.len() + values.len() > BODY) {
            self.end_body()?;
        }
        if self.rows == 0 {
            self.body.extend_from_slice(b"{\"table_id\":");
            serde_json::to_writer(&mut self.body, &self.forms.table)?;
            self.body.extend_from_slice(b",\"records\":[");
        } else {
            self.body.push(b',');
        }
        self.body.extend_from_slice(b"{\"values\":");
        self.body.extend_from_slice(values);
        self.body.push(b'}');
        self.rows += 1;
        Ok(())
    }

    fn end_body(&mut self) -> anyhow::Result<()> {
        if self.rows > 0 {
            self.body.extend_from_slice(b"]}\n");
            self.out.write_all(&self.body)?;
            self.body.clear();
            self.rows = 0;
            self.bodies += 1;
        }
        Ok(())
    }
}

/// Our object with that of the source behind it, as it stands there.
fn with_added(mut added: Vec<u8>, record: &[u8]) -> Vec<u8> {
    added.pop();
    let record = record.trim_ascii();
    let Some(rest) = record.strip_prefix(b"{") else {
        added.extend_from_slice(b",\"importwatch_record\":");
        let text = String::from_utf8_lossy(record);
        let text = serde_json::to_vec(&text).unwrap_or_default();
        added.extend_from_slice(&text);
        added.push(b'}');
        return added;
    };
    if !rest.trim_ascii_start().starts_with(b"}") {
        added.push(b',');
    }
    added.extend_from_slice(rest);
    added
}

/// Whether a spreadsheet takes a cell for a formula. A number with a sign is none.
fn runs(cell: &[u8]) -> bool {
    match cell.first() {
        Some(b'=' | b'@' | b'\t' | b'\r') => true,
        Some(b'+' | b'-') => !str::from_utf8(cell).is_ok_and(|text| text.parse::<f64>().is_ok()),
        _ => false,
    }
}

/// A field of the source that no spreadsheet runs.
fn harmless(field: &[u8]) -> Cow<'_, [u8]> {
    let said = fields::unquoted(field);
    if !runs(said.trim_ascii_start()) && !runs(&said) {
        return Cow::Borrowed(field);
    }
    let mut safe = b"\"'".to_vec();
    for byte in said.iter() {
        if *byte == b'"' {
            safe.push(b'"');
        }
        safe.push(*byte);
    }
    safe.push(b'"');
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;

    fn written(forms: &Forms, header: &[u8], records: &[&[u8]], certainty: Certainty) -> String {
        let failure = Failure {
            row: Some(2),
            first_row: None,
            last_row: None,
            kind: FailureKind::InvalidRow,
            column: Some("id".to_owned()),
            value: Some("=1+2".to_owned()),
            reason: "\u{1b}[31mbad; \"é\"\n".to_owned(),
        };
        let mut out = Vec::new();
        let mut writer = forms.begin(header, &mut out).unwrap();
        let task = "t".parse().unwrap();
        for record in records {
            writer
                .row(&Row {
                    task: &task,
                    number: 7,
                    failure: Some(&failure),
                    certainty,
                    record,
                })
                .unwrap();
        }
        writer.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    fn forms(format: Format, dialect: Dialect) -> Forms {
        Forms {
            format,
            table: "tab\"le".to_owned(),
            dialect,
            is_utf8: true,
            mark: Vec::new(),
            is_safe: false,
        }
    }

    const SEMICOLON: Dialect = Dialect::csv(b';', b'\n');

    #[test]
    fn rows_of_csv_stay_as_they_are() {
        let mut forms = forms(Format::Csv, SEMICOLON);
        forms.mark = b"\xef\xbb\xbf".to_vec();
        let records: [&[u8]; 2] = [b"\"=a\nb\";  x ;-1\r\n", b"short"];
        let text = written(&forms, b"id;name;n\r\n", &records, Certainty::Exact);
        let ours = "t;7;invalid_row;id;'=1+2;\"[31mbad; \"\"é\"\"\";exact;";
        assert_eq!(
            text,
            format!(
                "\u{feff}{};id;name;n\r\n{ours}\"=a\nb\";  x ;-1\r\n{ours}short\r\n",
                COLUMNS.join(";")
            )
        );
        forms.is_safe = true;
        forms.is_utf8 = false;
        let text = written(&forms, b"id;name;n\r\n", &records[..1], Certainty::Exact);
        assert!(text.ends_with("exact;\"'=a\nb\";  x ;-1\r\n"), "{text}");
        assert!(text.contains("\\u{e9}"), "{text}");
    }

    #[test]
    fn lines_of_json_keep_their_bytes_behind_ours() {
        let forms = forms(Format::Jsonl, Dialect::json_lines());
        let records: [&[u8]; 3] = [b"{ \"id\" : 1.50 }\n", b"{}\n", b"[1]\n"];
        let text = written(&forms, b"", &records, Certainty::Row);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].ends_with(",\"importwatch_certainty\":\"row\", \"id\" : 1.50 }"));
        assert!(lines[1].ends_with("\"importwatch_certainty\":\"row\"}"));
        assert!(lines[2].ends_with("\"importwatch_record\":\"[1]\"}"));
        for line in lines {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }

    #[test]
    fn a_body_has_a_thousand_rows_and_only_those_to_be_sent_again() {
        let forms = forms(Format::Request, SEMICOLON);
        let record: &[u8] = b"1;\"a;\"\"b\"\n";
        let records = vec![record; 1001];
        assert_eq!(
            written(&forms, b"id;name\n", &records, Certainty::Exact),
            ""
        );
        let text = written(&forms, b"id;name\n", &records, Certainty::Task);
        let bodies: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let rows = bodies
            .iter()
            .map(|body| body["records"].as_array().unwrap().len());
        assert_eq!(rows.collect::<Vec<_>>(), [1000, 1]);
        assert_eq!(bodies[1]["table_id"], "tab\"le");
        assert_eq!(bodies[1]["records"][0]["values"]["name"], "a;\"b");
    }
}

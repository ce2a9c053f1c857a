//! A settings file's text, parsed so that the place of each key is known.
//!
//! It shows of the text only the entry in question, and nothing of what may be a key: an unknown
//! key's value, a URL with a password, or a line that could not be read and does not look harmless.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use crate::settings::list::List;
use crate::settings::mistake::{Excerpt, Mistake, Place, dotted};
use crate::settings::value::is_delicate;

/// A settings file that is good TOML.
pub(super) struct Document<'t> {
    path: &'t Path,
    text: &'t str,
    /// As it was read, for the places.
    all: Spanned<DeTable<'t>>,
    /// What has not been taken out.
    left: Spanned<DeTable<'t>>,
}

/// What a taken value was.
pub(super) enum Taken {
    Text(String),
    Other,
}

/// What part of an entry is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The key; its value is nobody's business.
    Key,
    Value,
}

impl<'t> Document<'t> {
    /// Parses `text`, which was read from the file at `path`.
    pub(super) fn parse(path: &'t Path, text: &'t str) -> Result<Self, Box<Mistake>> {
        match DeTable::parse(text) {
            Ok(all) => Ok(Self {
                path,
                text,
                left: all.clone(),
                all,
            }),
            Err(error) => Err(Box::new(syntax_mistake(path, text, &error))),
        }
    }

    /// The keys directly below `key`.
    pub(super) fn names_in(&self, key: &[&str]) -> Vec<String> {
        let names = |table: &DeTable<'_>| table.keys().map(|k| k.get_ref().to_string()).collect();
        match find(self.left.get_ref(), key) {
            Some((_, value)) => value.get_ref().as_table().map(names).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Whether the value at `key` is a list.
    pub(super) fn is_list<S: AsRef<str>>(&self, key: &[S]) -> bool {
        find(self.left.get_ref(), key).is_some_and(|(_, value)| value.get_ref().is_array())
    }

    /// Takes out of a list what it should not hold, or all of it if it is no list, and returns a
    /// mistake for each.
    pub(super) fn sift(&mut self, list: &List) -> Vec<Mistake> {
        let found = find(self.left.get_ref(), &list.key).map(|(_, value)| value.get_ref());
        let name = dotted(&list.key);
        let items = match found {
            None => return Vec::new(),
            Some(DeValue::Array(items)) => items,
            Some(other) => {
                let (found, expected) = (other.type_str(), list.expected);
                let message = format!("{name}: found {found}, expected {expected}");
                let mistake = self.mistake(&list.key, Part::Value, message);
                self.take(&list.key);
                return vec![mistake];
            }
        };
        let mut mistakes = Vec::new();
        let mut good = DeArray::new();
        for item in items {
            let checked = match item.get_ref().as_str() {
                Some(text) => (list.check)(text),
                None => Err(format!(
                    "found {}, expected text in quotes",
                    item.get_ref().type_str()
                )),
            };
            match checked {
                Ok(()) => good.push(item.clone()),
                Err(message) => {
                    // An item has no name; what is shown of it begins with itself.
                    let start = item.span().start;
                    let (place, excerpt) = self.place_of(start..start, item, Part::Value);
                    let place = in_file(self.path, place);
                    let mistake = Mistake::new(&list.key, place, format!("{name}: {message}"));
                    mistakes.push(Mistake { excerpt, ..mistake });
                }
            }
        }
        let [section, key] = list.key;
        if let Some(table) = table_mut(self.left.get_mut(), &[section])
            && let Some(items) = table.get_mut(key)
        {
            *items.get_mut() = DeValue::Array(good);
        }
        mistakes
    }

    /// Takes out the entry at `key`; its place stays known.
    pub(super) fn take<S: AsRef<str>>(&mut self, key: &[S]) -> Option<Taken> {
        let (last, parents) = key.split_last()?;
        let table = table_mut(self.left.get_mut(), parents)?;
        match table.remove(last.as_ref())?.into_inner() {
            DeValue::String(text) => Some(Taken::Text(text.into_owned())),
            _ => Some(Taken::Other),
        }
    }

    /// What is left, to be read.
    pub(super) fn deserializer(&self) -> Deserializer<'t> {
        Deserializer::from(self.left.clone())
    }

    /// What is left, written anew.
    pub(super) fn rendered(&self) -> Result<String, Box<dyn std::error::Error>> {
        let table = toml::Table::deserialize(self.deserializer())?;
        Ok(toml::to_string(&table)?)
    }

    /// Whether the file has an entry at `key`, taken out or not.
    pub(super) fn has<S: AsRef<str>>(&self, key: &[S]) -> bool {
        find(self.all.get_ref(), key).is_some()
    }

    /// A mistake at the entry at `key`, or at the start of the file if there is none.
    pub(super) fn mistake<S: AsRef<str>>(&self, key: &[S], part: Part, message: String) -> Mistake {
        let (place, excerpt) = match find(self.all.get_ref(), key) {
            Some((name, value)) => self.place_of(name.span(), value, part),
            None => (position(self.text, 0), None),
        };
        let mistake = Mistake::new(key, in_file(self.path, place), message);
        Mistake { excerpt, ..mistake }
    }

    fn place_of(
        &self,
        name: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        part: Part,
    ) -> ((usize, usize), Option<Excerpt>) {
        let span = value.span();
        // A table has no place of its own but that of its header, which is where its key is; so has
        // a list of tables, whose span starts at the header's bracket.
        let is_table = value.get_ref().is_table() || span.start < name.end;
        let marked = if part == Part::Key || is_table {
            name.clone()
        } else {
            span.clone()
        };
        let (line, column) = position(self.text, marked.start);
        let key = self.text.get(name.clone()).unwrap_or_default();
        let excerpt = match self.text.get(name.start..span.end) {
            _ if is_table => excerpt(line, key, 0..key.len()),
            Some(entry) if key.is_empty() && is_delicate(entry) => {
                return ((line, column), None);
            }
            Some(entry) if part == Part::Value && !is_delicate(entry) => {
                let marked = marked.start - name.start..marked.end - name.start;
                excerpt(line, entry, marked)
            }
            _ => excerpt(line, &format!("{key} = …"), 0..key.len()),
        };
        ((line, column), Some(excerpt))
    }
}

/// The entry at `key`.
fn find<'d, 't, S: AsRef<str>>(
    root: &'d DeTable<'t>,
    key: &[S],
) -> Option<(
    &'d Spanned<std::borrow::Cow<'t, str>>,
    &'d Spanned<DeValue<'t>>,
)> {
    let (last, parents) = key.split_last()?;
    let mut table = root;
    for name in parents {
        table = table.get(name.as_ref())?.get_ref().as_table()?;
    }
    table.get_key_value(last.as_ref())
}

/// The table at `key`, to be changed.
fn table_mut<'d, 't, S: AsRef<str>>(
    root: &'d mut DeTable<'t>,
    key: &[S],
) -> Option<&'d mut DeTable<'t>> {
    let mut table = root;
    for name in key {
        table = match table.get_mut(name.as_ref())?.get_mut() {
            DeValue::Table(inner) => inner,
            _ => return None,
        };
    }
    Some(table)
}

fn syntax_mistake(path: &Path, text: &str, error: &toml::de::Error) -> Mistake {
    let span = error.span().unwrap_or(text.len()..text.len());
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let (line, column) = position(text, start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let whole_line = text[line_start..].lines().next().unwrap_or_default();
    let excerpt = is_harmless(&text[..line_start], whole_line).then(|| {
        excerpt(
            line,
            whole_line,
            start - line_start..span.end.max(start) - line_start,
        )
    });
    let place = in_file(path, (line, column));
    let mistake = Mistake::new(NO_KEY, place, error.message().to_owned());
    Mistake { excerpt, ..mistake }
}

/// The key of what is not about one.
const NO_KEY: &[&str] = &[];

fn in_file(path: &Path, (line, column): (usize, usize)) -> Place {
    Place::File {
        path: path.to_owned(),
        line,
        column,
    }
}

/// Whether a line of a text that could not be parsed is surely no part of a key: it is a table's
/// header or the entry of a plainly named key, does not sound secret, and is not inside of a text of
/// several lines.
fn is_harmless(before: &str, line: &str) -> bool {
    let in_long_text = before.contains("\"\"\"") || before.contains("'''");
    let name = match line.split_once('=') {
        Some((name, _)) => name.trim(),
        None => match line.trim().strip_prefix('[') {
            Some(header) => header.trim_end_matches(']'),
            None => return false,
        },
    };
    let plain = |b: u8| b.is_ascii_lowercase() || b == b'_' || b == b'.';
    let secret = |word: &&str| line.to_ascii_lowercase().contains(*word);
    (1..=40).contains(&name.len())
        && name.bytes().all(plain)
        && !in_long_text
        && !line.contains('{')
        && !["key", "token", "secret", "password"].iter().any(secret)
        && !is_delicate(line)
}

/// Line and column of a place in the text, from 1, the column in characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at.min(text.len()))];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let lines = before.bytes().filter(|&b| b == b'\n').count();
    (lines + 1, before[line_start..].chars().count() + 1)
}

/// Shows `shown` with some of its bytes marked: its first line, cut where it is long, and with nothing
/// in it that a terminal would obey.
fn excerpt(line: usize, shown: &str, marked: Range<usize>) -> Excerpt {
    const LONGEST: usize = 100;
    let first = shown.lines().next().unwrap_or_default();
    let chars_to = |at: usize| {
        let before = &first[..first.floor_char_boundary(at.min(first.len()))];
        before.chars().count().min(LONGEST)
    };
    let harmless = |c: char| match c {
        '\t' => ' ',
        // What does not survive Debug as it is, is invisible or worse.
        c if c.is_ascii_graphic() || c == ' ' || c.escape_debug().len() == 1 => c,
        _ => '\u{fffd}',
    };
    let mut text: String = first.chars().map(harmless).take(LONGEST).collect();
    if first.chars().nth(LONGEST).is_some() {
        text.push('…');
    }
    Excerpt {
        line,
        text,
        marked: chars_to(marked.start)..chars_to(marked.end),
    }
}

/// Says that the file, as a whole, could not be taken over.
pub(super) fn not_taken(document: &Document<'_>, why: &dyn std::fmt::Display) -> Mistake {
    document.mistake(NO_KEY, Part::Key, format!("cannot be used ({why})"))
}

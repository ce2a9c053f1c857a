//! The values that are lists: in a file an array of texts, in a variable one text that holds them all.
//!
//! Each item is held to its own rules; what is wrong with one is said of that one.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::settings::value::{path_of, shown};
use crate::task::TaskId;

/// A key whose value is a list.
pub(super) struct List {
    pub(super) key: [&'static str; 2],
    /// What a file is to hold, for messages.
    pub(super) expected: &'static str,
    /// What is wrong with an item.
    pub(super) check: fn(&str) -> Result<(), String>,
}

/// All of them.
pub(super) const LISTS: [List; 2] = [
    List {
        key: ["watch", "ids"],
        expected: r#"a list of ids in quotes, such as ["68ec7ad3e307920f002648cd"]"#,
        check: |text| id_of(text).map(drop),
    },
    List {
        key: ["watch", "files"],
        expected: r#"a list of paths in quotes, such as ["ids.txt"]"#,
        check: |text| path_of(text).map(drop),
    },
];

/// Ids of tasks; in a variable they are separated by white space, which no id has.
pub(super) fn ids<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<TaskId>, D::Error> {
    from.deserialize_any(Items {
        expected: "ids, separated by spaces",
        split: |text| text.split_whitespace().map(str::to_owned).collect(),
        read: id_of,
        item: PhantomData,
    })
}

/// Paths; in a variable they are separated by colons, as in `$PATH`.
pub(super) fn paths<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
    from.deserialize_any(Items {
        expected: "paths, separated by colons",
        split: |text| text.split(':').map(str::to_owned).collect(),
        read: path_of,
        item: PhantomData,
    })
}

fn id_of(text: &str) -> Result<TaskId, String> {
    text.parse()
        .map_err(|error| format!("{} is not an id: {error}", shown(text)))
}

struct Items<T> {
    expected: &'static str,
    split: fn(&str) -> Vec<String>,
    read: fn(&str) -> Result<T, String>,
    item: PhantomData<T>,
}

impl<'de, T> Visitor<'de> for Items<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        let items = (self.split)(text).into_iter();
        items
            .map(|item| (self.read)(&item).map_err(E::custom))
            .collect()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            items.push((self.read)(&text).map_err(A::Error::custom)?);
        }
        Ok(items)
    }
}

//! Takes JSON apart one level at a time, into slices of the text itself.
//!
//! It never builds a tree: what a value weighs in memory does not depend on what is inside it, a
//! value that cannot be read spoils no other, and nesting costs no stack.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Deserializer, Error};

/// What an object has under one key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field<'a> {
    /// Nothing.
    Absent,
    /// A value, null included.
    Once(&'a str),
    /// More than one value, so that none can be relied on.
    Twice,
}

/// The values that the object `json` has under `keys`; its other keys are passed over.
///
/// # Errors
///
/// Where `json` is not one whole object.
pub(super) fn fields<'a, const N: usize>(
    json: &'a str,
    keys: [&str; N],
) -> Result<[Field<'a>; N], Error> {
    let mut reader = Deserializer::from_str(json);
    let found = reader.deserialize_map(Object(keys))?;
    reader.end()?;
    Ok(found)
}

/// Calls `take` with the text of each element of the array `json`, in their order.
///
/// # Errors
///
/// Where `json` is not one whole array; `take` may have been called by then.
pub(super) fn elements<'a>(json: &'a str, take: impl FnMut(&'a str)) -> Result<(), Error> {
    let mut reader = Deserializer::from_str(json);
    reader.deserialize_seq(Array(take))?;
    reader.end()
}

/// The text of the string `json`; half of a surrogate pair, which databases that cut texts do send,
/// becomes the replacement character. `None` if it is not a string.
pub(super) fn text(json: &str) -> Option<String> {
    let mut reader = Deserializer::from_str(json);
    reader.deserialize_bytes(Text).ok()
}

/// The text of the string `json` as [`text`] has it, or some beginning of it, of at least `most` bytes,
/// where it is very much longer: a copy of a text that fills the whole answer would take as much memory
/// as the answer.
pub(super) fn beginning(json: &str, most: usize) -> Option<String> {
    // A character of at most three bytes takes up to six where it is spelt out.
    let enough = 12 * most.max(1);
    if json.len() <= enough || !json.starts_with('"') {
        return text(json);
    }
    // The end may be in the middle of an escape, of twelve bytes at most for a pair.
    (0..12).find_map(|back| {
        let end = json.floor_char_boundary(enough.checked_sub(back)?);
        let mut part = json[..end].to_owned();
        part.push('"');
        text(&part)
    })
}

/// The number `json` where it is whole and fits; `None` for anything else, a string of digits
/// included.
pub(super) fn count(json: &str) -> Option<u32> {
    // JSON has one kind of number, and some writers spell whole ones with a fraction.
    json.strip_suffix(".0").unwrap_or(json).parse().ok()
}

struct Object<'k, const N: usize>([&'k str; N]);

impl<'de, const N: usize> Visitor<'de> for Object<'_, N> {
    type Value = [Field<'de>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [Field::Absent; N];
        while let Some(place) = map.next_key_seed(Key(&self.0))? {
            let Some(place) = place else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&RawValue>()?.get();
            found[place] = match found[place] {
                Field::Absent => Field::Once(value),
                Field::Once(_) | Field::Twice => Field::Twice,
            };
        }
        Ok(found)
    }
}

/// Finds a key's place among those that are looked for. As bytes, since a key may hold half of a
/// surrogate pair, which is none of our keys and no reason to give up the object.
struct Key<'k>(&'k [&'k str]);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|known| known.as_bytes() == key))
    }
}

struct Array<F>(F);

impl<'de, F: FnMut(&'de str)> Visitor<'de> for Array<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element::<&RawValue>()? {
            self.0(element.get());
        }
        Ok(())
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// `text`, cut to at most `limit` bytes at the end of a character, `…` included.
pub(super) fn cut(text: Cow<'_, str>, limit: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= limit {
        return text.into_owned();
    }
    let end = text.floor_char_boundary(limit.saturating_sub(MARK.len()));
    format!("{}{MARK}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_however_they_are_spelt() {
        let json = r#" {"x":[1,{"a":2}], "\u0061" : {"b": 1} , "b":null,"b":3,"\ud800":4} "#;
        let [a, b, c] = fields(json, ["a", "b", "c"]).unwrap();
        assert!(matches!(a, Field::Once(r#"{"b": 1}"#)), "{a:?}");
        assert!(matches!(b, Field::Twice), "{b:?}");
        assert!(matches!(c, Field::Absent), "{c:?}");
        for bad in ["[]", "{", r#"{"a":1}x"#, r#"{"a":01}"#, "null", "{1:2}"] {
            assert!(fields(bad, ["a"]).is_err(), "{bad}");
        }
    }

    #[test]
    fn nesting_costs_no_stack() {
        let deep = format!("[{}{}]", "[".repeat(200_000), "]".repeat(200_000));
        let mut seen = 0;
        elements(&deep, |element| seen += element.len()).unwrap();
        assert_eq!(seen, 400_000);
        assert!(elements(&deep[..300_000], |_| ()).is_err());
    }

    #[test]
    fn texts() {
        assert_eq!(
            text(r#""a\u00e4\ud800b""#).unwrap(),
            "aä\u{fffd}\u{fffd}\u{fffd}b"
        );
        for other in ["1", "null", "[97]", "{}", "true"] {
            assert_eq!(text(other), None, "{other}");
        }
    }

    #[test]
    fn beginnings() {
        assert_eq!(beginning("\"abc\"", 1).unwrap(), "abc");
        assert_eq!(beginning("[1,2,3,4,5,6,7,8,9,10,11]", 1), None);
        for (part, sense) in [
            ("x", "x"),
            ("\\n", "\n"),
            ("ä", "ä"),
            ("\\ud83d\\ude00", "😀"),
        ] {
            for before in ["", "x", "xx", "xxx", "xxxxx"] {
                let json = format!("\"{before}{}\"", part.repeat(1_000));
                let begins = beginning(&json, 10).unwrap();
                assert!(begins.len() >= 10 && begins.len() <= 120, "{begins}");
                let whole = format!("{before}{}", sense.repeat(1_000));
                // The half of a pair at the very end is a replacement character.
                let begins = begins.trim_end_matches('\u{fffd}');
                assert!(whole.starts_with(begins), "{begins}");
            }
        }
    }

    #[test]
    fn counts() {
        for (json, expected) in [
            ("0", Some(0)),
            ("4.0", Some(4)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("-1", None),
            ("1.5", None),
            ("1e400", None),
            ("\"4\"", None),
            ("true", None),
            ("null", None),
        ] {
            assert_eq!(count(json), expected, "{json}");
        }
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        assert_eq!(cut("äöü".into(), 6), "äöü");
        assert_eq!(cut("äöüä".into(), 6), "ä…");
        assert_eq!(cut("abcdefg".into(), 6), "abc…");
    }
}

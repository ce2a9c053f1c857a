//! What serde said of an entry, told in the words of a settings file.
//!
//! It shows nothing of what stands where a table belongs.

use crate::settings::mistake::{Mistake, Place, dotted};

/// What is wrong with an entry.
pub(super) enum Fault {
    /// The key is not known; what is.
    Unknown { known: Vec<String> },
    /// The value will not do; why.
    Value(String),
    /// Something stands where a table should; what to write.
    Table(String),
}

impl Fault {
    /// Makes sense of serde's message about the entry at `key`.
    pub(super) fn new(key: &[String], message: &str) -> Self {
        let name = key.last().map_or("", String::as_str);
        match message.strip_prefix(&format!("unknown field `{name}`, ")) {
            // The names that are known stand between backticks.
            Some(known) => Self::Unknown {
                known: known
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .map(str::to_owned)
                    .collect(),
            },
            // Whatever stands there may be a key, and the message would show it.
            None if is_table(key) => Self::Table(not_a_table(key)),
            // "invalid type" is the language of programs.
            None => Self::Value(match message.strip_prefix("invalid type: ") {
                Some(rest) => format!("found {rest}"),
                None => message.to_owned(),
            }),
        }
    }

    /// Writes it into a mistake, whose message is to name the key where its place does not.
    pub(super) fn tell(self, mut mistake: Mistake) -> Mistake {
        let in_file = matches!(mistake.place, Place::File { .. });
        let key = dotted(&mistake.key);
        mistake.message = match self {
            Self::Unknown { known } => {
                let name = mistake.key.last().map_or("", String::as_str);
                mistake.help = closest(name, &known).map(|meant| match &mistake.place {
                    Place::Variable(variable) => {
                        let variable = with_key(variable, name, meant);
                        format!("did you mean `{variable}`?")
                    }
                    _ => format!("did you mean `{meant}`?"),
                });
                format!("unknown key {key}; expected one of {}", known.join(", "))
            }
            Self::Value(message) if in_file => format!("{key}: {message}"),
            Self::Value(message) | Self::Table(message) => message,
        };
        mistake
    }
}

/// The known name that was probably meant: the closest, if at most a third of it was mistyped.
fn closest<'k>(name: &str, known: &'k [String]) -> Option<&'k String> {
    let distance = |known: &&String| strsim::osa_distance(name, known);
    let best = known.iter().min_by_key(distance)?;
    (distance(&best) * 3 <= best.len()).then_some(best)
}

/// The name of a variable as it would be with another key or section than `name` in it.
fn with_key(variable: &str, name: &str, meant: &str) -> String {
    let variable = variable.to_ascii_uppercase();
    let wrong = format!("__{}", name.to_ascii_uppercase());
    let right = format!("__{}", meant.to_ascii_uppercase());
    match variable.rfind(&wrong) {
        Some(start) => {
            let rest = &variable[start + wrong.len()..];
            format!("{}{right}{rest}", &variable[..start])
        }
        None => variable,
    }
}

/// Whether a table belongs at `key`.
fn is_table(key: &[String]) -> bool {
    match key {
        [_] => true,
        [section, _] => section == "accounts",
        _ => false,
    }
}

/// Says that something else stands where a table belongs.
pub(super) fn not_a_table<S: AsRef<str>>(key: &[S]) -> String {
    let name = dotted(key);
    if key.len() == 1 && name == "accounts" {
        "accounts: expected tables, one for each account, written as [accounts.NAME]".to_owned()
    } else {
        format!("{name}: expected a table, written as [{name}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_meant_is_found() {
        let known: Vec<String> = ["log", "poll", "max_interval", "initial_interval", "reserve"]
            .map(str::to_owned)
            .into();
        let closest = |name: &str| closest(name, &known).map(String::as_str);
        assert_eq!(closest("lgo"), Some("log"));
        assert_eq!(closest("pol"), Some("poll"));
        assert_eq!(closest("max-interval"), Some("max_interval"));
        assert_eq!(closest("intial_interval"), Some("initial_interval"));
        assert_eq!(closest("colour"), None);
        assert_eq!(closest(""), None);
    }
}

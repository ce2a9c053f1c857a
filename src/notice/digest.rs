//! The wording of many imports at once.
//!
//! It never leaves a failed import out of its numbers, however few names it has room for.

use crate::notice::amount::{counted, number};
use crate::notice::{Tone, Urgency, Wording, body, safe};
use crate::watch::Tally;

/// The most characters of a name that are shown.
const NAME_MAX: usize = 24;
/// The most names of a line.
const NAMES: usize = 3;

/// One of the imports that are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name, as the user gave it.
    pub import: String,
    /// What is told of it now, and where nothing of it is pending, of all of it.
    pub told: Tally,
    /// Whether something of it is pending.
    pub is_pending: bool,
}

/// What an import came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Failed,
    Unknown,
    WentIn,
    Pending,
}

impl Part {
    fn end(&self) -> End {
        let told = self.told;
        if told.failed + told.partial + told.refused > 0 {
            End::Failed
        } else if told.expired + told.missing > 0 {
            End::Unknown
        } else if self.is_pending {
            End::Pending
        } else {
            End::WentIn
        }
    }
}

/// `imports` in words.
#[must_use]
pub fn wording(imports: &[Part]) -> Wording {
    let names = |end: End| -> Vec<&str> {
        let of_end = imports.iter().filter(|part| part.end() == end);
        of_end.map(|part| part.import.as_str()).collect()
    };
    let groups = [
        (names(End::Failed), "did not go in whole", "Not whole"),
        (names(End::Unknown), "without a result", "No result"),
        (names(End::WentIn), "went in", "Went in"),
        (names(End::Pending), "still pending", "Going on"),
    ];
    let some = groups.iter().filter(|(names, ..)| !names.is_empty());
    let counts: Vec<String> = some
        .clone()
        .map(|(names, says, _)| format!("{} {says}", number(names.len() as u64)))
        .collect();
    let lines = some.map(|(names, _, title)| format!("{title}: {}.", listed(names)));
    let (urgency, tone) = if !groups[0].0.is_empty() {
        (Urgency::Critical, Tone::Bad)
    } else if !groups[1].0.is_empty() {
        (Urgency::Normal, Tone::Unsure)
    } else {
        (Urgency::Normal, Tone::Good)
    };
    let all = counted(imports.len() as u64, "import");
    Wording {
        summary: safe::start(
            &format!("{all}: {}", counts.join(", ")),
            crate::notice::SUMMARY_MAX,
        ),
        body: body(None, lines, "Details: importwatch list --imports"),
        urgency,
        tone,
        progress: None,
        stays: true,
    }
}

/// The first names, and how many more there are.
fn listed(names: &[&str]) -> String {
    let shown = names
        .iter()
        .take(NAMES)
        .map(|name| match safe::ends(name, NAME_MAX) {
            name if name.is_empty() => "import".to_owned(),
            name => name,
        });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES) as u64 {
        0 => shown,
        more => format!("{shown} and {} more", number(more)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;

    fn part(import: &str, outcome: Outcome, is_pending: bool) -> Part {
        let mut told = Tally::default();
        told.add(outcome);
        Part {
            import: import.to_owned(),
            told,
            is_pending,
        }
    }

    #[test]
    fn failures_come_first_and_names_are_safe() {
        let mut imports: Vec<Part> = (0..1_204)
            .map(|number| part(&format!("feed-{number}"), Outcome::Available, false))
            .collect();
        imports.push(part("going", Outcome::Available, true));
        imports.push(part("\u{202e}late\nfeed", Outcome::Expired, false));
        imports.push(part("", Outcome::Refused, false));
        imports.push(part(&"x".repeat(100), Outcome::Partial, true));
        let said = wording(&imports);
        assert_eq!(
            said.summary,
            "1,208 imports: 2 did not go in whole, 1 without a result, 1,204 went in, 1 still pending"
        );
        assert_eq!(
            said.body.lines().collect::<Vec<_>>(),
            [
                "Not whole: import, xxxxxxxxxxxx…xxxxxxxxxxx.",
                "No result: late feed.",
                "Went in: feed-0, feed-1, feed-2 and 1,201 more.",
                "Going on: going.",
                "Details: importwatch list --imports",
            ]
        );
        assert_eq!((said.urgency, said.tone), (Urgency::Critical, Tone::Bad));
        assert_eq!(said.progress, None);
    }

    #[test]
    fn how_bad_it_sounds_follows_from_the_worst() {
        let good = part("a", Outcome::Available, false);
        let said = wording(&[good.clone(), good.clone()]);
        assert_eq!(said.summary, "2 imports: 2 went in");
        assert_eq!((said.urgency, said.tone), (Urgency::Normal, Tone::Good));
        let said = wording(&[good, part("b", Outcome::Missing, false)]);
        assert_eq!((said.urgency, said.tone), (Urgency::Normal, Tone::Unsure));
    }
}

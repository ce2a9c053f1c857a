//! What the tasks of an import were told to be made of, beside what the server counted, in words.
//!
//! It says nothing where everything adds up.

use crate::notice::amount::{counted, number};
use crate::watch::Reckoning;

/// What does not add up, one sentence each.
pub(super) fn told(reckoning: &Reckoning) -> Vec<String> {
    let mut told = Vec::new();
    if reckoning.differing > 0 {
        told.push(format!(
            "does not add up: of {} the server counted {}, where {} submitted",
            counted(reckoning.differing, "task"),
            counted(reckoning.differing_counted, "row"),
            match reckoning.differing_submitted {
                1 => "1 was".to_owned(),
                rows => format!("{} were", number(rows)),
            }
        ));
    }
    if reckoning.untaken > 0 {
        told.push(format!(
            "does not add up: {} of the source in no task that was added",
            counted(reckoning.untaken, "row")
        ));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_not_add_up_is_told() {
        let fine = Reckoning {
            submitted: 36_000,
            ..Reckoning::default()
        };
        assert_eq!(told(&fine), [""; 0]);
        let odd = Reckoning {
            untaken: 1,
            differing: 2,
            differing_submitted: 2000,
            differing_counted: 1500,
            ..fine
        };
        assert_eq!(
            told(&odd),
            [
                "does not add up: of 2 tasks the server counted 1,500 rows, where 2,000 were submitted",
                "does not add up: 1 row of the source in no task that was added",
            ]
        );
    }
}

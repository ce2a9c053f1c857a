//! The units of systemd, as text: what they have in common is written twice, and stays the same.

use std::collections::BTreeSet;
use std::fs;

/// The lines of a unit that say something.
fn lines(path: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(format!("systemd/{path}")).unwrap();
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn a_service_that_ends_is_like_the_one_that_does_not_but_for_that() {
    for folder in ["system", "user"] {
        let for_good = lines(&format!("{folder}/importwatch.service"));
        let once = lines(&format!("{folder}/importwatch-once.service"));
        let only = |these: &BTreeSet<String>, those: &BTreeSet<String>| -> Vec<String> {
            let keys = these.difference(those).map(|line| {
                let (key, _) = line.split_once('=').unwrap_or((line, ""));
                key.to_owned()
            });
            keys.collect()
        };
        assert_eq!(
            only(&for_good, &once),
            [
                "Description",
                "ExecStart",
                "RestartPreventExitStatus",
                "WantedBy",
                "[Install]"
            ]
        );
        assert_eq!(
            only(&once, &for_good),
            [
                "Before",
                "Conflicts",
                "Description",
                "ExecStart",
                "RestartPreventExitStatus"
            ]
        );
        let start = for_good.iter().find(|line| line.starts_with("ExecStart="));
        let start = format!("{} --until-settled", start.unwrap());
        assert!(once.contains(&start), "{once:?}");
    }
}

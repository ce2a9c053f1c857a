//! What systemd knows of the service, if it is there.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::check::checklist::Checklist;

/// The unit's name, for the system and for a user alike.
const UNIT: &str = "importwatch.service";

pub(super) fn check(list: &mut Checklist) {
    // What sd_booted(3) looks at.
    if !Path::new("/run/systemd/system").exists() {
        list.note(
            "systemd",
            "not running here",
            "keep the daemon running by other means, or run it with --until-settled after each import",
        );
        return;
    }
    for (what, scope) in [("system unit", None), ("user unit", Some("--user"))] {
        let Some(state) = state(scope) else {
            list.note(what, "systemd does not answer", "see systemctl status");
            continue;
        };
        match (state.0.as_str(), state.1.as_str()) {
            ("not-found", _) => list.good(what, "not installed"),
            (_, "active") => list.good(what, "running"),
            (_, "failed") => list.note(what, "failed", &format!("see: {}", journal(scope))),
            (_, other) => list.good(what, &format!("installed, {other}")),
        }
    }
}

/// Whether the unit is loaded, and whether it is active.
fn state(scope: Option<&str>) -> Option<(String, String)> {
    let output = Command::new("systemctl")
        .args(scope)
        .args(["show", UNIT, "--property=LoadState,ActiveState"])
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.map(str::to_owned)
    };
    Some((value("LoadState=")?, value("ActiveState=")?))
}

fn journal(scope: Option<&str>) -> String {
    format!("journalctl {} -u {UNIT} -n 20", scope.unwrap_or("--system"))
}

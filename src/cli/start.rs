//! Has systemd start the service that asks about what was added: the user's, or the machine's where
//! the settings are the machine's.
//!
//! What is enabled or running stays the service for good; else the one is started that ends once
//! everything is settled. It never enables anything.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};

use crate::cli::{Context, output};
use crate::notice::safe;
use crate::store::directory::StateDir;
use crate::store::lock::{Holder, Lock, LockError};

/// The service that goes on for good.
const FOR_GOOD: &str = "importwatch.service";
/// The one that ends once everything is settled.
const ONCE: &str = "importwatch-once.service";

/// Starts the service, unless a daemon runs already. Says what was done, unless it is to be quiet.
///
/// # Errors
///
/// That it did not start, and what to do.
pub(super) fn start(context: &Context, directory: &StateDir) -> anyhow::Result<()> {
    let is_of_system = context.settings.is_of_system();
    let manager = Manager { is_of_system };
    let said = if let Some(pid) = running(directory) {
        format!("a daemon is running already (process {pid})")
    } else {
        if !context.settings.is_found_by_services(&context.environment) {
            let settings = match &context.settings.file {
                Some(file) => file.display().to_string(),
                None => "these settings".to_owned(),
            };
            bail!(
                "the tasks are on the watch list, but no service was started, as it would not read \
                 {settings}; run: importwatch daemon --until-settled"
            );
        }
        let unit = manager.unit()?;
        manager.start(unit)?;
        let scope = if is_of_system { "" } else { "--user " };
        format!("started {unit}; see: systemctl {scope}status {unit}")
    };
    if !context.flags.quiet {
        output::say(&said);
    }
    Ok(())
}

/// The process that runs as the daemon, if one does. A `wait` gives way to a service, and whoever is
/// about to run as one is sorted out by systemd.
fn running(directory: &StateDir) -> Option<u32> {
    match Lock::acquire(directory, Holder::Daemon) {
        Err(LockError::Held {
            holder: Holder::Daemon,
            pid,
            ..
        }) => Some(pid),
        _ => None,
    }
}

/// The user's service manager, or the machine's.
struct Manager {
    is_of_system: bool,
}

impl Manager {
    /// The service to be started.
    fn unit(&self) -> anyhow::Result<&'static str> {
        let arguments = ["show", "--property=UnitFileState,ActiveState", FOR_GOOD];
        let shown = self.run(arguments)?;
        if !shown.status.success() {
            bail!(
                "the tasks are on the watch list, but no service was started: {}",
                said(&shown)
            );
        }
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        let is_for_good = shown.lines().any(|line| {
            matches!(
                line,
                "UnitFileState=enabled"
                    | "UnitFileState=enabled-runtime"
                    | "ActiveState=active"
                    | "ActiveState=activating"
                    | "ActiveState=reloading"
            )
        });
        Ok(if is_for_good { FOR_GOOD } else { ONCE })
    }

    fn start(&self, unit: &str) -> anyhow::Result<()> {
        let started = self.run(["start", unit])?;
        if started.status.success() {
            return Ok(());
        }
        let user = if self.is_of_system { "" } else { "--user " };
        bail!(
            "the tasks are on the watch list, but {unit} did not start: {}; see: systemctl {user}status {unit}",
            said(&started)
        );
    }

    fn run(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> anyhow::Result<Output> {
        let mut command = Command::new("systemctl");
        if !self.is_of_system {
            command.arg("--user");
        }
        let ran = command
            .arg("--no-pager")
            .args(arguments)
            .stdin(Stdio::null())
            .output();
        ran.with_context(|| {
            "the tasks are on the watch list, but no service was started, as systemctl cannot be run; \
             without systemd, run: importwatch daemon --until-settled"
        })
    }
}

/// What systemctl said, or how it ended.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let text = safe::one_line(text.trim());
    if text.is_empty() {
        return output.status.to_string();
    }
    text
}

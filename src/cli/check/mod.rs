//! `importwatch check`: whether everything is in order, as a checklist; what is not in order comes
//! with what to do.
//!
//! It changes nothing but the state directory, which it makes like any command, and shows no key.

mod checklist;
mod lists;
mod online;
mod service;

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use clap::Args;
use nix::unistd::{AccessFlags, Gid, Group, access};
use url::Host;

use crate::account::{AccountName, ApiKey};
use crate::cli::check::checklist::Checklist;
use crate::cli::exit::{self, Exit};
use crate::cli::{Context, by_settings, daemon, open_store};
use crate::notice::amount::counted;
use crate::notifier::desktop::{self, has_session_bus};
use crate::settings::{Account, Desktop, key, locate};
use crate::store::directory::StateDir;
use crate::store::doorbell;
use crate::store::{Store, aside};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  importwatch check
  importwatch check --online     one request an account, to see whether its key is good")]
pub(super) struct Arguments {
    /// Make one request for each account
    #[arg(long)]
    online: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let runtime = daemon::runtime()?;
    let mut list = Checklist::default();
    check_settings(&mut list, context);
    let mut keys = Vec::new();
    for (name, account) in &context.settings.accounts {
        check_url(&mut list, name, account);
        if let Some(key) = check_key(&mut list, context, name, account) {
            keys.push((name, account, key));
        }
    }
    lists::check(&mut list, context);
    let store = check_state(&mut list, context);
    runtime.block_on(check_notifiers(&mut list, context));
    service::check(&mut list);
    if arguments.online
        && let Some(mut store) = store
    {
        for (name, account, key) in keys {
            let asked = online::check(&mut list, context, &mut store, name, account, key);
            runtime.block_on(asked)?;
        }
    }
    list.print(context.flags.quiet)?;
    Ok(list.exit())
}

/// Where the settings are, and who can change them: whoever can has the keys sent where they like.
fn check_settings(list: &mut Checklist, context: &Context) {
    let what = "settings";
    let Some(file) = &context.settings.file else {
        let usual = locate::usual(&context.environment);
        list.note(
            what,
            "there is no settings file; the defaults apply",
            &format!("write {} if you need others", usual.display()),
        );
        return;
    };
    let shown = file.display();
    match fs::metadata(file) {
        Ok(metadata) if metadata.mode() & 0o002 != 0 => list.bad(
            what,
            &format!("everybody on this machine can change {shown}, and so where your key goes"),
            &format!("run: chmod o-w {shown}"),
            Exit::Usage,
        ),
        Ok(metadata) if metadata.mode() & 0o020 != 0 => {
            let group = group_name(metadata.gid());
            list.good(
                what,
                &format!("{shown}; members of the group {group} can change it"),
            );
        }
        Ok(_) => list.good(what, &shown.to_string()),
        Err(error) => list.error(what, &error.into(), Exit::Usage),
    }
}

fn check_url(list: &mut Checklist, name: &AccountName, account: &Account) {
    let what = format!("account {name}");
    let url = account.base_url.as_str();
    if account.base_url.scheme() == "http" && !is_private(account) {
        list.note(
            &what,
            &format!("{url} is not encrypted, and not on a private network: the key can be read on the way"),
            "use https in base_url",
        );
    } else {
        list.good(&what, url);
    }
}

/// Whether an account's server is on this machine or on a private network, as far as its address
/// tells; a name without a dot is one of a private network.
fn is_private(account: &Account) -> bool {
    match account.base_url.host() {
        Some(Host::Ipv4(address)) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        Some(Host::Ipv6(address)) => {
            IpAddr::V6(address).to_canonical().is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            !name.contains('.')
                || [".localhost", ".local", ".internal", ".lan", ".home.arpa"]
                    .iter()
                    .any(|end| name.ends_with(end))
        }
        None => false,
    }
}

fn check_key(
    list: &mut Checklist,
    context: &Context,
    name: &AccountName,
    account: &Account,
) -> Option<ApiKey> {
    let what = format!("key of {name}");
    match key::find(&context.settings, name, &context.environment) {
        Ok((key, source)) => match by_settings::client(context, name, account, key.clone()) {
            Ok(_) => {
                list.good(&what, &format!("from {source}"));
                Some(key)
            }
            Err(error) => {
                list.error(&what, &error, Exit::Usage);
                None
            }
        },
        Err(error) => {
            list.error(&what, &error.into(), Exit::Usage);
            None
        }
    }
}

/// The state directory and what is in it; the store, if it can be opened.
fn check_state(list: &mut Checklist, context: &Context) -> Option<Store> {
    let what = "state";
    let directory = match context.state() {
        Ok(directory) => directory,
        Err(error) => {
            list.error(what, &error, exit::of(&error));
            return None;
        }
    };
    check_writers(list, &directory);
    let store = check_store(list, &directory);
    check_set_aside(list, &directory);
    store
}

/// The store, if it can be opened, and who is at work on it.
fn check_store(list: &mut Checklist, directory: &StateDir) -> Option<Store> {
    let opened = open_store(directory).and_then(|store| {
        let standing = store.standing_of_all()?;
        Ok((store, standing))
    });
    let (store, standing) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            list.error("store", &error.into(), Exit::Store);
            return None;
        }
    };
    let tasks = counted(standing.tasks(), "task");
    list.good(
        "store",
        &format!(
            "{}: {tasks}, {} pending",
            store.path().display(),
            standing.pending
        ),
    );
    if doorbell::ring(directory) {
        list.good("daemon", "one is running on it");
    } else if standing.pending > 0 {
        list.note(
            "daemon",
            "none is running, and tasks are pending",
            "start one: importwatch daemon",
        );
    } else {
        list.note(
            "daemon",
            "none is running",
            "start one when there is something to watch: importwatch daemon",
        );
    }
    Some(store)
}

/// Databases that were damaged and lie there still.
fn check_set_aside(list: &mut Checklist, directory: &StateDir) {
    match aside::set_aside(directory) {
        Ok(found) => {
            for path in found {
                let path = path.display();
                list.note(
                    "damaged",
                    &format!(
                        "{path} was damaged and is set aside; what could be read from it is kept"
                    ),
                    &format!("check the disk, add again what is missing, then: rm {path}*"),
                );
            }
        }
        Err(error) => list.error("damaged", &error.into(), Exit::Store),
    }
}

fn check_writers(list: &mut Checklist, directory: &StateDir) {
    let path = directory.path().display();
    let writers = match directory.writers() {
        Ok(writers) => writers,
        Err(error) => {
            let error = anyhow::Error::new(error).context(format!("look at {path}"));
            return list.error("state", &error, Exit::Store);
        }
    };
    for open in &writers.open_to_all {
        let open = open.display();
        list.bad(
            "state",
            &format!("everybody on this machine can write to {open}"),
            &format!("run: chmod o-w {open}"),
            Exit::Usage,
        );
    }
    match writers.group {
        Some(group) => {
            let group = group_name(group);
            list.good(
                "state",
                &format!("{path}; members of the group {group} can write there"),
            );
        }
        None if writers.open_to_all.is_empty() => {
            list.good("state", &format!("{path}; only its owner can write there"));
        }
        None => {}
    }
}

fn group_name(group: u32) -> String {
    let known = Group::from_gid(Gid::from_raw(group)).ok().flatten();
    known.map_or_else(|| group.to_string(), |known| known.name)
}

async fn check_notifiers(list: &mut Checklist, context: &Context) {
    list.good("log", "to standard error; one event for each settled task");
    let variable = |name: &str| context.environment.get(name).map(ToOwned::to_owned);
    let set = context.settings.notify.desktop;
    if set == Desktop::Off {
        list.good("desktop", "off by the settings");
    } else if set == Desktop::Auto && !has_session_bus(variable) {
        list.note(
            "desktop",
            "no session bus here, so no desktop notifications",
            "that is right on a server; on a desktop, run it in the session of the user",
        );
    } else {
        match desktop::server().await {
            Ok(server) => list.good("desktop", &format!("notifications by {server}")),
            Err(error) => list.later("desktop", &error.into()),
        }
    }
    if let Some([program, ..]) = context.settings.notify.command.as_deref() {
        check_command(list, context, program);
    }
}

/// Whether the program that is run for each result is there, and may be executed.
fn check_command(list: &mut Checklist, context: &Context, program: &str) {
    let folders = match context.environment.get("PATH") {
        Some(path) if !program.contains('/') => std::env::split_paths(path).collect(),
        _ => vec![PathBuf::new()],
    };
    let can_run = |path: &PathBuf| access(path, AccessFlags::X_OK).is_ok() && path.is_file();
    let found = folders
        .into_iter()
        .map(|folder| folder.join(program))
        .find(can_run);
    match found {
        Some(path) => list.good(
            "command",
            &format!("{} is run for each import's result", path.display()),
        ),
        None => list.bad(
            "command",
            &format!("{program} is not there, or may not be executed"),
            "correct notify.command in the settings, or make the program executable: chmod +x",
            Exit::Usage,
        ),
    }
}

//! The real program on disks that are full, that cannot be written, and that hold what others left.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use importwatch::simulator::Simulator;
use importwatch::simulator::world::{Ending, Plan};
use importwatch::store::Store;
use importwatch::store::directory::StateDir;

use crate::desktop::eventually;
use crate::program::{Ended, Home, simulator};

const CANNOT: &str = "the store cannot be written; nothing is polled until it can";
const CAN_AGAIN: &str = "the store can be written again";

/// A small disk of its own, taken away with this value.
struct Disk(PathBuf);

impl Disk {
    #[track_caller]
    fn mount(path: PathBuf, options: &str) -> Self {
        fs::create_dir_all(&path).unwrap();
        let disk = Self(path);
        disk.call("mount", &["-t", "tmpfs", "-o", options, "tmpfs"]);
        disk
    }

    #[track_caller]
    fn remount(&self, options: &str) {
        self.call("mount", &["-o", &format!("remount,{options}")]);
    }

    #[track_caller]
    fn call(&self, program: &str, arguments: &[&str]) {
        let done = Command::new(program).args(arguments).arg(&self.0).status();
        assert!(
            done.expect("mount must be there").success(),
            "{arguments:?}"
        );
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let zeroes = fs::File::open("/dev/zero").unwrap();
        let mut filler = fs::File::create(self.0.join("filler")).unwrap();
        let copied = std::io::copy(&mut &zeroes, &mut filler);
        assert_eq!(copied.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// A home whose state is on a disk mounted with `options`.
async fn home(options: &str) -> (Simulator, Home, Disk) {
    let simulator = simulator().await;
    let home = Home::new(
        simulator.base_url().as_str(),
        "[state]\ndirectory = \"disk/state\"\n",
    );
    let disk = Disk::mount(home.path("disk"), options);
    (simulator, home, disk)
}

fn has(simulator: &Simulator, id: &str, plan: Plan) {
    let control = simulator.control();
    control.change(|world| world.add(id.parse().unwrap(), plan));
}

fn ended() -> Plan {
    Plan::ends(10, Duration::ZERO, Ending::Fail { details: vec![] })
}

#[track_caller]
fn check_refused(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(5), "{ended:?}");
    for word in words {
        assert!(ended.err.contains(word), "{word}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_holds_everything_up_and_loses_nothing() {
    let (simulator, home, disk) = home("size=2m").await;
    has(&simulator, "one", Plan::never(10));
    assert_eq!(home.run(&["add", "one"]).code, Some(0));
    let daemon = home.daemon(&["--until-settled"]);
    assert!(simulator.control().received(2).await);
    disk.fill();
    // What settles now cannot be kept, until something gives way.
    has(&simulator, "one", ended());
    eventually("the daemon says that it cannot write", || {
        home.log().contains(CANNOT)
    });
    let asked = simulator.control().requests().len();
    check_refused(
        &home.run(&["add", "two"]),
        &["no space is left", "state.db"],
    );
    assert_eq!(home.list(&["--pending"]).len(), 1);
    assert_eq!(simulator.control().requests().len(), asked, "it is polled");
    disk.empty();
    assert!(daemon.wait().success());
    let log = home.log();
    assert_eq!(log.matches(CANNOT).count(), 1, "{log}");
    assert_eq!(log.matches(CAN_AGAIN).count(), 1, "{log}");
    assert_eq!(log.matches("task settled").count(), 1, "{log}");
    assert_eq!(home.list(&[])[0]["state"], "failed");
    assert_eq!(home.run(&["add", "two"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_inode_left_a_command_says_so_and_later_works() {
    let (_simulator, home, disk) = home("size=4m,nr_inodes=32").await;
    assert_eq!(home.run(&["add", "one"]).code, Some(0));
    let mut fillers = 0;
    while fs::write(disk.0.join(format!("filler-{fillers}")), "").is_ok() {
        fillers += 1;
    }
    check_refused(&home.run(&["add", "two"]), &["no space is left"]);
    fs::remove_file(disk.0.join("filler-0")).unwrap();
    fs::remove_file(disk.0.join("filler-1")).unwrap();
    assert_eq!(home.run(&["add", "two"]).code, Some(0));
    assert_eq!(home.list(&[]).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_written_any_more_ends_the_daemon_with_5() {
    let (simulator, home, disk) = home("size=4m").await;
    has(&simulator, "one", Plan::never(10));
    assert_eq!(home.run(&["add", "one"]).code, Some(0));
    let daemon = home.daemon(&["--until-settled"]);
    assert!(simulator.control().received(2).await);
    daemon.signal("KILL");
    daemon.wait();
    disk.remount("ro");
    for arguments in [&["daemon"][..], &["add", "two"], &["list"]] {
        check_refused(&home.run(arguments), &["disk/state", "writable"]);
    }
    disk.remount("rw");
    has(&simulator, "one", ended());
    assert!(home.daemon(&["--until-settled"]).wait().success());
    assert_eq!(home.list(&[])[0]["state"], "failed");
}

/// The program as another user of the group 4711.
fn as_user(home: &Home, user: u32, program: &Path, arguments: &[&str]) -> Ended {
    let ours = home.command(arguments);
    let mut command = Command::new("setpriv");
    command
        .env_clear()
        .envs(
            ours.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .arg(format!("--reuid={user}"))
        .args([&format!("--regid={user}"), "--groups=4711"])
        .arg(program)
        .args(ours.get_args());
    let output = command.stdin(Stdio::null()).output();
    output.expect("setpriv must be there").into()
}

/// Two users of one group, and what one of them leaves when it is killed.
#[test]
fn what_one_of_a_group_leaves_does_not_stop_another() {
    let home = Home::new("http://127.0.0.1:9", "[state]\ndirectory = \"shared\"\n");
    let shared = home.path("shared");
    fs::create_dir(&shared).unwrap();
    chown(&shared, Some(4_801), Some(4_711)).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o2770)).unwrap();
    for (name, mode) in [("", 0o755), ("api-key", 0o600), ("config.toml", 0o644)] {
        fs::set_permissions(home.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    // Others cannot reach where it was built.
    let program = home.path("importwatch");
    fs::copy(env!("CARGO_BIN_EXE_importwatch"), &program).unwrap();
    let run = |user, arguments: &[&str]| as_user(&home, user, &program, arguments);
    for (user, other) in [(4_801, 4_802), (4_802, 4_801)] {
        // Whoever comes first makes the files; the log and its index are there while it is killed.
        for name in ["state.db", "state.db-wal", "state.db-shm"] {
            drop(fs::remove_file(shared.join(name)));
        }
        let added = run(user, &["add", "--import", "all", "one"]);
        assert_eq!(added.code, Some(0), "{added:?}");
        let log = {
            let store = Store::open(&StateDir::open(&shared).unwrap()).unwrap();
            let log = fs::read(shared.join("state.db-wal")).unwrap();
            drop(store);
            log
        };
        for (name, bytes) in [("state.db-wal", log), ("state.db-shm", vec![])] {
            fs::write(shared.join(name), bytes).unwrap();
            chown(shared.join(name), Some(user), Some(4_711)).unwrap();
            let mode = fs::Permissions::from_mode(0o660);
            fs::set_permissions(shared.join(name), mode).unwrap();
        }
        for (user, id) in [(other, "two"), (user, "three"), (other, "four")] {
            let added = run(user, &["add", "--import", "all", id]);
            assert_eq!(added.code, Some(0), "{added:?}");
            let listed = run(user, &["list"]);
            assert_eq!(listed.code, Some(0), "{listed:?}");
        }
        assert_eq!(run(other, &["list", "--json"]).out.lines().count(), 4);
        for entry in fs::read_dir(&shared).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o660);
        }
    }
    // Whoever is not of the group learns why it is refused.
    let mut stranger = Command::new("setpriv");
    let ours = home.command(&["list"]);
    let output = stranger
        .env_clear()
        .envs(
            ours.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .args(["--reuid=4803", "--regid=4803", "--clear-groups"])
        .arg(&program)
        .arg("list")
        .output();
    check_refused(
        &output.unwrap().into(),
        &["shared", "readable and writable"],
    );
}

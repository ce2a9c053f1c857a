//! The units of systemd: as systemd reads them, and under a systemd that has really booted.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use importwatch::account::ApiKey;
use importwatch::simulator::Simulator;
use importwatch::simulator::world::{Ending, Plan, World};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_importwatch");
const SYSTEM: [&str; 2] = [
    "system/importwatch.service",
    "system/importwatch-once.service",
];
const USER: [&str; 2] = ["user/importwatch.service", "user/importwatch-once.service"];

fn of_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs to the end what must be there.
#[track_caller]
fn run(command: &mut Command) -> Output {
    let program = command.get_program().display().to_string();
    let ran = command.output();
    ran.unwrap_or_else(|error| panic!("{program} must be there: {error}"))
}

fn texts(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|text| String::from_utf8_lossy(text))
        .concat()
}

/// What systemd says of a unit, which is to start the program that is being tested: in 252 it looks
/// for a program without a path in its own folders alone.
fn verified(unit: &str, change: impl FnOnce(String) -> String) -> (bool, String) {
    let folder = TempDir::new().unwrap();
    let text = fs::read_to_string(of_project("systemd").join(unit)).unwrap();
    let found = text.replacen(
        "ExecStart=importwatch ",
        &format!("ExecStart={PROGRAM} "),
        1,
    );
    assert_ne!(found, text, "{unit}");
    let path = folder.path().join(Path::new(unit).file_name().unwrap());
    fs::write(&path, change(found)).unwrap();
    let mut analyze = Command::new("systemd-analyze");
    // The manager of a user wants a folder of its own, whoever runs it.
    analyze.env("XDG_RUNTIME_DIR", folder.path());
    if USER.contains(&unit) {
        analyze.arg("--user");
    }
    let output = run(analyze.arg("verify").arg(path));
    (output.status.success(), texts(&output))
}

/// It ends well on keys and values that it passes over, but it mentions them.
#[test]
fn systemd_understands_every_line_of_the_units() {
    for unit in [SYSTEM, USER].concat() {
        assert_eq!(verified(unit, |text| text), (true, String::new()), "{unit}");
        let (_, said) = verified(unit, |text| {
            text.replacen("[Service]", "[Service]\nNoKey=1", 1)
        });
        assert!(said.contains("NoKey"), "{unit}: {said}");
    }
}

#[test]
fn the_service_of_the_machine_is_exposed_to_little() {
    let exposure = |unit: &str, threshold: &str| {
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(["security", "--offline=true", "--no-pager", threshold]);
        run(analyze.arg(of_project("systemd").join(unit)))
    };
    for unit in SYSTEM {
        // The threshold is ten times the exposure.
        let output = exposure(unit, "--threshold=15");
        assert!(output.status.success(), "{}", texts(&output));
        assert!(!exposure(unit, "--threshold=1").status.success());
    }
}

/// Tells the test that it runs in the container, where it is the server, and where to leave the
/// server's address.
const ADDRESS: &str = "IMPORTWATCH_TEST_ADDRESS";
/// The key that the server takes.
const KEY: &str = "app-key-of-the-lab";

/// The server of the lab, until it is ended.
fn serve(address: &Path) {
    let mut world = World::new(ApiKey::new(KEY).unwrap());
    for id in ["good", "good2", "good3"] {
        let ends = Plan::ends(7, Duration::ZERO, Ending::Available);
        world.add(id.parse().unwrap(), ends);
    }
    for id in ["bad", "bad2"] {
        let failed = Ending::Fail { details: vec![] };
        let ends = Plan::ends(7, Duration::ZERO, failed);
        world.add(id.parse().unwrap(), ends);
    }
    world.add("endless".parse().unwrap(), Plan::never(7));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let server = Simulator::start(world).await.unwrap();
        let draft = address.with_extension("draft");
        fs::write(&draft, server.base_url().as_str()).unwrap();
        fs::rename(draft, address).unwrap();
        std::future::pending::<()>().await;
    });
}

/// The package, made of the program that is tested; once for all tests.
fn package() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("importwatch.deb");
        let mut command = Command::new(of_project("systemd/debian/package"));
        command.args(["--profile", "dev", "--no-build", "--fast", "--output"]);
        let made = run(command.arg(&path));
        assert!(made.status.success(), "{}", texts(&made));
        path
    })
}

/// Runs a script in a container of its own, with all that it needs.
#[track_caller]
fn live(script: &str) {
    let lab = TempDir::new().unwrap();
    let inside = |name: &str| lab.path().join(name);
    fs::copy(package(), inside("importwatch.deb")).unwrap();
    fs::copy(std::env::current_exe().unwrap(), inside("tests")).unwrap();
    fs::write(inside("key"), KEY).unwrap();
    fs::copy(of_project("README.md"), inside("README.md")).unwrap();
    for file in [script, "systemd-lib.sh", "probe.pl", "dunstrc"] {
        fs::copy(of_project("tests/e2e").join(file), inside(file)).unwrap();
    }
    // Users of the container read the folder as well.
    fs::set_permissions(lab.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab");
    fs::create_dir_all(&pictures).unwrap();
    let is_root = nix::unistd::geteuid().is_root();
    let mut command = Command::new(if is_root { "timeout" } else { "sudo" });
    if !is_root {
        command.arg("timeout");
    }
    // A bound that is reached only where something hangs; the lab then cleans up.
    command
        .arg("600")
        .arg(of_project("tests/e2e/systemd-lab.sh"));
    let output = run(command.arg(inside(script)).arg(pictures));
    let said = texts(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the whole life went well"), "{said}");
}

#[test]
fn the_service_of_the_machine_lives_a_whole_life() {
    if let Some(address) = std::env::var_os(ADDRESS) {
        serve(Path::new(&address));
    }
    live("systemd-system.sh");
}

#[test]
fn the_service_of_a_user_lives_a_whole_life_with_desktops_that_come_and_go() {
    live("systemd-user.sh");
}

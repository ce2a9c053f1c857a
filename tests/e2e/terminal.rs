//! What a person sees on a terminal: the real program in a real pseudo-terminal of 80 columns.

use std::cell::Cell;
use std::path::Path;
use std::process::Command;

use importwatch::store::Store;
use importwatch::store::directory::StateDir;
use tempfile::TempDir;

use crate::seed;

/// A terminal that stays open after what ran in it, and ends with this value.
pub(crate) struct Terminal {
    folder: TempDir,
    calls: Cell<u32>,
}

impl Terminal {
    /// One in a home where imports have been watched.
    fn new() -> Self {
        let terminal = Self::empty();
        let state = terminal.folder.path().join(".local/state/importwatch");
        let state = StateDir::open(&state).unwrap();
        seed::imports(&mut Store::open(&state).unwrap());
        terminal
    }

    /// One in an empty home.
    pub(crate) fn empty() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            calls: Cell::new(0),
        }
    }

    /// Its home.
    pub(crate) fn home(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn tmux(&self, arguments: &[&str]) -> String {
        let socket = self.folder.path().join("tmux");
        let mut tmux = Command::new("tmux");
        tmux.env_remove("TMUX")
            .args(["-u", "-f", "/dev/null", "-S"]);
        let ran = tmux.arg(socket).args(arguments).output();
        let ran = ran.unwrap_or_else(|error| panic!("tmux must be there: {error}"));
        let complaints = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "tmux {arguments:?}: {complaints}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// What is on the screen after the program was called so, with its colours as escapes.
    fn after(&self, variables: &str, arguments: &str) -> String {
        self.sized(["80", "60"], variables, arguments)
    }

    /// The same with so many columns and lines.
    pub(crate) fn sized(&self, size: [&str; 2], variables: &str, arguments: &str) -> String {
        // One server for all calls: one that ends would take a new one's socket away.
        let session = format!("session-{}", self.calls.replace(self.calls.get() + 1));
        let session = session.as_str();
        let home = self.folder.path().display();
        let program = Path::new(env!("CARGO_BIN_EXE_importwatch")).display();
        let call =
            format!("env -i HOME={home} TERM=xterm TZ=UTC {variables} {program} {arguments}");
        // The pane stays open on `cat`, or there would be nothing to look at.
        let script = format!("{call}; tmux -S {home}/tmux wait-for -S {session}; cat");
        let size = ["-x", size[0], "-y", size[1]];
        self.tmux(&[&["new-session", "-d", "-s", session][..], &size, &[&script]].concat());
        self.tmux(&["wait-for", session]);
        self.tmux(&["capture-pane", "-p", "-e", "-t", session])
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let socket = self.folder.path().join("tmux");
        let mut tmux = Command::new("tmux");
        drop(tmux.arg("-S").arg(socket).arg("kill-server").output());
    }
}

/// `screen` with TIME for when an import was started, as it stands in the name of an older one.
fn without_starts(screen: &str) -> String {
    let stable = screen.trim_end().lines().map(|line| {
        let (name, rest) = line.split_once('@')?;
        let (_start, rest) = rest.split_once(' ')?;
        Some(format!("{name}@TIME {rest}"))
    });
    let lines = screen.lines().zip(stable);
    let lines: Vec<_> = lines
        .map(|(line, stable)| stable.unwrap_or_else(|| line.to_owned()))
        .collect();
    lines.join("\n")
}

#[test]
fn a_list_fits_and_shows_first_what_needs_someone() {
    let terminal = Terminal::new();
    let screen = terminal.after("NO_COLOR=1", "list");
    assert!(!screen.contains('\u{1b}'), "{screen}");
    for line in screen.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let home = terminal.folder.path().to_str().unwrap();
    insta::assert_snapshot!(without_starts(&screen).replace(home, "/home/u"));

    let coloured = terminal.after("", "list --import products --imports");
    assert!(coloured.contains("\u{1b}[36m2 pending"), "{coloured:?}");
    let coloured = terminal.after("", "list --import products");
    assert!(coloured.contains("\u{1b}[31mfailed"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[32m2 available"), "{coloured:?}");
    // What the server said brings no colour of its own.
    let coloured = terminal.after("", "show mixed");
    assert!(coloured.contains("[31m14"), "{coloured:?}");
    assert!(!coloured.contains("\u{1b}[31m14"), "{coloured:?}");
}

#[test]
fn a_checklist_stays_one_on_a_narrow_terminal() {
    let terminal = Terminal::empty();
    let screen = terminal.after("NO_COLOR=1", "check");
    let mut marks = 0;
    for line in screen.trim_end().lines() {
        assert!(
            line.chars().count() <= 80 || !line.trim().contains(' '),
            "{line}"
        );
        let is_first = ["✔ ", "• ", "✘ "].iter().any(|mark| line.starts_with(mark));
        assert!(
            is_first || line.starts_with("      "),
            "{line:?} in {screen}"
        );
        marks += u32::from(is_first);
    }
    assert!(marks >= 8, "{screen}");
}

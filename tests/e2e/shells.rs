//! Completions as a person has them: typed into the real shells, up to what the program is then given.
//!
//! A name may hold anything that can be shown; nothing of it may ever be run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::desktop::eventually;
use crate::terminal::Terminal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_importwatch");

/// What each shell shows when it waits.
const PROMPT: &str = "ready>";

/// Names of imports, each with a first letter of its own.
const NAMES: [&str; 6] = [
    "a two $(touch pwned) `touch pwned` \"quoted\" it's \\ ; touch pwned & | < > * ? [x] {y,z}",
    "b;touch pwned\\",
    "c'$(touch pwned)'\"`touch pwned`\"",
    "d!true #x ~root $HOME ${HOME}",
    "é:ü=ß",
    "plain",
];
/// The same as the name of a file.
const FILE: &str = "rows $(touch pwned) `touch pwned` \"it's\".csv";

/// A shell that waits for what is typed, in a home of its own where the program is on the path.
struct Shell {
    terminal: Terminal,
}

impl Shell {
    fn start(program: &str, files: &[(&str, &str)]) -> Self {
        let terminal = Terminal::empty();
        let home = terminal.home();
        let write = |name: &str, text: &str| {
            let path = home.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for (name, text) in files {
            write(name, text);
        }
        let key = "[accounts.default]\n[accounts.shop]\n";
        write(".config/importwatch/config.toml", key);
        write(FILE, "id\n");
        let run = |arguments: &[&str]| {
            let mut command = std::process::Command::new(PROGRAM);
            let ran = command.env_clear().env("HOME", home).args(arguments);
            let ran = ran.output().unwrap();
            assert!(ran.status.success(), "{arguments:?}: {ran:?}");
            ran.stdout
        };
        for (index, name) in NAMES.iter().enumerate() {
            let id = format!("task-{index}");
            run(&["add", "--account", "shop", "--import", name, &id]);
        }
        for (shell, name) in [
            ("bash", "completions.bash"),
            ("zsh", "functions/_importwatch"),
            ("fish", ".config/fish/completions/importwatch.fish"),
        ] {
            write(name, str::from_utf8(&run(&["completions", shell])).unwrap());
        }
        // The program as the shell finds it: it answers what the shell asks, and else keeps what it is given.
        let wrapper = format!(
            "#!/bin/sh\n[ -z \"$IMPORTWATCH_COMPLETE\" ] || exec {PROGRAM} \"$@\"\n\
             printf '%s\\0' \"$@\" >\"$HOME/draft\"\nmv \"$HOME/draft\" \"$HOME/given\"\n"
        );
        write("bin/importwatch", &wrapper);
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(home.join("bin/importwatch"), executable).unwrap();
        let home = home.display();
        let call = format!(
            "cd {home}; exec env -i HOME={home} PATH={home}/bin:/usr/bin:/bin TERM=xterm LANG=C.UTF-8 {program}"
        );
        let size = ["-x", "200", "-y", "50"];
        terminal.tmux(&[&["new-session", "-d", "-s", "shell"][..], &size, &[&call]].concat());
        Self { terminal }
    }

    fn home(&self) -> &Path {
        self.terminal.home()
    }

    fn screen(&self) -> String {
        self.terminal.tmux(&["capture-pane", "-p", "-t", "shell"])
    }

    /// Types each of these with the key that completes behind it, and calls the program so. Returns what it
    /// was given.
    fn complete(&self, typed: &[&str]) -> Vec<String> {
        let waits = || self.screen().trim_end().lines().last().map(str::trim) == Some(PROMPT);
        eventually("the shell waits", waits);
        for text in typed {
            self.terminal
                .tmux(&["send-keys", "-t", "shell", "-l", "--", text]);
            self.terminal.tmux(&["send-keys", "-t", "shell", "Tab"]);
        }
        self.terminal.tmux(&["send-keys", "-t", "shell", "Enter"]);
        let given = self.home().join("given");
        let mut looks = 0;
        while !given.exists() {
            looks += 1;
            assert!(looks < 600, "{typed:?} is never called:\n{}", self.screen());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let words = fs::read_to_string(&given).unwrap();
        fs::remove_file(given).unwrap();
        let words = words.split_terminator('\0').map(str::to_owned).collect();
        assert!(!self.home().join("pwned").exists(), "{typed:?}: {words:?}");
        words
    }

    /// Tries all that is completed.
    fn try_all(&self) {
        assert_eq!(
            self.complete(&["importwatch wa", "--max-f"]),
            ["wait", "--max-failed-rows"]
        );
        assert_eq!(
            self.complete(&["importwatch add --account sh"]),
            ["add", "--account", "shop"]
        );
        for name in NAMES {
            let first = name.chars().next().unwrap();
            for quote in ["", "'", "\""] {
                let typed = format!("importwatch show --import {quote}{first}");
                let given = self.complete(&[&typed]);
                assert_eq!(given, ["show", "--import", name], "{typed}");
            }
            let typed = format!("importwatch show --import={first}");
            let given = self.complete(&[&typed]);
            assert_eq!(given, ["show", &format!("--import={name}")], "{typed}");
        }
        for quote in ["", "'", "\""] {
            let typed = format!("importwatch add --source {quote}ro");
            let given = self.complete(&[&typed]);
            assert_eq!(given, ["add", "--source", FILE], "{typed}");
        }
        let typed = r"importwatch show --import a\ two";
        assert_eq!(self.complete(&[typed]), ["show", "--import", NAMES[0]]);
    }
}

#[test]
fn bash_completes_names_and_runs_nothing_of_them() {
    let start = format!(
        "PS1='{PROMPT} '\n. /usr/share/bash-completion/bash_completion\n. ~/completions.bash\n"
    );
    Shell::start("bash --rcfile start -i", &[("start", &start)]).try_all();
    // Without the package that most have, too.
    let start = format!("PS1='{PROMPT} '\n. ~/completions.bash\n");
    let shell = Shell::start("bash --rcfile start -i", &[("start", &start)]);
    let given = shell.complete(&["importwatch show --import=\"c"]);
    assert_eq!(given, ["show", &format!("--import={}", NAMES[2])]);
}

#[test]
fn zsh_completes_names_and_runs_nothing_of_them() {
    let start = format!(
        "PS1='{PROMPT} '\nfpath=(~/functions $fpath)\nautoload -Uz compinit && compinit -u\n"
    );
    Shell::start("zsh -i", &[(".zshrc", &start)]).try_all();
}

#[test]
fn fish_completes_names_and_runs_nothing_of_them() {
    let start =
        format!("function fish_prompt\necho -n '{PROMPT} '\nend\nfunction fish_greeting\nend\n");
    Shell::start("fish -i", &[(".config/fish/config.fish", &start)]).try_all();
}

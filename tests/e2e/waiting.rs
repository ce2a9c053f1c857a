//! `wait` at work in a real terminal: a line an import that is drawn anew, what failed above it, and
//! at the end what came of it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use importwatch::simulator::world::{Ending, Plan};

use crate::program::{Home, simulator};

fn tmux(home: &Home, arguments: &[&str]) -> String {
    let ran = Command::new("tmux")
        .env_remove("TMUX")
        .args(["-u", "-f", "/dev/null", "-S"])
        .arg(home.path("tmux"))
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("tmux must be there: {error}"));
    assert!(ran.status.success(), "tmux {arguments:?}: {ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_drawn_anew_until_all_has_settled() {
    let simulator = simulator().await;
    simulator.control().change(|world| {
        let ends = |end| Plan::ends(1000, Duration::ZERO, end);
        world.add("good".parse().unwrap(), ends(Ending::Available));
        let details = Vec::new();
        world.add("bad".parse().unwrap(), ends(Ending::Fail { details }));
        world.add("last".parse().unwrap(), Plan::never(1000));
    });
    let home = Home::new(simulator.base_url().as_str(), "[notify]\ndesktop = false\n");
    let folder = home.path("");
    let (folder, program) = (
        folder.display(),
        Path::new(env!("CARGO_BIN_EXE_importwatch")),
    );
    let wait = format!(
        "env -i HOME={folder} IMPORTWATCH_CONFIG={folder}/config.toml TERM=xterm NO_COLOR=1 \
        {} wait --import products good bad last; echo exit $?; cat",
        program.display()
    );
    let size = ["-x", "80", "-y", "24"];
    tmux(
        &home,
        &[&["new-session", "-d", "-s", "one"][..], &size, &[&wait]].concat(),
    );
    let screen = |sign: &str| loop {
        let screen = tmux(&home, &["capture-pane", "-p", "-e", "-t", "one"]);
        if screen.contains(sign) {
            break screen.trim_end().to_owned();
        }
    };
    assert_eq!(
        screen("2 of 3"),
        "failed   bad  none of 1,000 in\nproducts  [######....] 66 %  2 of 3, 1 failed"
    );
    simulator.control().change(|world| {
        let ends = Plan::ends(1000, Duration::ZERO, Ending::Available);
        world.add("last".parse().unwrap(), ends);
    });
    assert_eq!(
        screen("exit"),
        "failed   bad  none of 1,000 in\n\
        products: 1 failed, 2 available; rows: 2,000 in the table, 1,000 not\nexit 1"
    );
    tmux(&home, &["kill-server"]);
}

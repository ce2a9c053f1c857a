//! Adding, by the real program.

use std::io::Write as _;
use std::process::Stdio;

use crate::program::Home;

#[test]
fn what_a_pipe_has_brought_is_watched_before_it_ends() {
    let home = Home::new("http://127.0.0.1:9", "");
    let mut add = home
        .command(&["add", "--import", "products", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut pipe = add.stdin.take().unwrap();
    pipe.write_all(b"first\n{\"code\":0,\"message\":\"OK\",\n\"data\":[\"second\"]}\nthi")
        .unwrap();
    while home.list(&[]).len() < 2 {}
    add.kill().unwrap();
    add.wait().unwrap();
    let ids: Vec<_> = home.list(&[]).iter().map(|t| t["id"].clone()).collect();
    assert_eq!(ids, ["first", "second"]);
}

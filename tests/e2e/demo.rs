//! The demo as a person has it: on a terminal, with a desktop, and as the README shows it.
//!
//! Each run draws its end and holds the picture of the README to it. This draws that one anew:
//!
//! ```text
//! IMPORTWATCH_DEMO_PICTURE=tests/pictures/demo.svg cargo test --features e2e --test e2e demo::the_picture
//! ```

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::desktop::{self, Bus, Desktop};
use crate::terminal::Terminal;

/// The size of the terminal in the picture.
const SIZE: [&str; 2] = ["100", "42"];

/// How large a character is in the picture.
const WIDTH: f64 = 8.4;
const HEIGHT: f64 = 19.0;
/// The room around the text.
const ROOM: f64 = 16.0;

const PICTURE: &str = "tests/pictures/demo.svg";

/// What is on a line, as long as it looks the same: its column, its look, its text.
type Run = (usize, Look, String);

#[test]
fn the_picture_of_the_demo_is_of_this_program() {
    let terminal = Terminal::empty();
    let bin = terminal.home().join("bin");
    fs::create_dir(&bin).unwrap();
    let program = env!("CARGO_BIN_EXE_importwatch");
    symlink(program, bin.join("importwatch")).unwrap();
    let path = format!("PATH={}", bin.display());
    let screen = terminal.sized(SIZE, &path, "demo");
    let drawn = draw(&screen);
    let drawing = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo.svg");
    fs::write(&drawing, &drawn).unwrap();
    if let Some(to) = std::env::var_os("IMPORTWATCH_DEMO_PICTURE") {
        fs::write(to, &drawn).unwrap();
    }
    let colours = ["class=\"g \"", "class=\"r \"", "class=\"y \""];
    assert!(
        colours.iter().all(|colour| drawn.contains(colour)),
        "{drawn}"
    );
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join(PICTURE);
    let committed = fs::read_to_string(committed).unwrap();
    let (old, new) = (stable(&committed), stable(&drawn));
    assert!(new.len() > 20, "{screen}");
    assert_eq!(
        old, new,
        "the README shows another demo; how to draw it anew is told in demo.rs"
    );
}

/// The lines from the table on, without what differs from one run to the next: how long something
/// took, and how many requests.
fn stable(picture: &str) -> Vec<String> {
    let lines = picture.lines().filter(|line| line.starts_with("<text"));
    let lines = lines.map(|line| {
        let pieces = line.split('<').filter_map(|tag| tag.split_once('>'));
        let pieces: Vec<&str> = pieces.map(|(_, text)| text).collect();
        let text = pieces.join(" ");

        let words = text.split_whitespace().map(|word| {
            if word.bytes().all(|b| b.is_ascii_digit() || b == b',') {
                "0"
            } else {
                word
            }
        });
        words
            .collect::<Vec<_>>()
            .join(" ")
            .replace("just now", "0 s ago")
    });
    lines
        .skip_while(|line| !line.starts_with("What came of it"))
        .collect()
}

/// The screen, with its escapes, as a picture.
fn draw(screen: &str) -> String {
    let lines: Vec<&str> = screen.trim_end().lines().collect();
    let columns: f64 = SIZE[0].parse().unwrap();
    let width = columns * WIDTH + 2.0 * ROOM;
    let height = f64::from(u32::try_from(lines.len()).unwrap()) * HEIGHT + 2.0 * ROOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\">\n\
         <style>text {{ font: 14px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; \
         fill: #d8dee9 }} .g {{ fill: #8fbf7f }} .r {{ fill: #e06c75 }} \
         .y {{ fill: #e5c07b }} .c {{ fill: #6fb3c9 }} .b {{ font-weight: bold }} \
         .d {{ fill: #8a93a3 }}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1d2129\"/>\n"
    );
    let (mut y, mut look) = (ROOM, Look::default());
    for line in lines {
        y += HEIGHT;
        write!(svg, "<text y=\"{:.0}\">", y - 5.0).unwrap();
        for (column, Look(colour, weight), text) in runs(line, &mut look) {
            let x = ROOM + f64::from(u32::try_from(column).unwrap()) * WIDTH;
            let text = text
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            write!(
                svg,
                "<tspan x=\"{x:.1}\" class=\"{colour} {weight}\">{text}</tspan>"
            )
            .unwrap();
        }
        svg.push_str("</text>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Cuts a line where its look changes, at spaces, and around what is not ASCII: another font may draw
/// that, with another width.
///
/// `look` is how it looked before, since an escape counts until the next one, in whatever line.
fn runs(line: &str, look: &mut Look) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut column, mut splits) = (0, true);
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let escape = rest.strip_prefix("\u{1b}[");
        if let Some((codes, after)) = escape.and_then(|rest| rest.split_once('m')) {
            codes.split(';').for_each(|code| look.take(code));
            (splits, rest) = (true, after);
            continue;
        }
        match runs.last_mut() {
            _ if c == ' ' => {}
            Some((_, _, text)) if !splits && c.is_ascii() => text.push(c),
            _ => runs.push((column, look.clone(), c.to_string())),
        }
        splits = !c.is_ascii() || c == ' ';
        column += 1;
        rest = &rest[c.len_utf8()..];
    }
    runs
}

/// How a character looks: the classes of its colour and of its weight.
#[derive(Clone, Default)]
struct Look(&'static str, &'static str);

impl Look {
    /// Takes a code of SGR (ECMA-48).
    fn take(&mut self, code: &str) {
        match code {
            "" | "0" => *self = Self::default(),
            "39" => self.0 = "",
            "31" => self.0 = "r",
            "32" => self.0 = "g",
            "33" => self.0 = "y",
            "36" => self.0 = "c",
            "22" => self.1 = "",
            "1" => self.1 = "b",
            "2" => self.1 = "d",
            _ => {}
        }
    }
}

#[test]
fn on_a_desktop_it_shows_real_notices() {
    let bus = Bus::start();
    let mut screen = Desktop::on(&bus, desktop::Look::PLAIN);
    let out = play(&bus, |_| {}, &mut screen);
    assert!(
        out.contains("notices: real ones, on this desktop (dunst"),
        "{out}"
    );
    let shown = screen.shown_so_far();
    let summaries: Vec<_> = shown.iter().map(|shown| shown.summary.as_str()).collect();
    let last_of = |import: &str| {
        summaries
            .iter()
            .rfind(|summary| summary.starts_with(import))
    };
    assert_eq!(
        last_of("products"),
        Some(&"products: 1,004 rows did not go in"),
        "{summaries:?}"
    );
    assert!(last_of("suppliers").is_some(), "{summaries:?}");
}

#[test]
fn a_desktop_that_freezes_on_the_way_takes_nothing_from_the_end() {
    let bus = Bus::start();
    let mut screen = Desktop::on(&bus, desktop::Look::PLAIN);
    let freeze = |desktop: &mut Desktop| {
        desktop.next_shown();
        desktop.signal_server("STOP");
    };
    let out = play(&bus, freeze, &mut screen);
    for said in [
        "the desktop did not take the notices of",
        "It took ",
        "Next, with a key",
    ] {
        assert!(out.contains(said), "no {said:?} in {out}");
    }
}

/// The demo on this bus; what it prints.
fn play(bus: &Bus, meanwhile: impl FnOnce(&mut Desktop), desktop: &mut Desktop) -> String {
    let (variable, address) = bus.variable();
    let child = Command::new(env!("CARGO_BIN_EXE_importwatch"))
        .arg("demo")
        .env_clear()
        .env(variable, address)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    meanwhile(desktop);
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{out}");
    out
}

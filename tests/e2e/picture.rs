//! The picture of the README: a realistic import through the real program, as its notices stand on
//! a screen.
//!
//! Each run checks it and leaves it in cargo's folder for what tests leave behind. This draws the one
//! of the README anew:
//!
//! ```text
//! IMPORTWATCH_PICTURE=tests/pictures/notices.png cargo test --features e2e --test e2e picture
//! ```

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use importwatch::simulator::world::{Ending, Plan};
use importwatch::task::{FailDetail, RowField};

use crate::desktop::{Look, colours_of};
use crate::stage::Stage;

const LOOK: Look = Look {
    screen: "1240x900x24",
    dunstrc: "picture.dunstrc",
};

/// What the popups of failed and of good imports are framed with, and of those that go on.
const FRAMES: [&str; 3] = ["#D0505C", "#4C8F63", "#4A78C0"];

fn detail(row: RowField, reason: String) -> FailDetail {
    FailDetail {
        row,
        start: Some(0),
        end: Some(0),
        reason,
    }
}

/// Rows that came twice in one upload.
fn twice() -> Ending {
    let rows = [(212, 71), (213, 72), (640, 18), (917, 44)];
    let details = rows.map(|(row, first)| {
        let value = 410_000 + first;
        let reason = format!(
            "`sku` must be unique, but the value '{value}' is duplicated (first at row `{first}`)."
        );
        detail(RowField::Row(row), reason)
    });
    Ending::Partial {
        failed: 4,
        details: details.to_vec(),
    }
}

/// Rows that the table had already.
fn in_the_table() -> Ending {
    let reason = "(1062, \"Duplicate entry '398114' for key 'product_feed_090833.sku'\")";
    Ending::Fail {
        details: vec![detail(RowField::Null, reason.to_owned())],
    }
}

fn products() -> impl Iterator<Item = (String, Plan)> {
    (0..36_u32).map(|number| {
        // The bad ones come last, so that the last notice tells why.
        let (seconds, end) = match number {
            17 => (9, twice()),
            29 => (9, in_the_table()),
            _ => (u64::from(number) / 6, Ending::Available),
        };
        let id = format!("68ec7ad3e307920f{number:08x}");
        (id, Plan::ends(1_000, Duration::from_secs(seconds), end))
    })
}

fn prices() -> impl Iterator<Item = (String, Plan)> {
    (0..12_u32).map(|number| {
        let id = format!("68ec7b10e307920f{number:08x}");
        let takes = Duration::from_millis(u64::from(number) * 400);
        (id, Plan::ends(1_000, takes, Ending::Available))
    })
}

/// An import that goes on while the picture is taken.
fn catalogue() -> impl Iterator<Item = (String, Plan)> {
    (0..500_u32).map(|number| {
        let id = format!("68ec7c20e307920f{number:08x}");
        let plan = if number < 412 {
            Plan::ends(1_000, Duration::ZERO, Ending::Available)
        } else {
            Plan::never(1_000)
        };
        (id, plan)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_shows_an_import_that_goes_on_and_what_came_of_two() {
    let mut stage = Stage::with_look(LOOK).await;
    stage.add("products", products());
    stage.add("prices", prices());
    // Where no icon theme is, the notices bring their own icons.
    let daemon = |stage: &Stage, arguments: &[&str]| {
        let mut command = stage.daemon_command(arguments);
        command.env("XDG_DATA_DIRS", stage.home.path("nothing"));
        stage.home.start(command)
    };
    assert!(daemon(&stage, &["--until-settled"]).wait().success());
    let mut shown = stage.desktop.shown_so_far();
    assert_eq!(stage.desktop.on_screen(), 2);
    stage.move_into("progress_after = \"3s\"\n");
    stage.add("catalogue", catalogue());
    let _daemon = daemon(&stage, &[]);
    shown.push(stage.desktop.next_shown());
    let last_of = |import| {
        let mut summaries = shown.iter().map(|shown| shown.summary.as_str());
        summaries
            .rfind(|summary| summary.starts_with(import))
            .unwrap()
    };
    assert_eq!(
        [last_of("products"), last_of("prices"), last_of("catalogue")],
        [
            "products: 1,004 of 36,000 rows did not go in",
            "prices: all 12,000 rows went in",
            "catalogue: 412 of 500 tasks done",
        ]
    );
    let [bad, good, going] = FRAMES;
    let shot = stage.desktop.screenshot("popups.png", going);
    let colours = colours_of(&shot);
    assert!(colours.contains(bad) && colours.contains(good));
    let picture = shot.with_file_name("picture.png");
    put_on_a_wall(&shot, &picture);
    assert!(fs::metadata(&picture).unwrap().len() < 150_000);
    if let Some(to) = std::env::var_os("IMPORTWATCH_PICTURE") {
        fs::copy(&picture, to).unwrap();
    }
}

/// Cuts the popups out of the black screen and puts them on a plain wall, with a shadow.
fn put_on_a_wall(shot: &Path, picture: &Path) {
    let drawn = Command::new("convert")
        .arg(shot)
        .args([
            "-fuzz",
            "13%",
            "-transparent",
            "black",
            "-fuzz",
            "0",
            "-trim",
            "+repage",
        ])
        .args([
            "(",
            "+clone",
            "-background",
            "#10182a",
            "-shadow",
            "45x9+0+6",
            ")",
        ])
        .args([
            "+swap",
            "-background",
            "#dde3ec",
            "-layers",
            "merge",
            "+repage",
        ])
        .args(["-bordercolor", "#dde3ec", "-border", "12"])
        .args(["-strip", "+dither", "-colors", "255"])
        .arg(format!("png8:{}", picture.display()))
        .status();
    assert!(
        drawn
            .expect("convert, of ImageMagick, must be there")
            .success()
    );
}

//! Any bytes as a file of ids: the same ids however the file comes in and grows, and what cannot be
//! used is said on one harmless line.
#![no_main]

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{BufReader, Write as _};
use std::time::Duration;

use importwatch::clock::{self, Instant};
use importwatch::watchlist::ids::{Found, Ids};
use importwatch::watchlist::lists::Lists;
use importwatch::watchlist::watcher;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static PLACE: RefCell<(TempDir, Runtime)> = RefCell::new((
        TempDir::new_in("/dev/shm").expect("a folder in memory"),
        Builder::new_current_thread().enable_io().build().expect("a runtime"),
    ));
}

fn is_harmless(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

/// The ids of a text that is whole.
fn whole(text: &[u8]) -> Vec<Found> {
    let read = |capacity| {
        let mut found = Vec::new();
        let mut last = 0;
        for one in Ids::new(BufReader::with_capacity(capacity, text)) {
            match one.expect("memory can be read") {
                Ok(one) => {
                    assert!(one.line >= last, "lines go forward");
                    last = one.line;
                    found.push(one);
                }
                Err(unusable) => {
                    let shown = unusable.to_string();
                    assert!(is_harmless(&shown), "{shown:?}");
                    assert!(shown.len() < 2_000, "{}", shown.len());
                    assert!(unusable.line().is_some_and(|line| line >= 1));
                }
            }
        }
        found
    };
    let found = read(1 << 16);
    assert_eq!(read(3), found);
    found
}

/// What a look at the file finds.
fn look(lists: &mut Lists, now: Instant, wall: Timestamp) -> Vec<Found> {
    lists.look(now, wall);
    let mut found = Vec::new();
    while let Some(chunk) = lists.next(now) {
        found.extend(chunk.found);
    }
    found
}

// The first byte says where the file is cut while it grows, as a share of 255.
fuzz_target!(|input: &[u8]| {
    let Some((share, text)) = input.split_first() else {
        return;
    };
    let expected = whole(text);
    let cut = text.len() * usize::from(*share) / 255;

    PLACE.with_borrow_mut(|(folder, runtime)| {
        let _inside = runtime.enter();
        let path = folder.path().join("ids");
        std::fs::write(&path, &text[..cut]).unwrap();
        let (watches, _changes) = watcher::watch(&[path.clone()]);
        let mut lists = Lists::new(Vec::new(), vec![path.clone()], watches);
        let (now, wall) = (clock::now(), clock::wall());
        let mut found = look(&mut lists, now, wall);

        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&text[cut..]).unwrap();
        found.extend(look(&mut lists, now, wall));
        // Long afterwards it has no end, and counts all the same.
        let late = Duration::from_mins(10);
        found.extend(look(&mut lists, now.after(late), wall + late));
        assert_eq!(found, expected);
        assert!(look(&mut lists, now.after(late * 2), wall + late * 2).is_empty());
    });
});

//! The house: which module may import from which, as the crate's documentation draws it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The map in the documentation of `lib.rs`: a number, then the modules that live there.
fn map() -> BTreeMap<String, u32> {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    let table = lib
        .lines()
        .skip_while(|line| !line.starts_with("//! ```text"));
    let mut map = BTreeMap::new();
    let mut level = None;
    for line in table.skip(1).take_while(|line| *line != "//! ```") {
        let words = line.trim_start_matches("//!");
        if let Some(number) = words
            .trim_start()
            .split(' ')
            .next()
            .and_then(|w| w.parse().ok())
        {
            level = Some(number);
        }
        // A line of a module has its name at the fifth column; others go on about the last.
        let name = words.get(4..).unwrap_or_default();
        if !name.starts_with(' ') {
            let name = name.split(' ').next().unwrap();
            map.insert(
                name.to_owned(),
                level.expect("a level before the first module"),
            );
        }
    }
    map
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The top-level module that a file of `src` belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix("src").unwrap();
    let first = inside.components().next().unwrap().as_os_str();
    first.to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The top-level modules that a text imports from.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| {
        let paths = line
            .split("crate::")
            .skip(1)
            .chain(line.split("importwatch::").skip(1));
        paths.map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap()
        })
    })
}

#[test]
fn every_import_points_down_the_map() {
    let map = map();
    let mut sources = Vec::new();
    files(Path::new("src"), &mut sources);
    assert!(map.len() > 5 && sources.len() > 5);
    for path in sources {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        let level = map
            .get(&module)
            .unwrap_or_else(|| panic!("{module} is not on the map"));
        let text = fs::read_to_string(&path).unwrap();
        for import in imports(&text).filter(|import| *import != module) {
            let other = map
                .get(import)
                .unwrap_or_else(|| panic!("{}: {import} is not on the map", path.display()));
            assert!(
                other < level,
                "{}: {module} ({level}) imports from {import} ({other})",
                path.display()
            );
        }
        assert!(!text.contains("super::super"), "{}", path.display());
    }
}

#[test]
fn the_crate_backoff_is_known_to_one_file() {
    let mut sources = Vec::new();
    files(Path::new("src"), &mut sources);
    let knowing = sources.iter().filter(|path| {
        let text = fs::read_to_string(path).unwrap();
        text.contains("use backoff::")
    });
    assert_eq!(
        knowing.collect::<Vec<_>>(),
        [Path::new("src/schedule/pacing.rs")]
    );
}

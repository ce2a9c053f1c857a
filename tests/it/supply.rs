//! What the program is made of: only crates of the public index, with licences that go with ours, and
//! no unsafe code of our own; as `deny.toml` has it, checked with nothing but cargo.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn read(path: &str) -> toml::Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

fn strings(value: &toml::Value) -> BTreeSet<String> {
    let values = value.as_array().unwrap().iter();
    values
        .map(|value| value.as_str().unwrap().to_owned())
        .collect()
}

fn locked() -> Vec<toml::Table> {
    let lock = read("Cargo.lock");
    let packages = lock["package"].as_array().unwrap().iter();
    packages
        .map(|package| package.as_table().unwrap().clone())
        .collect()
}

#[test]
fn every_crate_comes_from_the_public_index_and_is_known_by_its_checksum() {
    let deny = read("deny.toml");
    assert_eq!(deny["sources"]["unknown-registry"].as_str(), Some("deny"));
    let packages = locked();
    assert!(packages.len() > 100);
    for package in packages {
        let name = package["name"].as_str().unwrap();
        if name == "importwatch" {
            assert!(!package.contains_key("source"));
            continue;
        }
        let source = package["source"].as_str().unwrap();
        let is_public = source.starts_with("registry+") && source.ends_with("/crates.io-index");
        assert!(is_public, "{name} from {source}");
        assert_eq!(package["checksum"].as_str().unwrap().len(), 64, "{name}");
    }
}

#[test]
fn no_banned_crate_is_in_it() {
    let deny = read("deny.toml");
    let banned = deny["bans"]["deny"].as_array().unwrap();
    let banned: BTreeSet<&str> = banned
        .iter()
        .map(|ban| ban["crate"].as_str().unwrap())
        .collect();
    assert!(!banned.is_empty());
    for package in locked() {
        let name = package["name"].as_str().unwrap();
        assert!(!banned.contains(name), "{name} is banned by deny.toml");
    }
}

/// Each acknowledged advisory is about a crate that is there still, and gives a reason.
#[test]
fn each_acknowledged_advisory_is_needed_and_explained() {
    let deny = read("deny.toml");
    let ignored = deny["advisories"]["ignore"].as_array().unwrap();
    assert!(!ignored.is_empty());
    let packages = locked();
    for advisory in ignored {
        let (_, reason) = (&advisory["id"], advisory["reason"].as_str().unwrap());
        let (about, why) = reason.split_once(": ").unwrap();
        assert!(
            packages
                .iter()
                .any(|package| package["name"].as_str() == Some(about)),
            "{about}"
        );
        assert!(why.len() > 20, "{why}");
    }
}

/// Whether a licence expression can be met with what is allowed.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let expression = expression.replace('/', " OR ");
    let mut words = Vec::new();
    for word in expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .split_whitespace()
    {
        words.push(word.to_owned());
    }
    let mut rest = words.as_slice();
    let met = alternatives(&mut rest, allowed);
    assert!(rest.is_empty(), "{expression}");
    met
}

fn alternatives(rest: &mut &[String], allowed: &BTreeSet<String>) -> bool {
    let mut met = conjunction(rest, allowed);
    while rest.first().is_some_and(|word| word == "OR") {
        *rest = &rest[1..];
        met |= conjunction(rest, allowed);
    }
    met
}

fn conjunction(rest: &mut &[String], allowed: &BTreeSet<String>) -> bool {
    let mut met = licence(rest, allowed);
    while rest.first().is_some_and(|word| word == "AND") {
        *rest = &rest[1..];
        met &= licence(rest, allowed);
    }
    met
}

fn licence(rest: &mut &[String], allowed: &BTreeSet<String>) -> bool {
    let (first, others) = rest.split_first().unwrap();
    *rest = others;
    if first == "(" {
        let met = alternatives(rest, allowed);
        assert_eq!(rest.first().map(String::as_str), Some(")"));
        *rest = &rest[1..];
        return met;
    }
    let mut name = first.clone();
    if rest.first().is_some_and(|word| word == "WITH") {
        name = format!("{name} WITH {}", rest[1]);
        *rest = &rest[2..];
    }
    allowed.contains(&name)
}

#[test]
fn expressions_of_licences() {
    let allowed: BTreeSet<String> = ["MIT", "ISC"].map(str::to_owned).into();
    for met in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT AND ISC",
        "GPL-3.0/MIT",
        "(X OR MIT) AND ISC",
    ] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in [
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "MIT WITH X",
        "(MIT OR ISC) AND Y",
    ] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}

#[test]
fn every_licence_goes_with_ours() {
    let deny = read("deny.toml");
    let allowed = strings(&deny["licenses"]["allow"]);
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
            "--all-features",
        ])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .unwrap();
    assert!(
        metadata.status.success(),
        "{}",
        String::from_utf8_lossy(&metadata.stderr)
    );
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    for package in packages {
        let name = &package["name"];
        let licence = package["license"].as_str();
        assert!(
            licence.is_some_and(|text| is_met(text, &allowed)),
            "{name}: {licence:?}"
        );
    }
}

#[test]
fn there_is_no_unsafe_code_of_ours() {
    let manifest = read("Cargo.toml");
    assert_eq!(
        manifest["lints"]["rust"]["unsafe_code"].as_str(),
        Some("forbid")
    );
    let mut folders = vec![Path::new("src").to_owned()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            seen += 1;
            let text = fs::read_to_string(&path).unwrap_or_default();
            let is_free = !text.contains("unsafe {") && !text.contains("unsafe fn");
            assert!(
                is_free && !text.contains("allow(unsafe_code"),
                "{}",
                path.display()
            );
        }
    }
    assert!(seen > 50);
}

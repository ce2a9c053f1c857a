//! The log of a whole process, which can be set up only once in each.

use std::process::{Command, Stdio};

use importwatch::settings::LogFormat;
use importwatch::telemetry::{LogParams, init};

/// The test starts itself again, with a standard error that no one reads.
#[test]
fn a_closed_standard_error_stops_nothing() {
    const CHILD: &str = "IMPORTWATCH_TEST_IS_CHILD";
    const SURVIVED: &str = "the child went on";
    if std::env::var_os(CHILD).is_some() {
        let params = LogParams {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        };
        init(&params).unwrap();
        tracing::error!(target: "importwatch", "no one reads this");
        println!("{SURVIVED}");
        return;
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "telemetry::a_closed_standard_error_stops_nothing",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .stderr(Stdio::from(writer))
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && stdout.contains(SURVIVED),
        "{stdout}"
    );
}

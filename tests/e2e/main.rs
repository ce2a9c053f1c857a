//! Tests against the real thing: a bus, a desktop, systemd. A tool that is missing is a failure.
//!
//! On Debian: `apt-get install --no-install-recommends dbus dbus-user-session dunst imagemagick
//! libpam-systemd procps systemd-container xvfb fonts-dejavu-core`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the lints know tests by their attribute, and helpers of tests have none"
)]

mod desktop;
mod notices;
mod units;

//! Tests against the real thing: a bus, a desktop, a terminal, systemd. A tool that is missing is a
//! failure.
//!
//! On Debian: `apt-get install --no-install-recommends dbus dbus-user-session dunst faketime fonts-dejavu-core
//! fonts-inter imagemagick iproute2 libnotify-bin libpam-systemd procps strace systemd systemd-container tmux
//! xvfb`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the lints know tests by their attribute, and helpers of tests have none"
)]

mod crash;
mod deaf;
mod demo;
mod desktop;
mod disk;
mod idle;
mod inject;
mod living;
mod load;
mod names;
mod notices;
mod picture;
#[path = "../it/program.rs"]
mod program;
mod rates;
mod screen;
mod secrets;
#[path = "../it/seed.rs"]
mod seed;
mod soak;
mod stage;
mod terminal;
mod time;
mod units;
mod waiting;
mod wire;

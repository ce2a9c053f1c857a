//! Tests against the real thing: a bus, a desktop, a terminal, systemd. A tool that is missing is a
//! failure.
//!
//! On Debian: `apt-get install --no-install-recommends bash-completion curl dbus dbus-user-session dunst faketime
//! fish fonts-dejavu-core fonts-inter imagemagick iproute2 jq libnotify-bin libpam-systemd procps s-nail strace
//! systemd systemd-container tmux xvfb zsh`.

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
mod recipes;
mod screen;
mod secrets;
#[path = "../it/seed.rs"]
mod seed;
mod shells;
mod soak;
mod stage;
mod terminal;
mod time;
mod units;
mod waiting;
mod wire;

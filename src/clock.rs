//! Reads time, for the whole program, so that nothing else does.
//!
//! Decisions are made on [`Instant`], which counts on through a suspend and never jumps. Wall time
//! ([`wall`]) is for the store and the screen; it never decides when something happens within one
//! process.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{self, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use tokio::io::unix::AsyncFd;

/// A point on the machine's boot clock (`CLOCK_BOOTTIME`), in nanoseconds since ten years
/// before the machine started.
///
/// Points of two processes on one boot can be compared; points of two boots cannot.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

/// From the first point to the start of the machine: what was before that has points too, since
/// requests of yesterday count today.
const HEADROOM: Duration = Duration::from_hours(10 * 365 * 24);

impl Instant {
    /// The first point, earlier than or equal to every other one.
    pub const ZERO: Self = Self(0);

    /// The point `since_zero` after [`Self::ZERO`]; what does not fit in 64 bits of nanoseconds (584
    /// years) becomes the last point.
    #[must_use]
    pub fn from_boot(since_zero: Duration) -> Self {
        Self(u64::try_from(since_zero.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The time from `earlier` to this point, zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The point `duration` later, or the last point there is.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(Self::from_boot(duration).0))
    }

    /// The point `duration` earlier, or the first one.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(Self::from_boot(duration).0))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

/// The boot clock's present point.
#[must_use]
pub fn now() -> Instant {
    // The call fails only where the kernel lacks the clock (before Linux 2.6.39); the monotonic
    // clock then differs in nothing but a suspend.
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME)
        .or_else(|_| clock_gettime(ClockId::CLOCK_MONOTONIC))
        .unwrap_or(TimeSpec::new(0, 0));
    Instant::from_boot(Duration::from(time)).after(HEADROOM)
}

/// The present wall time, to the millisecond, as the store keeps it.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the place that reads the wall clock"
)]
pub fn wall() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// A timer on the boot clock.
///
/// Unlike a timer of the runtime it wakes the process once for each wait, however long, and it
/// rings at once after a suspend that outlasted it.
#[derive(Debug)]
pub struct Alarm {
    timer: TimerFd,
    readiness: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// Makes a timer that is not set.
    ///
    /// # Errors
    ///
    /// The system's, where it has no file descriptor left.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O enabled.
    pub fn new() -> io::Result<Self> {
        let timer = TimerFd::new(
            timerfd::ClockId::CLOCK_BOOTTIME,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, and an OwnedFd gives the safety that it asks for"
        )]
        let readiness = AsyncFd::new(timer.as_fd().try_clone_to_owned()?)?;
        Ok(Self { timer, readiness })
    }

    /// Returns at `at`, at once if that is past.
    ///
    /// Cancel safe: a wait that is dropped leaves nothing behind, since the next one sets the timer
    /// anew.
    ///
    /// # Errors
    ///
    /// The system's, from setting the timer or waiting for it.
    pub async fn wait_until(&self, at: Instant) -> io::Result<()> {
        let left = at.since(now());
        if left.is_zero() {
            return Ok(());
        }
        self.timer.set(
            Expiration::OneShot(TimeSpec::from_duration(left)),
            TimerSetTimeFlags::empty(),
        )?;
        loop {
            let mut ready = self.readiness.readable().await?;
            let mut expirations = [0; 8];
            match nix::unistd::read(self.readiness.get_ref(), &mut expirations) {
                Ok(_) => return Ok(()),
                // Readiness left over from an earlier wait that was dropped.
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(other) => return Err(other.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_saturate() {
        let late = Instant::from_boot(Duration::MAX);
        assert_eq!(late.after(Duration::from_secs(1)), late);
        assert_eq!(Instant::ZERO.before(Duration::from_secs(1)), Instant::ZERO);
        assert_eq!(Instant::ZERO.since(late), Duration::ZERO);
    }

    #[test]
    fn what_was_before_the_machine_started_has_its_point() {
        let now = now();
        for ago in [Duration::from_hours(24), Duration::from_hours(365 * 24)] {
            assert_eq!(now.since(now.before(ago)), ago);
        }
    }

    #[tokio::test]
    async fn alarm_rings_after_its_time_and_after_a_dropped_wait() {
        let alarm = Alarm::new().unwrap();
        let start = now();
        let dropped = alarm.wait_until(start.after(Duration::from_millis(5)));
        drop(tokio::time::timeout(Duration::from_millis(1), dropped).await);
        alarm
            .wait_until(start.after(Duration::from_millis(20)))
            .await
            .unwrap();
        assert!(now() >= start.after(Duration::from_millis(20)));
        alarm.wait_until(start).await.unwrap();
    }
}

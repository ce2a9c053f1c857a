//! What the service manager is told of the daemon, and when: that it is ready, one line on how it
//! stands, and that its loop gets on.
//!
//! The line changes with what happens, at most once a second, and says nothing that goes stale while
//! nothing happens: a time of day, not a time left. It never wakes the daemon when nothing changes,
//! unless the manager wants to hear of the loop more often than the loop turns by itself.

use std::time::Duration;

use crate::clock::{self, Instant};
use crate::daemon::jobs::Jobs;
use crate::daemon::line::{self, Facts, Next, time_of_day};
use crate::daemon::work::Job;
use crate::notice::amount::counted;
use crate::schedule::Schedule;
use crate::systemd::Systemd;
use crate::watch::Standing;

/// The line changes at most this often.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the manager has been told, and what it is to be told next.
#[derive(Debug)]
pub(super) struct Report {
    systemd: Systemd,
    is_ready: bool,
    /// Whether the settings, as they are now, were refused.
    is_refused: bool,
    line: String,
    timing: Timing,
    /// How the imports stand that are not done, and whether that has changed since it was read.
    standing: Standing,
    is_stale: bool,
}

impl Report {
    pub(super) fn new(mut systemd: Systemd, standing: Standing, now: Instant) -> Self {
        let line = "reading the watch list".to_owned();
        systemd.status(&line);
        Self {
            timing: Timing {
                due: None,
                // What comes next is that the daemon is ready, for which others wait.
                said_at: now.before(INTERVAL),
                watchdog: systemd.watchdog(),
                fed_at: now,
            },
            systemd,
            is_ready: false,
            is_refused: false,
            line,
            standing,
            is_stale: true,
        }
    }

    /// The settings are being read again.
    pub(super) fn reloading(&mut self) {
        // Before the manager knows that the daemon is ready, it takes no word of a reload.
        if self.is_ready {
            self.systemd.reloading("reading the settings again");
        }
    }

    /// They were, and were refused or taken over.
    pub(super) fn reloaded(&mut self, is_refused: bool, now: Instant) {
        self.is_refused = is_refused;
        if self.is_ready {
            self.systemd.ready(&self.line);
        }
        self.refresh(now);
    }

    /// The numbers have changed.
    pub(super) fn recount(&mut self, now: Instant) {
        self.is_stale = true;
        self.refresh(now);
    }

    /// Here they are.
    pub(super) fn count(&mut self, standing: Standing, now: Instant) {
        self.standing = standing;
        self.refresh(now);
    }

    /// Something else has changed that the line tells.
    pub(super) fn refresh(&mut self, now: Instant) {
        if self.systemd.is_present() {
            self.timing.refresh(now);
        }
    }

    /// Something has changed that most often changes back within a second.
    pub(super) fn refresh_later(&mut self, now: Instant) {
        if self.systemd.is_present() {
            self.timing.refresh_later(now);
        }
    }

    /// Tells the manager what there is to tell, or starts finding it out.
    pub(super) fn tell(
        &mut self,
        schedule: &Schedule,
        jobs: &mut Jobs,
        is_read: bool,
        now: Instant,
    ) {
        // A piece of work that never ends is no progress, though the loop may turn for other reasons.
        if !jobs.is_under_way() && self.timing.take_feed(now) {
            self.systemd.alive();
        }
        if !self.timing.take_due(now) || !is_read {
            return;
        }
        let is_blocked = jobs.wake_at().is_some();
        if self.is_stale && !is_blocked {
            self.is_stale = false;
            jobs.push(Job::Stand);
            return;
        }
        let wall = clock::wall();
        let next = if schedule.is_asking() {
            Next::Now
        } else if let Some(at) = schedule.next_poll(now) {
            Next::At(time_of_day(at, now, wall))
        } else {
            Next::Never
        };
        let line = line::line(&Facts {
            standing: self.standing,
            unaskable: schedule.pending().saturating_sub(schedule.askable()) as u64,
            is_blocked,
            is_refused: self.is_refused,
            held: line::held(schedule.held(now), now, wall),
            next,
        });
        self.say(line, now);
    }

    /// When the loop has to turn for this.
    pub(super) fn wake_at(&self, jobs: &Jobs) -> Option<Instant> {
        self.timing.wake_at(jobs.is_under_way())
    }

    /// The daemon has begun to end, with so many tasks pending, if that is known.
    pub(super) fn end(&mut self, pending: Option<usize>) {
        let line = match pending {
            None => "no longer watching".to_owned(),
            Some(0) => "no longer watching; no task is pending".to_owned(),
            Some(pending) => {
                let tasks = counted(pending as u64, "task");
                format!("no longer watching; {tasks} pending, kept for the next start")
            }
        };
        self.systemd.stopping(&line);
    }

    fn say(&mut self, line: String, now: Instant) {
        if !self.is_ready {
            self.is_ready = true;
            self.systemd.ready(&line);
        } else if line != self.line {
            self.systemd.status(&line);
        }
        self.timing.said_at = now;
        self.line = line;
    }
}

/// When the manager is told something.
#[derive(Debug)]
struct Timing {
    /// When the line is to be written anew; `None` while nothing has changed.
    due: Option<Instant>,
    said_at: Instant,
    /// How long the manager goes without a sign of life.
    watchdog: Option<Duration>,
    /// When it was last given one.
    fed_at: Instant,
}

impl Timing {
    fn refresh(&mut self, now: Instant) {
        self.refresh_at(now.max(self.said_at.after(INTERVAL)));
    }

    fn refresh_later(&mut self, now: Instant) {
        self.refresh_at(now.after(INTERVAL));
    }

    fn refresh_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Whether the line is to be written anew now; if so, it counts as written.
    fn take_due(&mut self, now: Instant) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }

    /// Whether the watchdog is to be fed now; if so, it counts as fed. A busy loop does so four times
    /// in the time that the manager allows, an idle one at least twice.
    fn take_feed(&mut self, now: Instant) -> bool {
        let is_hungry = |watchdog| now.since(self.fed_at) >= watchdog / 4;
        let feeds = self.watchdog.is_some_and(is_hungry);
        if feeds {
            self.fed_at = now;
        }
        feeds
    }

    /// When the loop has to turn for this. While a piece of work is under way, its end turns the
    /// loop, and until then the watchdog is not fed.
    fn wake_at(&self, is_under_way: bool) -> Option<Instant> {
        let watchdog = self.watchdog.filter(|_| !is_under_way);
        let feed = watchdog.map(|watchdog| self.fed_at.after(watchdog / 2));
        self.due.into_iter().chain(feed).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_due_without_a_manager() {
        let now = clock::now();
        let mut report = Report::new(Systemd::absent(), Standing::default(), now);
        report.recount(now);
        report.refresh_later(now);
        assert_eq!(report.timing.wake_at(false), None);
    }

    fn at(milliseconds: u64) -> Instant {
        Instant::from_boot(Duration::from_millis(milliseconds))
    }

    fn timing(watchdog: Option<Duration>) -> Timing {
        Timing {
            due: None,
            said_at: at(10_000),
            watchdog,
            fed_at: at(10_000),
        }
    }

    #[test]
    fn the_line_changes_at_most_once_a_second_and_no_change_is_lost() {
        let mut timing = timing(None);
        assert!(!timing.take_due(at(50_000)));
        timing.refresh(at(10_100));
        timing.refresh(at(10_900));
        assert_eq!(timing.wake_at(false), Some(at(11_000)));
        assert!(!timing.take_due(at(10_999)));
        assert!(timing.take_due(at(11_000)));
        timing.said_at = at(11_000);
        assert_eq!(timing.wake_at(false), None);
        // Much later a change shows at once, unless it is one that may pass.
        timing.refresh_later(at(20_000));
        assert_eq!(timing.wake_at(false), Some(at(21_000)));
        timing.refresh(at(20_200));
        assert!(timing.take_due(at(20_200)));
        assert!(!timing.take_due(at(99_999)));
    }

    #[test]
    fn the_watchdog_is_fed_in_time_and_only_where_nothing_hangs() {
        let mut timing = timing(Some(Duration::from_secs(8)));
        assert_eq!(timing.wake_at(false), Some(at(14_000)));
        assert_eq!(timing.wake_at(true), None);
        assert!(!timing.take_feed(at(11_999)));
        assert!(timing.take_feed(at(12_000)));
        assert!(!timing.take_feed(at(13_999)));
        assert_eq!(timing.wake_at(false), Some(at(16_000)));
        // After it has woken the loop, it does not wake it again at once.
        assert!(timing.take_feed(at(16_000)));
        assert_eq!(timing.wake_at(false), Some(at(20_000)));
    }
}

//! An account's rates: how soon it may be asked again, and what a request is worth.
//!
//! Rates are sliding windows: in any span as long as a window there are at most so many requests. An
//! allowance of an hour or a day is spread as well: a tenth of it may go at once, for whoever waits
//! for a small import, and after that the less is left, the longer the next request waits. Where more
//! is wanted than a minute allows, requests go at an even pace. The store guards the same windows for
//! all processes; here they are kept so that no poll is planned that would not be let through.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Instant;
use crate::schedule::fault::Allowance;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The rates of an account, as they are set, less what is left to the user's own uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    minute: u32,
    hour: Option<u32>,
    day: Option<u32>,
    /// The share of what a plan allows that is ours, in millionths.
    share: u32,
}

impl Rates {
    /// The rates that a plan allows, of which the share `reserve` (from 0 to below 1) is left
    /// untouched. Whatever the reserve, one request remains in each window.
    #[must_use]
    pub fn new(per_minute: u32, per_hour: Option<u32>, per_day: Option<u32>, reserve: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a million is within u32, and not negative"
        )]
        let share = ((1.0 - reserve.clamp(0.0, 1.0)) * 1e6).round() as u32;
        let plan = Self {
            minute: per_minute,
            hour: per_hour,
            day: per_day,
            share,
        };
        Self {
            minute: plan.ours(per_minute),
            hour: per_hour.map(|rate| plan.ours(rate)),
            day: per_day.map(|rate| plan.ours(rate)),
            share,
        }
    }

    /// How many of so many requests are ours; at least one.
    fn ours(self, requests: u32) -> u32 {
        let ours = u64::from(requests) * u64::from(self.share) / 1_000_000;
        u32::try_from(ours).unwrap_or(u32::MAX).max(1)
    }

    /// The sliding windows: a length, and the most requests in any span of that length.
    pub fn windows(self) -> impl Iterator<Item = (Duration, u32)> {
        [
            Some((MINUTE, self.minute)),
            self.hour.map(|rate| (HOUR, rate)),
            self.day.map(|rate| (DAY, rate)),
        ]
        .into_iter()
        .flatten()
    }

    /// The same rates with at most `per_minute` requests a minute.
    #[must_use]
    pub fn at_most(self, per_minute: Option<u32>) -> Self {
        let lowered = per_minute.map_or(self.minute, |rate| self.minute.min(rate.max(1)));
        Self {
            minute: lowered,
            ..self
        }
    }
}

/// How far an allowance has been used: of `most` requests that come back over `time`, `left` are
/// there.
#[derive(Debug, Clone, Copy)]
struct Spending {
    time: f64,
    most: f64,
    left: f64,
}

impl Spending {
    /// How scarce requests are: 1 where an even pace would use up what is left, more where it has
    /// been used up faster than that.
    ///
    /// It grows as what is left shrinks, so that the last request goes when the first comes back:
    /// the pauses `time / most · scarcity` from a whole allowance down to its last request add up to
    /// `time`, since the harmonic number is the sum of `1 / left`.
    fn scarcity(self) -> f64 {
        const EULER: f64 = 0.577_215_664_9;
        let harmonic = (self.most.ln() + EULER + 0.5 / self.most).max(1.0);
        self.most / (harmonic * self.left.max(1.0))
    }

    /// Whether more of it is gone than may go at once: a tenth.
    fn is_begun(self) -> bool {
        self.most - self.left >= (self.most / 10.0).floor()
    }

    /// How long the next request waits after the last one.
    fn pause(self) -> Duration {
        let pause = self.time / self.most * self.scarcity();
        Duration::try_from_secs_f64(pause).unwrap_or(Duration::MAX)
    }

    /// What a request is worth, in seconds of waiting of one task that has ended. Three times the
    /// even pause, as for a rate by the minute, and by the square of the scarcity: the best pause
    /// grows with the square root of the price, so that both say the same.
    fn price(self) -> f64 {
        3.0 * self.time / self.most * self.scarcity().powi(2)
    }
}

/// What the server said is left of an allowance that comes back later than in a minute.
#[derive(Debug, Clone, Copy)]
struct Told {
    left: u32,
    /// The whole allowance, where it was said.
    most: Option<u32>,
    back_at: Instant,
}

/// What was sent of late, and how much may be.
#[derive(Debug)]
pub(super) struct Budget {
    rates: Rates,
    /// Requests a minute, where the server has shown that the setting is too much.
    lowered: Option<u32>,
    /// Good answers since it was last lowered or raised.
    good: u32,
    /// When requests were sent, oldest first; no more than the widest window can count. One that was
    /// answered counts from then, since the server may have counted it that late.
    sent: VecDeque<Instant>,
    told: Option<Told>,
}

impl Budget {
    /// What the rate falls to when the server first says that it is too high: the smallest plan.
    const SMALLEST_PLAN: u32 = 3;
    /// No pause that the server's word asks for is longer.
    const LONGEST_PAUSE: Duration = HOUR;
    /// A request is worth at most so many seconds of waiting where a rate by the minute alone counts.
    const HIGHEST_PRICE: f64 = 30.0;

    pub(super) fn new(rates: Rates, lowered: Option<u32>) -> Self {
        Self {
            rates,
            lowered: lowered.filter(|&rate| rate < rates.minute),
            good: 0,
            sent: VecDeque::new(),
            told: None,
        }
    }

    /// Sets other rates; what was sent stays known.
    pub(super) fn set_rates(&mut self, rates: Rates) {
        self.rates = rates;
        self.lowered = self.lowered.filter(|&rate| rate < rates.minute);
    }

    pub(super) fn lowered(&self) -> Option<u32> {
        self.lowered
    }

    /// The rates in force.
    pub(super) fn rates(&self) -> Rates {
        self.rates.at_most(self.lowered)
    }

    /// The first instant, from `now` on, at which a request fits into every window and an allowance
    /// that is spread has had its pause.
    pub(super) fn free_at(&self, now: Instant) -> Instant {
        let mut free = now;
        for (length, most) in self.rates().windows() {
            // The request that must have left the window before another one fits.
            let blocking = (self.sent.len())
                .checked_sub(most as usize)
                .and_then(|index| self.sent.get(index));
            if let Some(&blocking) = blocking {
                free = free.max(blocking.after(length));
            }
        }
        if let Some(even) = self.even_from() {
            free = free.max(even);
        }
        let Some(&last) = self.sent.back() else {
            return free;
        };
        for (length, most) in self.spread() {
            let spending = self.spending(length, most, now);
            if spending.is_begun() {
                free = free.max(last.after(spending.pause()));
            }
        }
        if let Some(spending) = self.told(now) {
            free = free.max(last.after(spending.pause().min(Self::LONGEST_PAUSE)));
        }
        free
    }

    /// When the next request comes at an even pace, where the last one filled up its minute: more are
    /// wanted than the rate allows, and a minute's worth at once would find little that is new.
    fn even_from(&self) -> Option<Instant> {
        let most = self.rates().minute;
        let first = self.sent.len().checked_sub(most as usize)?;
        let (&first, &last) = (self.sent.get(first)?, self.sent.back()?);
        (last <= first.after(MINUTE)).then(|| last.after(MINUTE / most))
    }

    /// What a request is worth at `now`, in seconds of waiting of one task that has ended: three
    /// seconds at sixty a minute, thirty at three, and more where little is left of an hour's or a
    /// day's allowance.
    pub(super) fn price(&self, now: Instant) -> f64 {
        let by_minute = 3.0 * MINUTE.as_secs_f64() / f64::from(self.rates().minute);
        let spread = self.spread().map(|(l, most)| self.spending(l, most, now));
        let prices = spread.chain(self.told(now)).map(Spending::price);
        prices.fold(by_minute.min(Self::HIGHEST_PRICE), f64::max)
    }

    /// The windows whose allowance is spread.
    fn spread(&self) -> impl Iterator<Item = (Duration, u32)> {
        let windows = self.rates().windows();
        windows.filter(|(length, _)| *length > MINUTE)
    }

    fn spending(&self, length: Duration, most: u32, now: Instant) -> Spending {
        let begin = now.before(length);
        let used = self.sent.len() - self.sent.partition_point(|&at| at <= begin);
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        Spending {
            time: length.as_secs_f64(),
            most: f64::from(most),
            left: f64::from(most.saturating_sub(used)),
        }
    }

    /// The same of what the server said is left, as if that were all until it comes back.
    fn told(&self, now: Instant) -> Option<Spending> {
        let told = self.told.filter(|told| told.back_at > now)?;
        let left = f64::from(told.left.max(1));
        let spending = Spending {
            time: told.back_at.since(now).as_secs_f64(),
            most: left,
            left,
        };
        let begun = told.most.is_none_or(|most| {
            let most = f64::from(most);
            Spending { most, ..spending }.is_begun()
        });
        begun.then_some(spending)
    }

    pub(super) fn record(&mut self, at: Instant) {
        let widest = self.rates.windows().map(|(_, most)| most as usize).max();
        while self.sent.len() >= widest.unwrap_or(1) {
            self.sent.pop_front();
        }
        self.sent.push_back(at);
        if let Some(told) = &mut self.told {
            told.left = told.left.saturating_sub(1);
        }
    }

    /// The last request has ended, with an answer or without: it reached the server by now.
    pub(super) fn ended(&mut self, now: Instant) {
        if let Some(last) = self.sent.back_mut() {
            *last = now.max(*last);
        }
    }

    /// Takes the last request back: it was not sent.
    pub(super) fn take_back(&mut self) {
        self.sent.pop_back();
        if let Some(told) = &mut self.told {
            told.left = told.left.saturating_add(1);
        }
    }

    /// The server said that the rate is too high: at first the smallest plan is tried, then half.
    pub(super) fn lower(&mut self) {
        let present = self.rates().minute;
        let smallest = self.rates.ours(Self::SMALLEST_PLAN);
        let lowered = if self.lowered.is_none() && present > smallest {
            smallest
        } else {
            (present / 2).max(1)
        };
        self.limit(lowered);
    }

    /// A good answer: after a minute's worth of them one request a minute more is tried. What it
    /// tells of the account's rate is kept to: at most the limit, and at once as many as are left,
    /// where that is for less than a minute; what is left for longer is spread.
    pub(super) fn praise(&mut self, allowance: Allowance, now: Instant) {
        let Allowance {
            limit,
            remaining,
            resets_in,
        } = allowance;
        let within_a_minute = resets_in.is_none_or(|time| time <= MINUTE);
        let ours = |requests| self.rates.ours(requests);
        self.told = match (remaining, resets_in) {
            (Some(left), Some(time)) if !within_a_minute => Some(Told {
                left: limit.map_or(ours(left), |limit| {
                    left.saturating_sub(limit.saturating_sub(ours(limit)))
                }),
                most: limit.map(ours),
                back_at: now.after(time),
            }),
            _ => None,
        };
        if let Some(rate) = self.lowered {
            self.good += 1;
            let mut raised = rate;
            if self.good >= rate {
                raised += 1;
            }
            if let Some(left) = remaining.filter(|_| within_a_minute) {
                raised = raised.max(self.rates.ours(left));
            }
            if raised != rate {
                self.limit(raised);
            }
        }
        // A window of a second is renewed at once, and says nothing of a minute.
        let by_minute = resets_in.is_some_and(|time| time > SECOND && time <= MINUTE);
        if let Some(limit) = limit.filter(|_| by_minute) {
            let ours = self.rates.ours(limit);
            if ours < self.rates().minute {
                self.limit(ours);
            }
        }
    }

    fn limit(&mut self, per_minute: u32) {
        self.lowered = Some(per_minute).filter(|&rate| rate < self.rates.minute);
        self.good = 0;
    }
}

#[cfg(test)]
mod tests;

//! What the budget lets through, and when.

use super::*;

fn at(seconds: u64) -> Instant {
    Instant::from_boot(Duration::from_secs(1_000_000 + seconds))
}

#[test]
fn the_reserve_is_left_alone_but_one_request_remains() {
    let windows = |rates: Rates| rates.windows().map(|(_, most)| most).collect::<Vec<_>>();
    assert_eq!(windows(Rates::new(60, Some(100), None, 0.25)), [45, 75]);
    assert_eq!(windows(Rates::new(3, None, Some(100), 0.9)), [1, 10]);
}

#[test]
fn a_window_slides() {
    let mut budget = Budget::new(Rates::new(3, None, None, 0.0), None);
    for second in [0, 10, 20] {
        assert_eq!(budget.free_at(at(second)), at(second));
        budget.record(at(second));
    }
    assert_eq!(budget.free_at(at(21)), at(60));
    budget.record(at(60));
    assert!(budget.free_at(at(60)) >= at(70));
    budget.take_back();
    assert_eq!(budget.free_at(at(60)), at(60));
}

#[test]
fn what_is_wanted_more_often_than_the_rate_allows_goes_at_an_even_pace() {
    let mut budget = Budget::new(Rates::new(3, None, None, 0.0), None);
    for second in [0, 10, 20, 60, 80, 100, 120] {
        assert_eq!(budget.free_at(at(second)), at(second));
        budget.record(at(second));
        let next = [10, 20, 60, 80, 100, 120, 140].into_iter();
        let next = next.filter(|&next| next > second).min();
        assert_eq!(
            budget.free_at(at(second)),
            at(match second {
                // The minute is not filled up yet.
                0 | 10 => second,
                _ => next.unwrap(),
            })
        );
    }
    // Whoever asks less often than that is not held up.
    budget.record(at(170));
    assert_eq!(budget.free_at(at(171)), at(171));
}

#[test]
fn a_request_counts_from_its_end() {
    let mut budget = Budget::new(Rates::new(2, None, None, 0.0), None);
    for (sent, ended) in [(0, 7), (10, 12)] {
        budget.record(at(sent));
        budget.ended(at(ended));
    }
    assert_eq!(budget.free_at(at(20)), at(67));
}

/// The seconds at which requests go that are always wanted, with an answer to each as it goes.
fn spent(mut budget: Budget, until: u64, answer: impl Fn(u64) -> Allowance) -> Vec<u64> {
    let mut now = at(0);
    let mut spent = Vec::new();
    loop {
        now = budget.free_at(now);
        let second = now.since(at(0)).as_secs();
        if second >= until {
            return spent;
        }
        budget.record(now);
        spent.push(second);
        budget.praise(answer(spent.len() as u64), now);
    }
}

fn before(spent: &[u64], second: u64) -> usize {
    spent.iter().filter(|&&at| at < second).count()
}

#[test]
fn a_days_allowance_is_spread_over_the_day() {
    const HOUR: u64 = 60 * 60;
    let budget = Budget::new(Rates::new(60, None, Some(100), 0.0), None);
    let spent = spent(budget, 72 * HOUR, |_| Allowance::default());
    // What a small import needs goes at once, then less and less.
    assert_eq!(before(&spent, 60), 10);
    assert!((20..40).contains(&before(&spent, HOUR)));
    assert!((75..90).contains(&before(&spent, 8 * HOUR)));
    assert!((95..=100).contains(&before(&spent, 24 * HOUR)));
    // From then on something is always left for whoever comes.
    let third = before(&spent, 72 * HOUR) - before(&spent, 48 * HOUR);
    assert!((90..=100).contains(&third));
    let pauses = spent.windows(2).map(|pair| pair[1] - pair[0]);
    let longest = pauses.skip(before(&spent, 24 * HOUR)).max().unwrap();
    assert!(longest < 3 * HOUR, "{longest}");
}

#[test]
fn an_hours_allowance_is_spread_over_the_hour() {
    let budget = Budget::new(Rates::new(600, Some(1_000), None, 0.0), None);
    let spent = spent(budget, 3_600, |_| Allowance::default());
    assert!((150..250).contains(&before(&spent, 60)));
    assert!((650..800).contains(&before(&spent, 600)));
    assert!((950..=1_000).contains(&before(&spent, 3_600)));
}

#[test]
fn what_the_server_says_is_left_for_long_is_spread_as_well() {
    let renewed = 20_000;
    let answer = |limit| {
        move |used: u64| Allowance {
            limit,
            remaining: Some(50_u32.saturating_sub(u32::try_from(used).unwrap())),
            resets_in: Some(Duration::from_secs(renewed)),
        }
    };
    // As if no time passed for the server: what counts is how the pauses grow.
    let budget = || Budget::new(Rates::new(60, None, None, 0.0), None);
    let unknown = spent(budget(), 3_600, answer(None));
    assert!(before(&unknown, 60) == 1 && before(&unknown, 3_600) > 10);
    let known = spent(budget(), 3_600, answer(Some(50)));
    assert_eq!(before(&known, 60), 5);
    // However little is left, no pause is longer than an hour.
    let mut spent = budget();
    spent.record(at(0));
    spent.praise(answer(Some(50))(50), at(0));
    assert_eq!(spent.free_at(at(1)), at(3_600));
    assert_eq!(spent.free_at(at(renewed)), at(renewed));
}

#[test]
fn a_request_is_worth_more_the_less_are_left() {
    let price = |rates, sent: u32| {
        let mut budget = Budget::new(rates, None);
        (0..sent).for_each(|_| budget.record(at(0)));
        budget.price(at(1))
    };
    let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.05;
    assert!(near(price(Rates::new(60, None, None, 0.0), 1), 3.0));
    assert!(near(price(Rates::new(3, None, None, 0.0), 1), 30.0));
    assert!(near(price(Rates::new(1, None, None, 0.0), 0), 30.0));
    let by_day = Rates::new(60, None, Some(100), 0.0);
    assert!(near(price(by_day, 0), 96.0));
    assert!(near(price(by_day, 50), 4.0 * 96.0));
    assert!(near(price(by_day, 90), 100.0 * 96.0));
    let lowered = Budget::new(Rates::new(60, None, None, 0.0), Some(6));
    assert!(near(lowered.price(at(0)), 30.0));
}

fn left(remaining: u32) -> Allowance {
    Allowance {
        remaining: Some(remaining),
        ..Allowance::default()
    }
}

#[test]
fn falls_to_the_smallest_plan_and_rises_slowly() {
    let nothing = Allowance::default();
    let mut budget = Budget::new(Rates::new(60, None, None, 0.0), None);
    budget.lower();
    assert_eq!(budget.lowered(), Some(3));
    budget.lower();
    budget.lower();
    assert_eq!(budget.lowered(), Some(1));
    for rate in [2, 2, 3, 3, 3, 4] {
        budget.praise(nothing, at(0));
        assert_eq!(budget.lowered(), Some(rate));
    }
    budget.praise(left(29), at(0));
    assert_eq!(budget.lowered(), Some(29));
    // It had been found out to be too much once: it falls by half, not to the bottom again.
    budget.lower();
    assert_eq!(budget.lowered(), Some(14));
    budget.praise(left(600), at(0));
    assert_eq!(budget.lowered(), None);
    budget.praise(nothing, at(0));
    assert_eq!(budget.lowered(), None);
}

#[test]
fn the_reserve_holds_for_what_the_server_says() {
    let mut budget = Budget::new(Rates::new(60, None, None, 0.5), None);
    budget.lower();
    assert_eq!(budget.lowered(), Some(1));
    budget.praise(left(20), at(0));
    assert_eq!(budget.lowered(), Some(10));
}

#[test]
fn a_limit_for_a_minute_is_kept_to() {
    let said = |limit, seconds: Option<u64>| Allowance {
        limit: Some(limit),
        remaining: None,
        resets_in: seconds.map(Duration::from_secs),
    };
    let heard = |allowance| {
        let mut budget = Budget::new(Rates::new(60, None, None, 0.0), None);
        budget.praise(allowance, at(0));
        budget.lowered()
    };
    assert_eq!(heard(said(3, Some(60))), Some(3));
    assert_eq!(heard(said(100, Some(60))), None);
    // That of a day, of a second, and of nobody knows what.
    assert_eq!(heard(said(3, Some(61))), None);
    assert_eq!(heard(said(3, Some(1))), None);
    assert_eq!(heard(said(3, None)), None);
}

#[test]
fn the_pauses_of_an_allowance_add_up_to_its_time() {
    for most in [4, 100] {
        let all = Spending {
            time: 3_600.0,
            most: f64::from(most),
            left: 0.0,
        };
        let pauses = (1..=most).map(|left| {
            let left = f64::from(left);
            Spending { left, ..all }.pause().as_secs_f64()
        });
        let sum: f64 = pauses.sum();
        assert!((sum / 3_600.0 - 1.0).abs() < 0.01, "{most}: {sum}");
    }
}

#[test]
fn other_rates_hold_at_once_and_what_was_found_out_below_them_stays() {
    let rates = |minute| Rates::new(minute, None, None, 0.0);
    let mut budget = Budget::new(rates(60), Some(6));
    budget.set_rates(rates(10));
    assert_eq!((budget.lowered(), budget.rates().minute), (Some(6), 6));
    budget.set_rates(rates(6));
    assert_eq!((budget.lowered(), budget.rates().minute), (None, 6));
    budget.set_rates(rates(60));
    assert_eq!((budget.lowered(), budget.rates().minute), (None, 60));
}

#[test]
fn the_smallest_plan_that_is_too_much_is_halved() {
    let mut budget = Budget::new(Rates::new(3, None, None, 0.0), None);
    budget.lower();
    assert_eq!(budget.lowered(), Some(1));
    // All that the settings allow is nothing that was found out.
    budget.praise(left(3), at(0));
    assert_eq!(budget.lowered(), None);
}

#[test]
fn what_is_left_for_a_minute_is_not_spread() {
    let mut budget = Budget::new(Rates::new(60, None, None, 0.0), None);
    budget.record(at(0));
    let for_a_minute = Allowance {
        resets_in: Some(Duration::from_mins(1)),
        ..left(5)
    };
    budget.praise(for_a_minute, at(0));
    assert_eq!(budget.free_at(at(0)), at(0));
    budget.praise(
        Allowance {
            resets_in: Some(Duration::from_secs(61)),
            ..for_a_minute
        },
        at(0),
    );
    assert!(budget.free_at(at(0)) > at(0));
}

//! The rate of a plan, kept by all processes together: daemons that are killed and started again, and
//! checks beside them, counted by the server in every span of a minute.

use std::fs;
use std::thread;
use std::time::Duration;

use importwatch::clock::Instant;
use importwatch::simulator::Simulator;
use importwatch::simulator::world::{Plan, Rate};

use crate::program::{Home, simulator};

/// Requests a minute.
const RATE: u32 = 12;
const MINUTE: Duration = Duration::from_mins(1);

/// A home whose settings know the rate.
fn home(simulator: &Simulator) -> Home {
    let home = Home::new(
        simulator.base_url().as_str(),
        "request_timeout = \"2s\"\n[notify]\ndesktop = false\n",
    );
    let settings = fs::read_to_string(home.path("config.toml")).unwrap();
    let rate = format!("requests_per_minute = {RATE}");
    home.settings(&settings.replace("requests_per_minute = 6000", &rate));
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn no_minute_has_more_requests_than_the_plan_whoever_sends_them() {
    let simulator = simulator().await;
    let control = simulator.control();
    control.change(|world| {
        world.rate = Some(Rate {
            requests: RATE,
            window: MINUTE,
            status: 429,
            retry_after: None,
            headers: false,
        });
        for number in 0..300 {
            world.add(format!("task-{number}").parse().unwrap(), Plan::never(10));
        }
    });
    let home = home(&simulator);
    let ids: Vec<String> = (0..300).map(|number| format!("task-{number}")).collect();
    home.run_with(&["add", "--import", "products", "-"], &ids.join("\n"));
    let mut random = fastrand::Rng::new();
    // Afterwards a daemon may leave no room for a check that comes too late.
    assert_eq!(home.run(&["check", "--online"]).code, Some(0));
    let (mut good, mut refused) = (1, 0);
    // Well into a second minute, in which the first one's requests come free one by one.
    while control.requests().len() < 3 * RATE as usize / 2 {
        let daemon = home.daemon(&[]);
        thread::sleep(Duration::from_millis(random.u64(0..1_500)));
        let check = home.run(&["check", "--online"]);
        match check.code {
            Some(0) => good += 1,
            Some(4) => refused += 1,
            _ => panic!("{check:?}"),
        }
        // Some are killed in the middle of a request.
        if random.bool() {
            daemon.signal("TERM");
            assert!(daemon.wait().success());
        }
    }
    let requests = control.requests();
    let times: Vec<Instant> = requests.iter().map(|request| request.at).collect();
    for pair in times.windows(RATE as usize + 1) {
        let span = pair[RATE as usize].since(pair[0]);
        assert!(span >= MINUTE, "{} requests within {span:?}", RATE + 1);
    }
    // Both have had their share, and have been kept from more.
    assert!(
        good > 0 && requests.len() > good,
        "{good} of {}",
        requests.len()
    );
    assert!(refused > 0);
    let log = home.log();
    assert!(!log.contains("over its limit"), "{log}");
}

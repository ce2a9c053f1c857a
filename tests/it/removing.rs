//! What `remove` does to a daemon that is running.

use importwatch::simulator::world::Plan;

use crate::program::{Home, simulator};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_daemon_no_longer_asks_about_what_was_removed() {
    let simulator = simulator().await;
    let home = Home::new(simulator.base_url().as_str(), "");
    let ids = ["one", "two", "three", "kept", "later"];
    simulator.control().change(|world| {
        for id in ids {
            world.add(id.parse().unwrap(), Plan::never(10));
        }
    });
    home.run(&["add", "--import", "products", "one", "two"]);
    home.run(&["add", "--import", "stock", "three", "kept"]);
    let _daemon = home.daemon(&[]);
    assert!(simulator.control().received(1).await);
    let removed = home.run(&["remove", "--import", "products"]);
    assert_eq!(removed.out, "2 tasks removed, while they were pending\n");
    let removed = home.run(&["remove", "three"]);
    assert_eq!(removed.out, "1 task removed, while it was pending\n");
    // Whoever asks about this one has seen the removals, which were stored before it.
    home.run(&["add", "later"]);
    let mut asked = 1;
    let last = loop {
        assert!(simulator.control().received(asked).await);
        let requests = simulator.control().requests();
        let found = requests
            .into_iter()
            .find(|request| request.ids.iter().any(|id| id == "later"));
        if let Some(request) = found {
            break request;
        }
        asked = simulator.control().requests().len() as u64 + 1;
    };
    let removed = |id: &String| ["one", "two", "three"].contains(&id.as_str());
    assert!(!last.ids.iter().any(removed), "{:?}", last.ids);
    let left: Vec<_> = home
        .list(&[])
        .into_iter()
        .map(|task| task["id"].clone())
        .collect();
    assert_eq!(left, ["kept", "later"]);
}

//! What `wait` says to the person who calls it, by the real program.

use std::time::Duration;

use importwatch::simulator::world::{Ending, Plan};
use importwatch::task::{FailDetail, RowField};

use crate::messages::Transcript;
use crate::program::{Home, simulator};

#[tokio::test(flavor = "multi_thread")]
async fn waiting() {
    let simulator = simulator().await;
    simulator.control().change(|world| {
        let ends = |end| Plan::ends(1000, Duration::ZERO, end);
        let details = vec![FailDetail {
            row: RowField::Row(14),
            start: Some(0),
            end: Some(0),
            reason: "Duplicate value found for column 'id': value '14', first in row 2".to_owned(),
        }];
        world.add("good".parse().unwrap(), ends(Ending::Available));
        let partial = Ending::Partial { failed: 1, details };
        world.add("partly".parse().unwrap(), ends(partial));
        let details = Vec::new();
        world.add("bad".parse().unwrap(), ends(Ending::Fail { details }));
        world.add("never".parse().unwrap(), Plan::never(1000));
    });
    let home = Home::new(simulator.base_url().as_str(), "[notify]\ndesktop = false\n");
    let mut told = Transcript::of(&home);
    told.call("wait")
        .call("wait --import prodcts")
        .call_with(
            "wait --import products -",
            "good\npartly\n{\"code\":40000,\"message\":\"no\"}\n",
        )
        .call("wait --import prodcts")
        .call("wait --import prices@now good")
        .call("wait --import products --max-failed-rows 0.1%")
        .call("wait --import products --json")
        .call("wait -q bad")
        .call("wait --import late never --timeout 100ms")
        .call("-q wait never --timeout 100ms")
        .call("wait never --timeout soon --max-failed-rows most")
        .call("wait never bad --fail-fast")
        .call("wait --account shop never")
        .call_with("wait -", "")
        .call("wait good two\u{7}words");
    insta::assert_snapshot!(told.stable());
}

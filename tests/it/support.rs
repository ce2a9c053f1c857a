//! What the tests of the client and of the simulator start from.

use std::time::Duration;

use importwatch::account::ApiKey;
use importwatch::api::client::{Client, ClientParams};
use importwatch::simulator::Simulator;
use importwatch::simulator::world::World;
use importwatch::task::TaskId;
use url::Url;

/// The key of the simulated servers.
pub(crate) const KEY: &str = "app-s3cret-key";

/// A bound that is reached only where something hangs.
pub(crate) const LONG: Duration = Duration::from_mins(2);

/// The most memory that the program may ever have taken, in KiB.
pub(crate) const MOST_MEMORY: u64 = 64 << 10;

/// Shows how much it was, to those who ask for the output of tests.
#[expect(
    clippy::print_stderr,
    reason = "a figure to be noted by who runs the test"
)]
pub(crate) fn note_memory(peak: u64, with: &str) {
    eprintln!("the most memory: {peak} KiB, with {with}");
}

pub(crate) fn key() -> ApiKey {
    ApiKey::new(KEY).unwrap()
}

pub(crate) fn id(text: &str) -> TaskId {
    text.parse().unwrap()
}

/// A server that is changed by `change` first, and a client of it.
pub(crate) async fn pair(change: impl FnOnce(&mut World)) -> (Simulator, Client) {
    let mut world = World::new(key());
    change(&mut world);
    let simulator = Simulator::start(world).await.unwrap();
    let client = Client::new(&params(simulator.base_url())).unwrap();
    (simulator, client)
}

pub(crate) fn params(base_url: Url) -> ClientParams {
    ClientParams {
        base_url,
        key: key(),
        ca_pem: None,
        connect_timeout: LONG,
        request_timeout: LONG,
    }
}

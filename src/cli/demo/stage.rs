//! The play of the demo: what the simulated server is given to do, with every outcome and some
//! faults. What the program makes of it is the program's own doing.

use std::time::Duration;

use crate::account::ApiKey;
use crate::simulator::fault::Fault;
use crate::simulator::world::{Ending, Plan, World};
use crate::task::{FailDetail, RowField, TaskId};

/// Rows of a task, the most that the endpoint takes at once.
const ROWS: u32 = 1000;

/// An import of the play.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) name: &'static str,
    /// How long its tasks are watched.
    pub(super) give_up_after: Duration,
    pub(super) tasks: Vec<(TaskId, Option<Plan>)>,
    /// An id that the server refuses.
    pub(super) bad: Option<TaskId>,
}

/// The imports that are watched from the start.
pub(super) fn imports() -> Vec<Import> {
    vec![products(), suppliers()]
}

/// Two dozen tasks that end one after another: most well, some in part, one not at all; and one that
/// the server does not know.
fn products() -> Import {
    let ending = (0..24_u32).map(|number| {
        let takes = Duration::from_millis(900 + 330 * u64::from(number * 7 % 24));
        let end = match number {
            5 => Ending::Partial {
                failed: 3,
                details: vec![
                    twice(118, "sku", "A-2041", 17),
                    twice(640, "sku", "A-3310", 71),
                    twice(955, "sku", "A-7702", 4),
                ],
            },
            11 => Ending::Partial {
                failed: 1,
                details: vec![missing_value(402, "price")],
            },
            17 => Ending::Fail {
                details: vec![in_table("sku", "A-1093")],
            },
            _ => Ending::Available,
        };
        (id(number), Some(Plan::ends(ROWS, takes, end)))
    });
    Import {
        name: "products",
        give_up_after: Duration::from_hours(24),
        tasks: ending.chain([(id(24), None)]).collect(),
        bad: None,
    }
}

/// What ends badly for reasons of its own: a task that never ends, and an id that the server refuses.
fn suppliers() -> Import {
    let well = Plan::ends(ROWS, Duration::from_secs(2), Ending::Available);
    Import {
        name: "suppliers",
        give_up_after: Duration::from_secs(8),
        tasks: vec![(id(100), Some(well)), (id(101), Some(Plan::never(ROWS)))],
        bad: "not-an-id-of-this-server".parse().ok(),
    }
}

/// The simulated server at the beginning.
pub(super) fn world(key: ApiKey) -> World {
    let mut world = World::new(key);
    world.latency = Duration::from_millis(40);
    for import in imports() {
        for (id, plan) in import.tasks {
            if let Some(plan) = plan {
                world.add(id, plan);
            }
        }
        world.bad_ids.extend(import.bad);
    }
    world
}

/// What goes wrong on the way, when, and how it is announced.
pub(super) fn troubles() -> Vec<(Duration, &'static str, Vec<Fault>)> {
    let failing = Fault::Status {
        status: 500,
        headers: Vec::new(),
        body: b"{\"code\":50000,\"message\":\"Internal system error\"}".to_vec(),
    };
    vec![(
        Duration::from_millis(2500),
        "requests fail (HTTP 500, reset): no task is called failed for that",
        vec![failing, Fault::Reset],
    )]
}

fn id(number: u32) -> TaskId {
    let text = format!("6921a0c4e307920f{number:08x}");
    #[expect(clippy::expect_used, reason = "24 hex digits are an id")]
    text.parse().expect("24 hex digits are an id")
}

fn twice(row: u32, column: &str, value: &str, first: u32) -> FailDetail {
    FailDetail {
        row: RowField::Row(row),
        start: Some(0),
        end: Some(0),
        reason: format!(
            "`{column}` must be unique, but the value '{value}' is duplicated (first at row `{first}`)."
        ),
    }
}

fn missing_value(row: u32, column: &str) -> FailDetail {
    FailDetail {
        row: RowField::Row(row),
        start: Some(0),
        end: Some(0),
        reason: format!(
            "`{column}` is required and must have a value; the current value is invalid or the property is missing."
        ),
    }
}

fn in_table(column: &str, value: &str) -> FailDetail {
    FailDetail {
        row: RowField::Null,
        start: Some(1),
        end: Some(10),
        reason: format!(
            "(1062, \"Duplicate entry '{value}' for key 'product_feed_090833.{column}'\")"
        ),
    }
}

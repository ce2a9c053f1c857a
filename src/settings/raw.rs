//! What stands in a settings file, before the accounts have found their URLs and the paths their
//! directory.
//!
//! It checks each value by itself and none against another.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

use crate::settings::value::{self, DAY, HOUR};
use crate::settings::{Log, Notify, Poll, Quiet, Watch};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) accounts: BTreeMap<String, RawAccount>,
    pub(super) watch: Watch,
    pub(super) poll: Poll,
    pub(super) notify: Notify,
    pub(super) log: Log,
    pub(super) state: RawState,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAccount {
    #[serde(deserialize_with = "value::endpoint")]
    pub(super) endpoint: Option<Url>,
    #[serde(deserialize_with = "value::base_url")]
    pub(super) base_url: Option<Url>,
    #[serde(deserialize_with = "value::path")]
    pub(super) api_key_file: Option<PathBuf>,
    /// Never filled, since keys are taken out before anything is read; it makes the name known.
    api_key: IgnoredAny,
    #[serde(deserialize_with = "value::whole::<_, 1, 6000>")]
    pub(super) requests_per_minute: u32,
    #[serde(deserialize_with = "value::whole_if_any::<_, 1, 360_000>")]
    pub(super) requests_per_hour: Option<u32>,
    #[serde(deserialize_with = "value::whole_if_any::<_, 1, 8_640_000>")]
    pub(super) requests_per_day: Option<u32>,
    #[serde(deserialize_with = "value::share")]
    pub(super) reserve: f64,
    #[serde(deserialize_with = "value::path")]
    pub(super) ca_file: Option<PathBuf>,
    #[serde(deserialize_with = "value::quiet")]
    pub(super) quiet: Quiet,
}

impl Default for RawAccount {
    fn default() -> Self {
        Self {
            endpoint: None,
            base_url: None,
            api_key_file: None,
            api_key: IgnoredAny,
            requests_per_minute: 60,
            requests_per_hour: None,
            requests_per_day: None,
            reserve: 0.0,
            ca_file: None,
            quiet: Quiet::Never,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawState {
    #[serde(deserialize_with = "value::path")]
    pub(super) directory: Option<PathBuf>,
    #[serde(deserialize_with = "value::duration::<_, HOUR, { 3650 * DAY }>")]
    pub(super) keep: Duration,
}

impl Default for RawState {
    fn default() -> Self {
        Self {
            directory: None,
            keep: Duration::from_millis(90 * DAY),
        }
    }
}

//! What is measured, one file for each question.

pub(crate) mod checks;
pub(crate) mod disk;
pub(crate) mod entries;
pub(crate) mod fleet;
pub(crate) mod gateway;
pub(crate) mod kills;
pub(crate) mod log;
pub(crate) mod manifests;
pub(crate) mod million;
pub(crate) mod opa;
pub(crate) mod propagation;
pub(crate) mod questions;
pub(crate) mod replay;
pub(crate) mod rows;
pub(crate) mod starts;
pub(crate) mod stuck;
pub(crate) mod swaps;
pub(crate) mod tools;

use std::time::Duration;

use crate::{
    load::{LoadPlan, Mode, Response},
    sentinel::Sentinel,
};

/// How long each load runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

impl Times {
    fn plan(self, sentinel: &Sentinel, connections: usize, mode: Mode) -> LoadPlan {
        LoadPlan {
            addresses: vec![sentinel.address],
            connections,
            mode,
            warm_up: self.warm_up,
            measured: self.measured,
            server_pid: Some(sentinel.server.pid()),
        }
    }
}

/// Names the outcome of a check, so that a run of denies is not taken for one of allows.
fn allowed_or_not(_: u64, response: &Response<'_>) -> Option<&'static str> {
    Some(if response.body_contains("\"allow\":true") { "allow" } else { "no allow" })
}

//! The checker: a pure function of what the clients saw and what the database holds.

mod decisions;
mod kills;
mod progress;
mod quotas;
mod requests;
#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use progress::{RECOVERY, count as counts};
pub(crate) use requests::lost as lost_requests;

use crate::observation::{Event, Micros, Observation};
use crate::rows::Rows;

/// How a replica came back after a fault.
#[derive(Debug, Clone)]
pub(crate) struct Recovery {
    pub(crate) after: String,
    pub(crate) replica: usize,
    /// Time until it allowed again; `None` when it did not.
    pub(crate) took: Option<Micros>,
}

/// One whole run.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// In the order in which they were sent.
    pub(crate) observations: Vec<Observation>,
    pub(crate) events: Vec<Event>,
    pub(crate) recoveries: Vec<Recovery>,
    pub(crate) rows: Rows,
}

/// What has to have happened at least, so that nothing is proved by a system that denies all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Least {
    /// Allows of each replica.
    pub(crate) allows: usize,
    pub(crate) denies: usize,
    /// Kills during which a check was denied because of them.
    pub(crate) kills: usize,
    pub(crate) manifests: usize,
    /// Responses that repeated an earlier decision.
    pub(crate) replays: usize,
}

/// A rule that was broken.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) what: String,
    /// Observations that show it, by their places.
    pub(crate) shown_by: Vec<usize>,
}

impl Violation {
    fn new(rule: &'static str, what: impl fmt::Display, shown_by: &[usize]) -> Self {
        Self { rule, what: what.to_string(), shown_by: shown_by.to_vec() }
    }
}

/// Every rule that `history` breaks; none when the guarantees held.
pub(crate) fn check(history: &History, least: &Least) -> Vec<Violation> {
    let mut violations = Vec::new();
    kills::seen_by_clients(history, &mut violations);
    kills::in_the_database(history, &mut violations);
    quotas::check(history, &mut violations);
    decisions::acknowledged(history, &mut violations);
    decisions::idempotent(history, &mut violations);
    decisions::never_by_an_error(history, &mut violations);
    decisions::manifests(history, &mut violations);
    decisions::permits(history, &mut violations);
    requests::malformed(history, &mut violations);
    progress::recovered(history, &mut violations);
    progress::noticed(history, &mut violations);
    progress::enough(history, least, &mut violations);
    violations
}

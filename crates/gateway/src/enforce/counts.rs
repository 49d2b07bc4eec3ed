//! What the gateway counts. No label takes a value that a client or a server chose.

use std::sync::atomic::{AtomicU64, Ordering};

use sentinel_core::decision::ReasonCode;
use sentinel_telemetry::{Labels, Measure, Values};

use crate::authority::Ended;

/// The label of codes that are not reason codes of decisions.
const OTHER: &str = "other";

/// Counts since the start.
#[derive(Debug)]
pub(super) struct Counts {
    ended: [AtomicU64; 3],
    /// In the order of [`ReasonCode::ALL`], and the others.
    denied: Vec<AtomicU64>,
    others: AtomicU64,
    repeated: AtomicU64,
    unrecorded: AtomicU64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            ended: Default::default(),
            denied: ReasonCode::ALL.iter().map(|_| AtomicU64::default()).collect(),
            others: AtomicU64::default(),
            repeated: AtomicU64::default(),
            unrecorded: AtomicU64::default(),
        }
    }
}

impl Counts {
    pub(super) fn ended(&self, ended: Ended) {
        let [executed, not_executed, unconfirmed] = &self.ended;
        increase(match ended {
            Ended::Executed => executed,
            Ended::NotExecuted => not_executed,
            Ended::Unconfirmed => unconfirmed,
        });
    }

    pub(super) fn denied(&self, code: &str) {
        let known = ReasonCode::ALL.iter().position(|(known, _)| known.as_str() == code);
        increase(known.and_then(|index| self.denied.get(index)).unwrap_or(&self.others));
    }

    pub(super) fn repeated(&self) {
        increase(&self.repeated);
    }

    pub(super) fn unrecorded(&self) {
        increase(&self.unrecorded);
    }

    pub(super) fn measures(&self) -> Vec<Measure> {
        let [executed, not_executed, unconfirmed] = &self.ended;
        let ended = [
            (Ended::Executed, executed),
            (Ended::NotExecuted, not_executed),
            (Ended::Unconfirmed, unconfirmed),
        ];
        let ended = ended.map(|(ended, count)| (vec![("outcome", ended.as_str())], read(count)));
        let denied = ReasonCode::ALL.iter().zip(&self.denied);
        let denied = denied.map(|((code, _), count)| (code.as_str(), read(count)));
        let denied = denied.chain([(OTHER, read(&self.others))]).filter(|(_, count)| *count > 0);
        let denied: Vec<(Labels, u64)> =
            denied.map(|(code, count)| (vec![("code", code)], count)).collect();
        let single = |count| Values::Counters(vec![(Vec::new(), read(count))]);
        vec![
            Measure {
                name: "gateway_calls",
                help: "Calls that were allowed, by how they ended",
                values: Values::Counters(ended.into()),
            },
            Measure {
                name: "gateway_denials",
                help: "Requests that were denied, by code",
                values: Values::Counters(denied),
            },
            Measure {
                name: "gateway_repeats",
                help: "Calls that were answered from an earlier one",
                values: single(&self.repeated),
            },
            Measure {
                name: "gateway_unrecorded_outcomes",
                help: "Outcomes that could not be recorded",
                values: single(&self.unrecorded),
            },
        ]
    }
}

fn increase(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

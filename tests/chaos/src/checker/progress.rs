//! That the system came back, and that enough happened for the rest to mean something.

use std::collections::{HashMap, HashSet};

use super::{History, Least, Violation, kills};
use crate::observation::{Asked, Micros, Trace, seconds};

/// Time in which a replica must allow again once a fault is healed.
pub(crate) const RECOVERY: Micros = 15_000_000;

pub(super) fn recovered(history: &History, violations: &mut Vec<Violation>) {
    for recovery in &history.recoveries {
        if recovery.took.is_none_or(|took| took > RECOVERY) {
            let took =
                recovery.took.map_or("never".to_owned(), |took| format!("{} s", seconds(took)));
            let (replica, after) = (recovery.replica, &recovery.after);
            let what = format!("replica {replica} allowed again after {after}: {took}");
            violations.push(Violation::new("no-progress", what, &[]));
        }
    }
}

/// What happened, counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) checks: usize,
    pub(crate) allows: HashMap<u8, usize>,
    pub(crate) denies: usize,
    pub(crate) errors: usize,
    pub(crate) unknown: usize,
    pub(crate) kills: usize,
    pub(crate) manifests: usize,
    pub(crate) redeemed: usize,
    pub(crate) replays: usize,
}

pub(crate) fn count(history: &History) -> Counts {
    let mut counts = Counts { kills: kills::effective(history), ..Counts::default() };
    let mut seen = HashSet::new();
    for observation in &history.observations {
        let Ok(answered) = &observation.answer else {
            counts.unknown += 1;
            continue;
        };
        match (observation.check(), answered.status) {
            (Some(_), 200) => {
                counts.checks += 1;
                if answered.allow == Some(true) {
                    *counts.allows.entry(observation.replica).or_default() += 1;
                } else {
                    counts.denies += 1;
                }
                let again = answered.decision.is_some_and(|decision| !seen.insert(decision));
                counts.replays += usize::from(again);
            }
            (None, 201) => counts.manifests += 1,
            (None, 200) => {
                let redeem = matches!(observation.asked, Asked::Redeem { .. });
                counts.redeemed += usize::from(redeem);
            }
            (_, status) => counts.errors += usize::from(status >= 500),
        }
    }
    counts
}

/// Every fault did something: one that was not noticed proves nothing.
pub(super) fn noticed(history: &History, violations: &mut Vec<Violation>) {
    for event in &history.events {
        let noticed = match event.trace {
            Trace::None => true,
            Trace::FailedRequests => history.observations.iter().any(|each| {
                let failed = each.answer.as_ref().map_or(true, |answered| answered.status >= 500);
                failed && each.sent < event.until && each.ended > event.from
            }),
            Trace::OddTimes => {
                let times = || history.rows.decisions.values().map(|row| row.created);
                let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
                // The clock went three hours ahead and three behind.
                last - first > 5 * 3600
            }
        };
        if !noticed {
            let what = format!("this fault was not noticed: {event}");
            violations.push(Violation::new("no-real-test", what, &[]));
        }
    }
}

pub(super) fn enough(history: &History, least: &Least, violations: &mut Vec<Violation>) {
    let counts = count(history);
    let replicas: HashSet<_> = history.recoveries.iter().map(|each| each.replica).collect();
    let allows = replicas.iter().map(|replica| {
        let replica = u8::try_from(*replica).unwrap_or(u8::MAX);
        counts.allows.get(&replica).copied().unwrap_or(0)
    });
    let happened = [
        ("allows of one replica", allows.min().unwrap_or(0), least.allows),
        ("denies", counts.denies, least.denies),
        ("kills that denied a check", counts.kills, least.kills),
        ("manifests", counts.manifests, least.manifests),
        ("repeated calls", counts.replays, least.replays),
    ];
    for (name, happened, least) in happened {
        if happened < least {
            let what = format!("only {happened} {name}, at least {least} make a test");
            violations.push(Violation::new("no-real-test", what, &[]));
        }
    }
}

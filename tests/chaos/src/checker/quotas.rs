//! G3: in no window are there more allows than its quota, and each is counted.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sentinel_core::quota::Window;

use super::{History, Violation};
use crate::rows::{CounterKey, Decision};

pub(super) fn check(history: &History, violations: &mut Vec<Violation>) {
    let mut allows = HashMap::<CounterKey, (u64, u64, &str)>::new();
    for row in history.rows.decisions.values().filter(|row| row.allow) {
        let (Some(key), Some((limit, _))) = (counter_of(row), &row.quota) else {
            let what = format!("decision {} allows without a quota", row.id);
            violations.push(Violation::new("counter-differs", what, &[]));
            continue;
        };
        allows.entry(key).or_insert((0, *limit, row.call.tool)).0 += 1;
    }
    for (key, (count, limit, tool)) in &allows {
        let from =
            Timestamp::from_second(key.2).map_or_else(|_| String::new(), |at| at.to_string());
        if count > limit {
            let what = format!(
                "{count} allows of {tool} in the window of {} from {from}; {limit} fit",
                key.1
            );
            violations.push(Violation::new("quota-exceeded", what, &of_tool(history, tool)));
        }
        let used = history.rows.counters.get(key).map(|counter| counter.used);
        if used != Some(*count) {
            let what = format!(
                "{count} allows of {tool} in the window of {} from {from} are counted as {used:?}",
                key.1
            );
            violations.push(Violation::new("counter-differs", what, &[]));
        }
    }
    for (key, counter) in &history.rows.counters {
        if counter.used > 0 && !allows.contains_key(key) {
            let what = format!("{} are counted of {key:?}, and none allowed", counter.used);
            violations.push(Violation::new("counter-differs", what, &[]));
        }
        if counter.limit.is_some_and(|limit| counter.used > limit) {
            let what = format!("{} of {:?} are used of {key:?}", counter.used, counter.limit);
            violations.push(Violation::new("quota-exceeded", what, &[]));
        }
    }
    seen_by_clients(history, &allows, violations);
}

/// What clients were told, whatever the database says: for each tool no more than all its windows
/// hold.
fn seen_by_clients(
    history: &History,
    allows: &HashMap<CounterKey, (u64, u64, &str)>,
    violations: &mut Vec<Violation>,
) {
    let mut seen = HashMap::<&str, HashSet<_>>::new();
    for (call, answered) in history.observations.iter().filter_map(|each| each.allowed()) {
        seen.entry(call.tool).or_default().extend(answered.decision);
    }
    for (tool, decisions) in seen {
        let windows = allows.values().filter(|(.., of)| *of == tool);
        let limit = windows.fold(0_u64, |sum, (_, limit, _)| sum.saturating_add(*limit));
        if u64::try_from(decisions.len()).unwrap_or(u64::MAX) > limit {
            let what = format!("clients saw {} allows of {tool}; {limit} fit", decisions.len());
            violations.push(Violation::new("quota-exceeded", what, &of_tool(history, tool)));
        }
    }
}

fn counter_of(row: &Decision) -> Option<CounterKey> {
    let (_, window) = row.quota.as_ref()?;
    let at = Timestamp::from_second(row.created).ok()?;
    let span = window.parse::<Window>().ok()?.span(at).ok()?;
    Some((row.tool_id?, window.clone(), span.start.as_second()))
}

/// The last allows of a tool.
fn of_tool(history: &History, tool: &str) -> Vec<usize> {
    let allows = history.observations.iter().enumerate().rev();
    let allows =
        allows.filter(|(_, each)| each.allowed().is_some_and(|(call, _)| call.tool == tool));
    allows.take(3).map(|(place, _)| place).collect()
}

//! What a run found, as a person reads it.

use std::collections::BTreeMap;

use crate::checker::{History, Violation, counts};
use crate::observation::{Asked, Call, Micros, Observation};

/// Violations of one rule that are shown in full.
const SHOWN: usize = 3;
/// Observations shown around a violation.
const AROUND: usize = 24;
/// How much earlier and later they may have been under way.
const MARGIN: Micros = 20_000;

pub(crate) fn summary(history: &History) -> String {
    let counts = counts(history);
    let allows: usize = counts.allows.values().sum();
    let slowest = history.recoveries.iter().filter_map(|each| each.took).max().unwrap_or(0);
    format!(
        "{} checks answered, {allows} allowed, {} denied; {} repeated, {} manifests, {} permits \
         redeemed; {} kills, {} seen to deny; {} errors, {} unknown answers\n\
         {} decisions, {} manifests, {} counters in the database\n\
         {} faults; the slowest replica allowed again {} ms after one",
        counts.checks,
        counts.denies,
        counts.replays,
        counts.manifests,
        counts.redeemed,
        history.rows.kills.len(),
        counts.kills,
        counts.errors,
        counts.unknown,
        history.rows.decisions.len(),
        history.rows.manifests.len(),
        history.rows.counters.len(),
        history.events.len(),
        slowest / 1000,
    )
}

/// The violations, the first few of each rule with what went on around them.
pub(crate) fn violations(history: &History, violations: &[Violation]) -> String {
    let mut by_rule = BTreeMap::<_, Vec<_>>::new();
    for violation in violations {
        by_rule.entry(violation.rule).or_default().push(violation);
    }
    let mut text = String::new();
    for (rule, of_rule) in by_rule {
        for violation in of_rule.iter().take(SHOWN) {
            text.push_str(&format!("\nVIOLATION [{rule}] {}\n", violation.what));
            around(history, violation, &mut text);
        }
        if of_rule.len() > SHOWN {
            text.push_str(&format!("\n… and {} more of [{rule}]\n", of_rule.len() - SHOWN));
        }
    }
    text
}

fn around(history: &History, violation: &Violation, text: &mut String) {
    let shown: Vec<_> =
        violation.shown_by.iter().filter_map(|place| history.observations.get(*place)).collect();
    let Some(from) = shown.iter().map(|each| each.sent).min() else { return };
    let until = shown.iter().map(|each| each.ended).max().unwrap_or(from);
    let (from, until) = (from.saturating_sub(MARGIN), until.saturating_add(MARGIN));
    let call = shown.iter().find_map(|each| each.check());
    let mut lines = Vec::new();
    for event in history.events.iter().filter(|event| event.from < until && event.until > from) {
        lines.push((event.from, format!("    {event}")));
    }
    let mut left = AROUND;
    for (place, each) in history.observations.iter().enumerate() {
        let shows = violation.shown_by.contains(&place);
        let near = each.sent < until && each.ended > from && concerns(each, call);
        if shows || (near && left > 0) {
            left -= usize::from(!shows && left > 0);
            lines.push((each.sent, format!("{} {each}", if shows { ">>>" } else { "   " })));
        }
    }
    lines.sort();
    for (_, line) in lines {
        text.push_str(&line);
        text.push('\n');
    }
}

/// Whether an observation has to do with a call: the same tool, or a kill or restore that covers
/// it.
fn concerns(observation: &Observation, call: Option<&Call>) -> bool {
    let Some(call) = call else { return true };
    match &observation.asked {
        Asked::Check(other) => other.tool == call.tool,
        Asked::Kill(scope) | Asked::Restore(scope) => scope.covers(call),
        Asked::Sign { .. } | Asked::Redeem { .. } => false,
    }
}

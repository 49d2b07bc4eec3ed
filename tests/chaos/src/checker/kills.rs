//! G2: nothing that a kill covers is allowed once the kill was acknowledged.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{History, Violation};
use crate::observation::{Asked, Call, Micros, Observation, Scope, seconds};
use crate::rows::Rows;

/// Spans of time or of epochs, each with what names it.
#[derive(Debug, Default)]
struct Spans {
    /// From, the latest end of this and those before it, and what ends then; in order.
    spans: Vec<(u64, u64, usize)>,
}

impl Spans {
    fn of(mut spans: Vec<(u64, u64, usize)>) -> Self {
        spans.sort_unstable();
        let mut latest = (0, 0);
        for span in &mut spans {
            latest = latest.max((span.1, span.2));
            (span.1, span.2) = latest;
        }
        Self { spans }
    }

    /// One that begins before `from`, and ends after `until`.
    fn around(&self, from: u64, until: u64) -> Option<usize> {
        let before = self.spans.partition_point(|(start, ..)| *start < from);
        let (_, end, named) = self.spans.get(before.checked_sub(1)?)?;
        (*end > until).then_some(*named)
    }
}

/// Which scopes cover a call.
fn scopes(call: &Call) -> impl Iterator<Item = Scope> {
    let of_agent = call
        .agent
        .into_iter()
        .flat_map(|agent| [Scope::Agent(agent), Scope::TenantAgent(call.tenant, agent)]);
    [Scope::Global, Scope::Tenant(call.tenant), Scope::Tool(call.tenant, call.tool)]
        .into_iter()
        .chain(of_agent)
}

/// A kill that was acknowledged: its place, and the time in which it was surely in force.
#[derive(Debug)]
pub(super) struct Acknowledged {
    pub(super) place: usize,
    pub(super) scope: Scope,
    pub(super) from: Micros,
    pub(super) until: Micros,
}

/// Kills whose answer is unknown may be in force, but nothing is concluded from them.
pub(super) fn acknowledged(
    history: &History,
    violations: &mut Vec<Violation>,
) -> Vec<Acknowledged> {
    let restores = Restores::of(&history.observations);
    let mut known = Vec::new();
    for (place, observation) in history.observations.iter().enumerate() {
        let Asked::Kill(scope) = observation.asked else { continue };
        let Some(answered) = observation.with_status(200) else { continue };
        let Some(id) = answered.kills.first() else {
            violations.push(Violation::new(
                "lost-kill",
                "a kill was answered without its id",
                &[place],
            ));
            continue;
        };
        let until = match restores.end(*id, scope, &history.rows) {
            Ok(until) => until,
            Err(problem) => {
                violations.push(Violation::new("lost-kill", problem, &[place]));
                continue;
            }
        };
        known.push(Acknowledged { place, scope, from: observation.ended, until });
    }
    known
}

/// When restores were sent.
struct Restores {
    /// By the kill that they said to have ended.
    of_kill: HashMap<Uuid, Micros>,
    /// The first of each scope whose end is unknown: it may have ended any kill from then on.
    unknown: HashMap<Scope, Micros>,
}

impl Restores {
    fn of(observations: &[Observation]) -> Self {
        let (mut of_kill, mut unknown) = (HashMap::new(), HashMap::new());
        for observation in observations {
            let Asked::Restore(scope) = observation.asked else { continue };
            match observation.with_status(200) {
                Some(answered) => {
                    of_kill.extend(answered.kills.iter().map(|id| (*id, observation.sent)));
                }
                None => {
                    unknown.entry(scope).or_insert(observation.sent);
                }
            }
        }
        Self { of_kill, unknown }
    }

    /// Until when a kill was surely in force.
    fn end(&self, id: Uuid, scope: Scope, rows: &Rows) -> Result<Micros, String> {
        let Some(kill) = rows.kills.get(&id) else {
            return Err(format!(
                "kill {id} of {scope} was acknowledged and is not in the database"
            ));
        };
        if kill.until.is_none() {
            return Ok(Micros::MAX);
        }
        if let Some(sent) = self.of_kill.get(&id) {
            return Ok(*sent);
        }
        self.unknown
            .get(&scope)
            .copied()
            .ok_or_else(|| format!("kill {id} of {scope} was ended without a request for it"))
    }
}

pub(super) fn seen_by_clients(history: &History, violations: &mut Vec<Violation>) {
    let kills = acknowledged(history, violations);
    let mut by_scope = HashMap::<_, Vec<_>>::new();
    for kill in kills {
        by_scope.entry(kill.scope).or_default().push((kill.from, kill.until, kill.place));
    }
    let by_scope: HashMap<_, _> =
        by_scope.into_iter().map(|(scope, spans)| (scope, Spans::of(spans))).collect();
    for (place, observation) in history.observations.iter().enumerate() {
        let Some((call, _)) = observation.allowed() else { continue };
        for scope in scopes(call) {
            let spans = by_scope.get(&scope);
            let kill = spans.and_then(|spans| spans.around(observation.sent, observation.ended));
            let Some(kill) = kill else { continue };
            let what = format!(
                "allowed by replica {} although {scope} was killed; the check was sent {} after \
                 the kill was acknowledged, and answered before its restore was sent",
                observation.replica,
                history.observations.get(kill).map_or_else(String::new, |kill| {
                    format!("{} s", seconds(observation.sent - kill.ended))
                }),
            );
            violations.push(Violation::new("allow-after-kill", what, &[kill, place]));
        }
    }
}

pub(super) fn in_the_database(history: &History, violations: &mut Vec<Violation>) {
    let mut by_scope = HashMap::<_, Vec<_>>::new();
    let kills: Vec<_> = history.rows.kills.iter().collect();
    for (place, (_, kill)) in kills.iter().enumerate() {
        let span = (kill.from, kill.until.unwrap_or(u64::MAX), place);
        by_scope.entry(kill.scope).or_default().push(span);
    }
    let by_scope: HashMap<_, _> =
        by_scope.into_iter().map(|(scope, spans)| (scope, Spans::of(spans))).collect();
    for row in history.rows.decisions.values().filter(|row| row.allow) {
        for scope in scopes(&row.call) {
            // The epoch of the kill is inside, that of the restore is not.
            let spans = by_scope.get(&scope);
            let kill = spans.and_then(|spans| spans.around(row.epoch.saturating_add(1), row.epoch));
            let Some((id, kill)) = kill.and_then(|place| kills.get(place)) else { continue };
            let what = format!(
                "decision {} allows {}/{} at epoch {}; {scope} was killed from epoch {} on ({id}, \
                 until {:?})",
                row.id, row.call.tenant, row.call.tool, row.epoch, kill.from, kill.until,
            );
            let seen = super::decisions::places(history, row.id);
            violations.push(Violation::new("allow-in-killed-epoch", what, &seen));
        }
    }
}

/// How many kills were seen to deny a check while they were surely in force.
pub(super) fn effective(history: &History) -> usize {
    let mut by_scope = HashMap::<_, Vec<_>>::new();
    for kill in acknowledged(history, &mut Vec::new()) {
        by_scope.entry(kill.scope).or_default().push((kill.from, kill.until, kill.place));
    }
    let by_scope: HashMap<_, _> =
        by_scope.into_iter().map(|(scope, spans)| (scope, Spans::of(spans))).collect();
    let mut effective = HashSet::new();
    for observation in &history.observations {
        let (Some(call), Some(answered)) = (observation.check(), observation.with_status(200))
        else {
            continue;
        };
        if &*answered.code == "killed" {
            let (sent, ended) = (observation.sent, observation.ended);
            let spans = scopes(call).filter_map(|scope| by_scope.get(&scope));
            effective.extend(spans.filter_map(|spans| spans.around(sent, ended)));
        }
    }
    effective.len()
}

//! G4, G1 and G6: what was acknowledged is stored as it was answered, a call has one decision, and
//! nothing is allowed but by a decision.

use std::collections::HashMap;

use sentinel_core::decision::ReasonCode;
use uuid::Uuid;

use super::{History, Violation};
use crate::observation::{Asked, Call};
use crate::rows::Decision;
use crate::world::FORBIDDEN;

/// Where a decision was answered.
pub(super) fn places(history: &History, decision: Uuid) -> Vec<usize> {
    let observations = history.observations.iter().enumerate();
    let of_decision = observations.filter(|(_, each)| {
        each.answer.as_ref().is_ok_and(|answered| answered.decision == Some(decision))
    });
    of_decision.map(|(place, _)| place).take(10).collect()
}

/// Every decision that was answered is in the database, as it was answered.
pub(super) fn acknowledged(history: &History, violations: &mut Vec<Violation>) {
    for (place, observation) in history.observations.iter().enumerate() {
        let (Some(call), Ok(answered)) = (observation.check(), &observation.answer) else {
            continue;
        };
        let Some(id) = answered.decision else {
            if answered.status == 200 {
                let what = "a check was answered without a decision";
                violations.push(Violation::new("lost-decision", what, &[place]));
            }
            continue;
        };
        let Some(row) = history.rows.decisions.get(&id) else {
            let what = format!(
                "decision {id} was answered (allow: {:?}) and is not in the database",
                answered.allow
            );
            violations.push(Violation::new("lost-decision", what, &[place]));
            continue;
        };
        let same = answered.allow == Some(row.allow)
            && *answered.code == *row.code
            && same_call(call, row);
        if !same {
            let what = format!("decision {id} was answered otherwise than it is stored: {row:?}");
            violations.push(Violation::new("changed-decision", what, &[place]));
        }
    }
}

/// A repeated call that is denied by now has a decision of its own, without the identifier.
fn same_call(call: &Call, row: &Decision) -> bool {
    let same_id = call.call_id == row.call.call_id || (row.call.call_id.is_none() && !row.allow);
    let stored = &row.call;
    same_id && (call.tenant, call.tool, call.agent) == (stored.tenant, stored.tool, stored.agent)
}

fn code(row: &Decision) -> Option<ReasonCode> {
    row.code.parse().ok()
}

/// One call identifier leads to one decision.
pub(super) fn idempotent(history: &History, violations: &mut Vec<Violation>) {
    let mut claims = HashMap::<_, Vec<&Decision>>::new();
    for row in history.rows.decisions.values() {
        let passing = code(row).is_some_and(ReasonCode::is_transient);
        if let (Some(call_id), false) = (&row.call.call_id, passing) {
            claims
                .entry((&row.principal, row.call.agent, row.tool_id, call_id))
                .or_default()
                .push(row);
        }
    }
    for ((.., call_id), rows) in claims.iter().filter(|(_, rows)| rows.len() > 1) {
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let seen: Vec<_> = ids.iter().flat_map(|id| places(history, *id)).collect();
        let what = format!("call {call_id} was decided {} times: {ids:?}", rows.len());
        violations.push(Violation::new("call-decided-twice", what, &seen));
    }
    let mut allowed = HashMap::<_, (Uuid, usize)>::new();
    for (place, observation) in history.observations.iter().enumerate() {
        let Some((call, answered)) = observation.allowed() else { continue };
        let (Some(call_id), Some(id)) = (&call.call_id, answered.decision) else { continue };
        let first = *allowed.entry((call.tool, call.agent, call_id)).or_insert((id, place));
        if first.0 != id {
            let what = format!("call {call_id} was allowed by {} and by {id}", first.0);
            violations.push(Violation::new("call-decided-twice", what, &[first.1, place]));
        }
    }
}

/// Only a recorded allow is reported as an allow.
pub(super) fn never_by_an_error(history: &History, violations: &mut Vec<Violation>) {
    for (place, observation) in history.observations.iter().enumerate() {
        let Some((call, answered)) = observation.allowed() else { continue };
        if answered.status != 200 || &*answered.code != "allowed" {
            let what = format!("an answer {} `{}` says allow", answered.status, answered.code);
            violations.push(Violation::new("allowed-by-an-error", what, &[place]));
        }
        if call.tool == FORBIDDEN {
            let what = "policy allows this tool to no caller";
            violations.push(Violation::new("allowed-against-policy", what, &[place]));
        }
    }
    for row in history.rows.decisions.values().filter(|row| row.allow) {
        if row.code != "allowed" || row.call.tool == FORBIDDEN {
            let what = format!("the database allows what it must not: {row:?}");
            violations.push(Violation::new("allowed-against-policy", what, &[]));
        }
    }
}

/// Every manifest that was answered is in the database, as it was answered.
pub(super) fn manifests(history: &History, violations: &mut Vec<Violation>) {
    for (place, observation) in history.observations.iter().enumerate() {
        let Asked::Sign { tool, decision, .. } = &observation.asked else { continue };
        let Some(answered) = observation.with_status(201) else { continue };
        let row = answered
            .manifest
            .as_ref()
            .map(|signed| (signed, history.rows.manifests.get(&signed.id)));
        let Some((signed, Some(row))) = row else {
            let what = "a manifest was answered and is not in the database";
            violations.push(Violation::new("lost-manifest", what, &[place]));
            continue;
        };
        let same = row.tool == *tool
            && row.decision == Some(*decision)
            && signed.payload_hash == format!("sha256:{}", hex::encode(&row.digest))
            && !signed.signature.is_empty()
            && row.bundle.contains(&signed.signature);
        if !same {
            let what = format!("manifest {} was answered otherwise than it is stored", signed.id);
            violations.push(Violation::new("changed-manifest", what, &[place]));
        }
    }
}

/// A permit is redeemed once at most, and only that of an allow.
pub(super) fn permits(history: &History, violations: &mut Vec<Violation>) {
    let mut redeemed = HashMap::new();
    for (place, observation) in history.observations.iter().enumerate() {
        let Asked::Redeem { decision } = observation.asked else { continue };
        if observation.with_status(200).is_none() {
            continue;
        }
        if let Some(first) = redeemed.insert(decision, place) {
            let what = format!("the permit of {decision} was redeemed twice");
            violations.push(Violation::new("permit-redeemed-twice", what, &[first, place]));
        }
        if !history.rows.decisions.get(&decision).is_some_and(|row| row.allow) {
            let what = format!("a permit was redeemed, and no decision {decision} allows");
            violations.push(Violation::new("allowed-by-an-error", what, &[place]));
        }
    }
}

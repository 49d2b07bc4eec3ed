//! A planned change loses no request: each is answered when it is sent for the first time, and the
//! answer is never that something does not work.

use super::{History, Violation};
use crate::observation::{Answered, Observation};

/// What a check may be denied for by a fleet that works.
const SOUND_DENIES: [&str; 4] = ["policy_denied", "quota_exceeded", "killed", "call_id_spent"];

/// Every request that did not get what it was sent for. Not for runs with faults, in which requests
/// are meant to fail.
pub(crate) fn lost(history: &History) -> Vec<Violation> {
    let observations = history.observations.iter().enumerate();
    let lost = observations.filter_map(|(place, each)| {
        let what = format!("a request was lost: {}", why(each)?);
        Some(Violation::new("lost-request", what, &[place]))
    });
    lost.collect()
}

/// Every answer that is not what the interface promises, in any run.
pub(crate) fn malformed(history: &History, violations: &mut Vec<Violation>) {
    for (place, each) in history.observations.iter().enumerate() {
        if each.answer.as_ref().is_ok_and(|answered| &*answered.code == Answered::MALFORMED) {
            let what = "an answer is not what the interface promises";
            violations.push(Violation::new("malformed-answer", what, &[place]));
        }
    }
}

fn why(observation: &Observation) -> Option<String> {
    match &observation.answer {
        Err(error) => Some((*error).to_owned()),
        Ok(answered) if answered.status >= 500 || answered.status == 429 => {
            Some(format!("{} `{}`", answered.status, answered.code))
        }
        Ok(answered) if answered.allow == Some(false) => {
            let sound = SOUND_DENIES.contains(&&*answered.code);
            (!sound).then(|| format!("denied as `{}`", answered.code))
        }
        Ok(_) => None,
    }
}

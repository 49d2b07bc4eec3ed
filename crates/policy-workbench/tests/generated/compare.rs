//! One policy, its inputs, and both engines.

use crate::answer::Answer;
use crate::ours::Ours;
use crate::text::{Input, Policy};

/// Why a pair of policy and input shows a fault of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    AllowedWhereOpaDenies,
    OtherAnswer,
    /// OPA's compiler does not take the policy, and here it allows something.
    AllowedWhereOpaRefuses,
}

#[derive(Debug, Clone)]
pub(crate) struct Difference {
    pub(crate) fault: Fault,
    pub(crate) policy: Policy,
    pub(crate) input: Input,
    pub(crate) rule: String,
    pub(crate) ours: Answer,
    pub(crate) theirs: Answer,
}

/// How many pairs came to what.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pairs {
    pub(crate) all: usize,
    pub(crate) flawed: usize,
    pub(crate) allowed_by_opa: usize,
    pub(crate) allowed: usize,
    /// That are a call and were decided as one.
    pub(crate) decided: usize,
    /// An error here, a value in OPA: a deny, as any error is.
    pub(crate) refused: usize,
    pub(crate) failed_in_both: usize,
    pub(crate) messages: Vec<String>,
}

impl Pairs {
    pub(crate) fn add(&mut self, other: &Self) {
        self.all += other.all;
        self.flawed += other.flawed;
        self.allowed_by_opa += other.allowed_by_opa;
        self.allowed += other.allowed;
        self.decided += other.decided;
        self.refused += other.refused;
        self.failed_in_both += other.failed_in_both;
        self.messages.extend(other.messages.iter().cloned());
    }
}

/// Asks both about each input; `ask` is OPA.
pub(crate) fn compare(
    policy: &Policy,
    mut ask: impl FnMut(&str, &Input) -> Answer,
) -> (Pairs, Vec<Difference>) {
    let (mut pairs, mut differences) = (Pairs::default(), Vec::new());
    let mut ours = Ours::new(policy);
    for input in &policy.inputs {
        pairs.all += 1;
        pairs.flawed += usize::from(input.flawed);
        let mut allowed_by_opa = false;
        for rule in policy.deciding() {
            let theirs = ask(rule, input);
            let own = match &mut ours {
                Ok(ours) => ours.ask(rule, &input.document),
                Err(error) => Answer::Failed(error.clone()),
            };
            if matches!(*rule, "allow" | "decision") {
                allowed_by_opa = theirs.allows();
            }
            let fault = judge(rule, &own, &theirs, &mut pairs);
            differences.extend(fault.map(|fault| Difference {
                fault,
                policy: policy.clone(),
                input: input.clone(),
                rule: (*rule).to_owned(),
                ours: own,
                theirs,
            }));
        }
        pairs.allowed_by_opa += usize::from(allowed_by_opa);
        let decided = ours.as_ref().ok().and_then(|ours| ours.decide(&input.document));
        pairs.decided += usize::from(decided.is_some());
        pairs.allowed += usize::from(decided == Some(true));
        if decided == Some(true) && !allowed_by_opa {
            differences.push(Difference {
                fault: Fault::AllowedWhereOpaDenies,
                policy: policy.clone(),
                input: input.clone(),
                rule: "the decision of the server".to_owned(),
                ours: Answer::Value(true.into()),
                theirs: Answer::Value(false.into()),
            });
        }
    }
    (pairs, differences)
}

fn judge(rule: &str, ours: &Answer, theirs: &Answer, pairs: &mut Pairs) -> Option<Fault> {
    if matches!(rule, "allow" | "decision") && ours.allows() && !theirs.allows() {
        return Some(Fault::AllowedWhereOpaDenies);
    }
    match (ours, theirs) {
        (Answer::Failed(_), Answer::Failed(_)) => {
            pairs.failed_in_both += 1;
            None
        }
        (Answer::Failed(error), _) => {
            pairs.refused += 1;
            pairs.messages.push(short(error));
            None
        }
        _ => (!ours.is_same(theirs)).then_some(Fault::OtherAnswer),
    }
}

/// What an error is about, without its place.
fn short(error: &str) -> String {
    let last = error.rsplit("error: ").next().unwrap_or(error);
    last.chars().take(60).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

//! The smallest policy and input that still show a difference.

use serde_json::Value;

use crate::answer::Answer;
use crate::compare::{Difference, compare};
use crate::text::{Input, Policy};
use crate::theirs;
use crate::vetting::{Verdict, Vetting};

/// Of OPA's process.
const MOST_STEPS: usize = 600;

struct Shrinker<'a> {
    best: Difference,
    vetting: &'a mut Vetting,
    steps: usize,
}

/// Leaves out what is not needed.
pub(crate) fn shrink(difference: &Difference, vetting: &mut Vetting) -> Difference {
    let mut shrinker = Shrinker { best: difference.clone(), vetting, steps: 0 };
    loop {
        let before = shrinker.best.policy.listing().len();
        shrinker.rules();
        shrinker.statements();
        if shrinker.best.policy.listing().len() == before {
            break;
        }
    }
    shrinker.values();
    shrinker.best
}

impl Shrinker<'_> {
    /// Takes a candidate over when it shows the same fault.
    fn try_with(&mut self, policy: Policy, document: Value) -> bool {
        if self.steps >= MOST_STEPS {
            return false;
        }
        self.steps += 1;
        let input = Input { document, flawed: self.best.input.flawed };
        let mut rules = policy.files.iter().flat_map(|file| &file.rules);
        let seed_shape = !rules.any(|rule| rule.name == "decision");
        let policy = Policy { inputs: vec![input], seed_shape, ..policy };
        if self.vetting.vet(&policy.files()) != Verdict::Admitted {
            return false;
        }
        let (_, found) =
            compare(&policy, |rule, input| theirs::one(&policy, rule, &input.document));
        // A rule that OPA refuses to compile is another fault.
        let same = |found: &Difference| {
            let refused = matches!(&found.theirs, Answer::Failed(error) if error.contains("rego_"));
            let before = matches!(self.best.theirs, Answer::Failed(_));
            found.fault == self.best.fault && (before || !refused)
        };
        match found.into_iter().find(same) {
            Some(found) => {
                self.best = found;
                true
            }
            None => false,
        }
    }

    fn rules(&mut self) {
        for file in (0..self.best.policy.files.len()).rev() {
            for rule in (0..self.best.policy.files[file].rules.len()).rev() {
                let mut policy = self.best.policy.clone();
                policy.files[file].rules.remove(rule);
                if policy.files[file].rules.is_empty() {
                    policy.files.remove(file);
                }
                let gone = policy.files.len() < self.best.policy.files.len();
                if self.try_with(policy, self.best.input.document.clone()) && gone {
                    break;
                }
            }
        }
    }

    fn statements(&mut self) {
        for file in 0..self.best.policy.files.len() {
            for rule in 0..self.best.policy.files[file].rules.len() {
                for body in (0..self.best.policy.files[file].rules[rule].bodies.len()).rev() {
                    self.body(file, rule, body);
                }
            }
        }
    }

    fn body(&mut self, file: usize, rule: usize, body: usize) {
        if body > 0 {
            let mut policy = self.best.policy.clone();
            policy.files[file].rules[rule].bodies.remove(body);
            if self.try_with(policy, self.best.input.document.clone()) {
                return;
            }
        }
        let count = self.best.policy.files[file].rules[rule].bodies[body].statements.len();
        for statement in (0..count).rev() {
            let mut policy = self.best.policy.clone();
            policy.files[file].rules[rule].bodies[body].statements.remove(statement);
            self.try_with(policy, self.best.input.document.clone());
        }
    }

    /// Leaves out fields of the input and places of the data.
    fn values(&mut self) {
        for place in places(&self.best.input.document) {
            let mut document = self.best.input.document.clone();
            if remove(&mut document, &place) {
                self.try_with(self.best.policy.clone(), document);
            }
        }
        for place in places(&self.best.policy.data) {
            let mut policy = self.best.policy.clone();
            if remove(&mut policy.data, &place) {
                self.try_with(policy, self.best.input.document.clone());
            }
        }
    }
}

/// Fields, and fields of fields, the outer ones first.
fn places(value: &Value) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (name, inner) in value.as_object().into_iter().flatten() {
        found.push(vec![name.clone()]);
        for inner in inner.as_object().into_iter().flatten().map(|(inner, _)| inner) {
            found.push(vec![name.clone(), inner.clone()]);
        }
    }
    found
}

fn remove(value: &mut Value, place: &[String]) -> bool {
    let Some((last, path)) = place.split_last() else { return false };
    let mut at = value;
    for name in path {
        match at.get_mut(name) {
            Some(inner) => at = inner,
            None => return false,
        }
    }
    at.as_object_mut().is_some_and(|fields| fields.remove(last).is_some())
}

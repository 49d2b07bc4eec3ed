//! Where two results differ, in a few lines: the document notes what each rule came to.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::answer::{Answer, same};
use crate::compare::Difference;

/// The rules whose values differ, with these; empty when the difference is elsewhere.
pub(crate) fn brief(difference: &Difference) -> Vec<String> {
    let (ours, theirs) = (notes(&difference.ours), notes(&difference.theirs));
    let labels = ours.keys().chain(theirs.keys()).collect::<std::collections::BTreeSet<_>>();
    let differs = |label: &&&String| match (ours.get(**label), theirs.get(**label)) {
        (Some(one), Some(other)) => !same(one, other),
        _ => true,
    };
    let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    labels
        .iter()
        .filter(differs)
        .map(|label| {
            let rules = difference.policy.rules_of_label(label);
            format!(
                "{rules}    here {}\n    OPA  {}",
                show(ours.get(*label)),
                show(theirs.get(*label))
            )
        })
        .collect()
}

fn notes(answer: &Answer) -> BTreeMap<String, Value> {
    let Answer::Value(document) = answer else { return BTreeMap::new() };
    match document.pointer("/obligations/0/seen") {
        Some(Value::Object(notes)) => {
            notes.iter().map(|(label, value)| (label.clone(), value.clone())).collect()
        }
        Some(Value::Array(notes)) => notes
            .iter()
            .filter_map(|note| Some((note[0].as_str()?.to_owned(), note[1].clone())))
            .collect(),
        _ => BTreeMap::new(),
    }
}

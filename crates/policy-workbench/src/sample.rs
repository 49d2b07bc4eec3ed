//! Inputs to try a policy on, where the user gives none: those of its tests, and the vetter's.

use std::collections::BTreeSet;

use sentinel_policy_analysis::interpreter::{Include, build};
use sentinel_policy_analysis::vet::{PROBES, Vetted, check_text};
use serde_json::Value;

use crate::error::WorkbenchError;
use crate::eval::TIME_LIMIT;
use crate::explain::ask;
use crate::syntax::{Module, modules};

/// The inputs that the policy's tests state (`with input as …`), as far as they can be found
/// without running the test, and a few that every policy may meet. Each once.
///
/// # Errors
/// When policy or tests cannot be parsed, or recurse.
pub fn sample_inputs(policy: &Vetted) -> Result<Vec<Value>, WorkbenchError> {
    let engine = build(policy.source(), Include::PolicyAndTests, TIME_LIMIT)?.engine;
    check_text(&engine)?;
    let mut found = Vec::new();
    for module in modules(&engine)? {
        for input in &module.inputs {
            // A variable of the test means nothing outside it.
            if input.references.iter().all(|reference| is_global(&module, reference)) {
                found.extend(ask(&engine, &module, &input.text, &[]).unwrap_or_default());
            }
        }
    }
    found.extend(PROBES.iter().filter_map(|probe| serde_json::from_str(probe).ok()));
    let mut known = BTreeSet::new();
    found.retain(|input| known.insert(input.to_string()));
    Ok(found)
}

/// Whether a reference is to a rule without arguments, to an import, or to data.
fn is_global(module: &Module, reference: &str) -> bool {
    let root = reference.split(['.', '[']).next().unwrap_or(reference);
    let imports =
        |import: &String| import.strip_suffix(root).is_some_and(|rest| rest.ends_with(['.', ' ']));
    root == "data"
        || module.rules.iter().any(|rule| rule.name == root)
        || module.imports.iter().any(imports)
}

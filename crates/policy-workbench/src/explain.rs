//! Explaining a decision: which rules had which values, and which conditions decided.
//!
//! The interpreter gives no trace, so it is asked again: for each rule, whether its first condition
//! holds, the first two, the first three, and what the references in them are. Each question is a
//! small module of its own in the rule's package, made of the policy's own text, so a question that
//! makes no sense on its own spoils no other.

use regorus::Engine;
use sentinel_policy_analysis::Vetted;
use sentinel_policy_analysis::interpreter::{Include, build, guarded, json_value};
use serde::Serialize;
use serde_json::Value;

use crate::error::{WorkbenchError, interpreter};
use crate::eval::{self, TIME_LIMIT};
use crate::once;
use crate::syntax::{Body, Condition, Module, Rule, modules};

/// Longer values are not repeated. Bytes of JSON.
const MAX_VALUE: usize = 1024;
/// Name of the rule that asks; no policy has a reason to use it.
const QUESTION: &str = "sentinel_explains";

/// Why a decision is what it is.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// What the rule that was asked for came to; `None` when undefined.
    pub result: Option<Value>,
    /// Why it could not be evaluated.
    pub error: Option<String>,
    /// Every rule without arguments, in the order of files and lines.
    pub rules: Vec<ExplainedRule>,
}

/// One definition of a rule.
#[derive(Debug, Serialize)]
pub struct ExplainedRule {
    /// `data.sentinel.policy.allow`.
    pub rule: String,
    pub file: String,
    pub line: u32,
    /// Of the rule, all of its definitions together; `None` when undefined.
    pub value: Option<Value>,
    pub error: Option<String>,
    /// The body, and those of its `else`.
    pub bodies: Vec<ExplainedBody>,
}

#[derive(Debug, Serialize)]
pub struct ExplainedBody {
    /// `None` when an earlier body held, so that this one was not asked.
    pub holds: Option<bool>,
    pub conditions: Vec<ExplainedCondition>,
}

#[derive(Debug, Serialize)]
pub struct ExplainedCondition {
    pub line: u32,
    pub text: String,
    /// `None` when it was not reached, or cannot be asked on its own.
    pub holds: Option<bool>,
    pub error: Option<String>,
    pub values: Vec<Seen>,
}

/// What a reference in a condition was.
#[derive(Debug, Serialize)]
pub struct Seen {
    pub reference: String,
    /// `None` when undefined. What is too long is a text that says so.
    pub value: Option<Value>,
}

/// Evaluates `rule` on `input`, and reports every rule of the policy.
///
/// # Errors
/// When the policy cannot be built, or does not come to an end.
pub fn explain(policy: &Vetted, rule: &str, input: &Value) -> Result<Explanation, WorkbenchError> {
    let (policy, rule, input) = (policy.clone(), rule.to_owned(), input.clone());
    once::within(eval::HARD_LIMIT, move || explain_here(&policy, &rule, &input))
}

fn explain_here(policy: &Vetted, rule: &str, input: &Value) -> Result<Explanation, WorkbenchError> {
    let source = policy.source();
    let mut engine = build(source, Include::Policy, TIME_LIMIT)?.engine;
    let modules = modules(&engine)?;
    engine.set_input(json_value(input));
    let asked = value_of(&engine, rule);
    let mut rules = Vec::new();
    for module in &modules {
        for rule in &module.rules {
            rules.push(explained(&engine, module, rule));
        }
    }
    let (result, error) =
        asked.map_or_else(|error| (None, Some(error.to_string())), |value| (value, None));
    Ok(Explanation { result, error, rules })
}

/// The first condition of a rule that does not hold: where a test failed.
pub(crate) fn failing(engine: &Engine, modules: &[Module], file: &str, line: u32) -> Option<u32> {
    let module = modules.iter().find(|module| module.file == file)?;
    let rule = module.rules.iter().find(|rule| rule.line == line)?;
    let body = rule.bodies.last()?;
    let conditions = explained_conditions(engine, module, body);
    conditions.into_iter().find(|condition| condition.holds != Some(true)).map(|found| found.line)
}

fn value_of(engine: &Engine, rule: &str) -> Result<Option<Value>, WorkbenchError> {
    let mut engine = engine.clone();
    let results = guarded(|| engine.eval_query(rule.to_owned(), false)).map_err(interpreter)?;
    eval::first(&results)
}

fn explained(engine: &Engine, module: &Module, rule: &Rule) -> ExplainedRule {
    let path = format!("{}.{}", module.package, rule.name);
    let (value, error) = match value_of(engine, &path) {
        Ok(value) => (value.map(shortened), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let mut held = false;
    let mut bodies = Vec::new();
    for body in &rule.bodies {
        if held && body.is_else {
            bodies.push(ExplainedBody { holds: None, conditions: Vec::new() });
            continue;
        }
        let conditions = explained_conditions(engine, module, body);
        let holds = conditions.iter().all(|condition| condition.holds == Some(true));
        held = holds;
        bodies.push(ExplainedBody { holds: Some(holds), conditions });
    }
    ExplainedRule { rule: path, file: module.file.clone(), line: rule.line, value, error, bodies }
}

fn explained_conditions(engine: &Engine, module: &Module, body: &Body) -> Vec<ExplainedCondition> {
    let mut found: Vec<ExplainedCondition> = Vec::new();
    for (index, condition) in body.conditions.iter().enumerate() {
        let reached = found.iter().all(|earlier| earlier.holds == Some(true));
        let before = body.conditions.get(..index).unwrap_or_default();
        let with = body.conditions.get(..=index).unwrap_or_default();
        let (holds, error) = match reached.then(|| ask(engine, module, "true", with)) {
            None => (None, None),
            Some(Ok(values)) => (Some(!values.is_empty()), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        let bound = if holds == Some(true) { with } else { before };
        let values = if reached { seen(engine, module, condition, bound) } else { Vec::new() };
        let text = condition.text.clone();
        found.push(ExplainedCondition { line: condition.line, text, holds, error, values });
    }
    found
}

/// The references of a condition, with their values once the conditions before it have held.
fn seen(engine: &Engine, module: &Module, at: &Condition, bound: &[Condition]) -> Vec<Seen> {
    let mut found = Vec::new();
    for reference in &at.references {
        // What cannot be asked, such as a variable that the condition itself would have bound, is
        // left out.
        let Ok(values) = ask(engine, module, reference, bound) else { continue };
        let mut values = values.into_iter();
        let value = match (values.next(), values.len()) {
            (Some(first), more) if more > 0 => Some(format!("{first} and {more} more").into()),
            (first, _) => first.map(shortened),
        };
        found.push(Seen { reference: reference.clone(), value });
    }
    found
}

/// The values that `term` takes where `conditions` hold.
pub(crate) fn ask(
    engine: &Engine,
    module: &Module,
    term: &str,
    conditions: &[Condition],
) -> Result<Vec<Value>, WorkbenchError> {
    let package = module.package.strip_prefix("data.").unwrap_or(&module.package);
    let mut text = format!("package {package}\n");
    for import in &module.imports {
        text.push_str(import);
        text.push('\n');
    }
    text.push_str(&format!("{QUESTION} contains sentinel_term if {{\n"));
    for condition in conditions {
        text.push_str(&condition.text);
        text.push('\n');
    }
    text.push_str(&format!("sentinel_term := {term}\n}}\n"));
    let mut engine = engine.clone();
    engine.set_rego_v0(false);
    engine.add_policy("explain.rego".to_owned(), text).map_err(interpreter)?;
    let path = format!("{}.{QUESTION}", module.package);
    let value = guarded(|| engine.eval_rule(path)).map_err(interpreter)?;
    match serde_json::to_value(value)? {
        Value::Array(values) => Ok(values),
        _ => Ok(Vec::new()),
    }
}

fn shortened(value: Value) -> Value {
    let length = value.to_string().len();
    if length > MAX_VALUE { format!("({length} bytes)").into() } else { value }
}

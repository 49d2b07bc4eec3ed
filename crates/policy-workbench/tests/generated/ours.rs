//! What the embedded engine says: of any input by evaluating the rules that decide, and of an input
//! that can be a call by deciding it as a server does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sentinel_policy::{EmbeddedConfig, EmbeddedEngine};
use sentinel_policy_analysis::{InputDocument, PolicySource, Vetted};
use sentinel_policy_workbench::Evaluator;
use serde_json::Value;

use crate::answer::Answer;
use crate::support::{Call, call, now};
use crate::text::{PACKAGE, Policy};

pub(crate) struct Ours {
    evaluator: Evaluator,
    engine: EmbeddedEngine,
}

impl Ours {
    /// Of a policy that vetting has admitted.
    pub(crate) fn new(policy: &Policy) -> Result<Self, String> {
        let source = PolicySource::from_files(policy.files()).map_err(|error| error.to_string())?;
        let vetted = Vetted::trusted(source);
        let evaluator = Evaluator::new(&vetted).map_err(|error| error.to_string())?;
        let engine = EmbeddedEngine::new(EmbeddedConfig::default());
        engine.install(&vetted, now()).map_err(|error| error.to_string())?;
        Ok(Self { evaluator, engine })
    }

    pub(crate) fn ask(&mut self, rule: &str, input: &Value) -> Answer {
        let query = format!("data.{PACKAGE}.{rule}");
        let evaluator = &mut self.evaluator;
        match catch_unwind(AssertUnwindSafe(|| evaluator.eval(&query, input))) {
            Ok(Ok(evaluation)) => evaluation.result.map_or(Answer::Undefined, Answer::Value),
            Ok(Err(error)) => Answer::Failed(error.to_string()),
            Err(_) => Answer::Failed("the interpreter panicked".to_owned()),
        }
    }

    /// Whether the call is allowed; `None` when the input cannot be that of a call.
    pub(crate) fn decide(&self, input: &Value) -> Option<bool> {
        let call = as_call(input)?;
        Some(call.decide(&self.engine).is_ok_and(|decision| decision.allow))
    }
}

/// The call whose input this is.
fn as_call(input: &Value) -> Option<Call> {
    let text = |name: &str| input.get(name).and_then(Value::as_str);
    let usage = input.get("usage").and_then(Value::as_u64)?;
    let mut call = call(text("tenant")?, text("tool")?, None, usage);
    call.action = text("action")?.parse().ok()?;
    call.purpose = text("purpose").map(str::parse).transpose().ok()?;
    call.agent = text("agent").map(str::parse).transpose().ok()?;
    call.context = input.get("context")?.as_object()?.clone();
    call.arguments = input.get("arguments")?.as_object()?.clone();
    let document = serde_json::to_value(InputDocument::from(&call.input())).ok()?;
    (document == *input).then_some(call)
}

/// An input with the fields that the server adds: who asks, the tool's record and the time.
pub(crate) fn completed(mut input: Value) -> Value {
    let text = |name: &str| input[name].as_str().unwrap().to_owned();
    let call = call(&text("tenant"), &text("tool"), None, 0);
    let document = serde_json::to_value(InputDocument::from(&call.input())).unwrap();
    for name in ["principal", "tool_record", "time"] {
        input[name] = document[name].clone();
    }
    input
}

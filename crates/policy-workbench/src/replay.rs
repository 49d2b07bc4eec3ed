//! Replaying recorded decisions against a candidate: what it would have decided otherwise.
//!
//! A record does not keep everything that policy sees: of the arguments only a hash, of the tool
//! and the principal only their names. The usage is worked out from the quota where that is
//! recorded, and is what the caller reported where not. Where the candidate's text reads what a
//! record does not keep, the record is counted apart and not compared, since the result would mean
//! nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use regorus::Engine;
use sentinel_core::check::Arguments;
use sentinel_core::decision::ReasonCode;
use sentinel_policy_analysis::interpreter::{
    Include, RuleValues, Shape, build, json_value, prepare,
};
use sentinel_policy_analysis::reads::InputFields;
use sentinel_policy_analysis::{AnalysisError, Vetted};
use serde_json::{Map, Value};

use crate::error::WorkbenchError;
use crate::eval::TIME_LIMIT;

/// What a candidate says to a recorded decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    Same,
    NewlyAllowed {
        before: Vec<String>,
    },
    NewlyDenied {
        after: Vec<String>,
    },
    /// Denied before and after, for other reasons.
    OtherReasons {
        before: Vec<String>,
        after: Vec<String>,
    },
    /// Policy was not what decided: a kill, a rate limit, an unknown tool.
    NotByPolicy,
    /// The candidate reads what is not recorded: `arguments`, `tool_record`, `principal`.
    NotFaithful,
    /// No record of a decision.
    Unreadable,
}

/// A candidate that is asked again and again.
pub struct Replayer {
    engine: Engine,
    prepared: Engine,
    shape: Shape,
    revision: Arc<str>,
    /// Fields of `input` that the candidate reads and no record keeps whole.
    reads: BTreeSet<String>,
    reads_arguments: bool,
    /// Hash of no arguments at all, which are known although they are not recorded.
    no_arguments: String,
}

impl std::fmt::Debug for Replayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replayer").field("revision", &self.revision).finish_non_exhaustive()
    }
}

impl Replayer {
    /// # Errors
    /// When the candidate cannot be built, or decides nothing.
    pub fn new(candidate: &Vetted) -> Result<Self, WorkbenchError> {
        let source = candidate.source();
        let built = build(source, Include::Policy, TIME_LIMIT)?;
        let shape = built.shape.ok_or(AnalysisError::NoDecision)?;
        let mut engine = built.engine;
        prepare(&mut engine).map_err(AnalysisError::from)?;
        let read = InputFields::of(&engine)?;
        let mut reads = BTreeSet::new();
        for field in ["principal", "tool_record"] {
            if read.may_have(field) {
                reads.insert(field.to_owned());
            }
        }
        Ok(Self {
            prepared: engine.clone(),
            engine,
            shape,
            revision: Arc::clone(source.revision()),
            reads,
            reads_arguments: read.may_have("arguments"),
            no_arguments: Arguments::new(Map::new()).hash().to_string(),
        })
    }

    /// What the candidate reads and no record keeps.
    #[must_use]
    pub fn reads_unrecorded(&self) -> Vec<&str> {
        let arguments = self.reads_arguments.then_some("arguments");
        arguments.into_iter().chain(self.reads.iter().map(String::as_str)).collect()
    }

    /// Asks the candidate for what was recorded, in the form of `GET /v1/decisions/export`.
    pub fn replay(&mut self, record: &Value) -> Replayed {
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        let code = text("code").and_then(|code| code.parse::<ReasonCode>().ok());
        let (Some(code), Some(_), Some(_)) = (code, text("tenant"), text("tool")) else {
            return Replayed::Unreadable;
        };
        if code.is_control() || code.is_transient() {
            return Replayed::NotByPolicy;
        }
        let without_arguments = text("argument_hash") == Some(self.no_arguments.as_str());
        if !self.reads.is_empty() || (self.reads_arguments && !without_arguments) {
            return Replayed::NotFaithful;
        }
        let allowed = code == ReasonCode::Allowed;
        let before = if allowed { Vec::new() } else { recorded_codes(record, code) };
        match (allowed, self.decide(record, code)) {
            (true, Ok(())) => Replayed::Same,
            (true, Err(after)) => Replayed::NewlyDenied { after },
            (false, Ok(())) => Replayed::NewlyAllowed { before },
            (false, Err(after)) if before == after => Replayed::Same,
            (false, Err(after)) => Replayed::OtherReasons { before, after },
        }
    }

    /// Whether the candidate allows, or the codes of its reasons.
    fn decide(&mut self, record: &Value, code: ReasonCode) -> Result<(), Vec<String>> {
        let (input, usage) = input(record);
        self.engine.set_input(json_value(&input));
        let values = RuleValues::evaluate(&mut self.engine, self.shape);
        drop(self.engine.take_prints());
        if values.is_err() {
            // After an error the interpreter's state is unknown.
            self.engine = self.prepared.clone();
        }
        let decision = values.and_then(|values| values.decision(usage, &self.revision));
        let decision = decision
            .map_err(|error| vec![ReasonCode::of_policy_error(&error).as_str().to_owned()])?;
        if !decision.allow {
            let codes: BTreeSet<_> =
                decision.reasons.into_iter().map(|reason| reason.code).collect();
            return Err(if codes.is_empty() {
                vec![ReasonCode::PolicyDenied.as_str().to_owned()]
            } else {
                codes.into_iter().collect()
            });
        }
        // The exact count was taken at the commit; the usage that policy saw may be lower.
        let recorded = record.pointer("/quota/limit").and_then(Value::as_u64);
        let full = decision.quota.is_some_and(|quota| {
            usage >= quota.limit
                || (code == ReasonCode::QuotaExceeded
                    && recorded.is_some_and(|recorded| quota.limit <= recorded))
        });
        if full { Err(vec![ReasonCode::QuotaExceeded.as_str().to_owned()]) } else { Ok(()) }
    }
}

/// Codes of the recorded reasons, each once and in order.
fn recorded_codes(record: &Value, code: ReasonCode) -> Vec<String> {
    let reasons = record.get("reasons").and_then(Value::as_array);
    let codes: BTreeSet<String> = reasons
        .into_iter()
        .flatten()
        .filter_map(|reason| reason.get("code")?.as_str().map(str::to_owned))
        .collect();
    if codes.is_empty() { vec![code.as_str().to_owned()] } else { codes.into_iter().collect() }
}

/// `input` of a recorded decision, as far as it is recorded; `None` when it is not such a record.
#[must_use]
pub fn recorded_input(record: &Value) -> Option<Value> {
    let is_text = |name: &str| record.get(name).is_some_and(Value::is_string);
    ["tenant", "tool", "code"].into_iter().all(is_text).then(|| input(record).0)
}

/// `input` as far as it is recorded, and the usage.
fn input(record: &Value) -> (Value, u64) {
    let metadata = |name: &str| record.get("event_metadata")?.get(name);
    let reported = metadata("usage").and_then(Value::as_u64).unwrap_or(0);
    let usage = counted(record).unwrap_or(0).max(reported);
    let mut input = Map::new();
    for name in ["tenant", "tool", "action", "purpose", "agent"] {
        // What is absent is recorded as `null`, and policy never sees a `null`.
        if let Some(Value::String(text)) = record.get(name) {
            input.insert(name.to_owned(), text.as_str().into());
        }
    }
    let object = |value: Option<&Value>| match value {
        Some(Value::Object(fields)) => Value::Object(fields.clone()),
        _ => Value::Object(Map::new()),
    };
    input.insert("context".to_owned(), object(metadata("context")));
    input.insert("arguments".to_owned(), object(None));
    input.insert("usage".to_owned(), usage.into());
    if let Some(time) = record.get("created_at") {
        input.insert("time".to_owned(), time.clone());
    }
    (Value::Object(input), usage)
}

/// What was used of the quota before the call, where the record shows it. The server's count is not
/// recorded for itself.
fn counted(record: &Value) -> Option<u64> {
    let limit = record.pointer("/quota/limit")?.as_u64()?;
    let used = limit.checked_sub(record.get("quota_remaining")?.as_u64()?)?;
    let itself = record.get("decision").is_some_and(|decision| decision == "allow");
    Some(used.saturating_sub(u64::from(itself)))
}

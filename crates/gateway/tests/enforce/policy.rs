//! A policy that a test writes.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sentinel_core::policy::{
    DataPlace, PolicyDecision, PolicyEngine, PolicyError, PolicyInput, PolicyReason, PolicyStatus,
};
use sentinel_core::policy_data::DataPath;
use sentinel_core::quota::{Quota, Window};
use serde_json::{Value, json};

/// What a policy says of one input.
pub(crate) type Verdict = Result<(bool, Option<u64>), PolicyError>;
type Rule = Arc<dyn Fn(&PolicyInput<'_>) -> Verdict + Send + Sync>;

/// A policy that a test writes; it remembers what it was asked.
#[derive(Default)]
pub(crate) struct Policy {
    rule: Mutex<Option<Rule>>,
    asked: Mutex<Vec<Value>>,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Policy")
    }
}

impl Policy {
    pub(crate) fn set(&self, rule: impl Fn(&PolicyInput<'_>) -> Verdict + Send + Sync + 'static) {
        *self.rule.lock().unwrap() = Some(Arc::new(rule));
    }

    pub(crate) fn allow_all(&self) {
        self.set(|_| Ok((true, None)));
    }

    pub(crate) fn deny(&self, tool: &'static str) {
        self.set(move |input| Ok((input.tool.to_string() != tool, None)));
    }

    /// What was asked since this was called last.
    pub(crate) fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[async_trait]
impl PolicyEngine for Policy {
    async fn evaluate(&self, input: PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        self.asked.lock().unwrap().push(json!({
            "tool": input.tool.to_string(),
            "action": input.action.to_string(),
            "purpose": input.purpose.map(|purpose| purpose.to_string()),
            "arguments": input.arguments,
            "context": input.context,
            "agent": input.agent.map(|agent| agent.to_string()),
        }));
        let rule = self.rule.lock().unwrap().clone();
        let (allow, limit) = rule.map_or(Ok((true, None)), |rule| rule(&input))?;
        let reason =
            PolicyReason { code: "no".to_owned(), msg: "writes need an approval".to_owned() };
        Ok(PolicyDecision {
            allow,
            reasons: if allow { Vec::new() } else { vec![reason] },
            obligations: Vec::new(),
            quota: limit.map(|limit| Quota { limit, window: Window::DAY }),
            revision: "scripted".into(),
        })
    }

    fn data_place(&self, _: &DataPath) -> DataPlace {
        DataPlace::Free
    }

    fn status(&self) -> PolicyStatus {
        PolicyStatus {
            revision: Some("scripted".to_owned()),
            engine: "scripted",
            loaded_at: None,
            error: None,
            refused_at: None,
            away: false,
            author: None,
            digest: None,
        }
    }
}

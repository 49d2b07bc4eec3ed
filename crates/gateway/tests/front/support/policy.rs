use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use sentinel_core::policy::{
    DataPlace, PolicyDecision, PolicyEngine, PolicyError, PolicyInput, PolicyModule, PolicyReason,
    PolicyStatus,
};
use sentinel_core::policy_data::DataPath;
use sentinel_core::rollout::PolicyState;

/// Allows everything but what is named `forbidden`, and nothing once it is told so.
#[derive(Debug, Default)]
pub(crate) struct FakePolicy(pub(crate) AtomicBool);

#[async_trait]
impl PolicyEngine for FakePolicy {
    async fn evaluate(&self, input: PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        let tool = format!("{input:?}");
        let denied = self.0.load(Ordering::SeqCst) || tool.contains("files__forbidden");
        let reason = || PolicyReason {
            code: "not_for_you".to_owned(),
            msg: "the tool is not for this agent".to_owned(),
        };
        Ok(PolicyDecision {
            allow: !denied,
            reasons: denied.then(reason).into_iter().collect(),
            obligations: Vec::new(),
            quota: None,
            revision: Arc::from("rev-1"),
        })
    }

    fn status(&self) -> PolicyStatus {
        PolicyStatus {
            revision: Some("rev-1".to_owned()),
            engine: "fake",
            loaded_at: Some(jiff::Timestamp::UNIX_EPOCH),
            error: None,
            refused_at: None,
            away: false,
            author: None,
            digest: None,
        }
    }

    fn data_place(&self, _: &DataPath) -> DataPlace {
        DataPlace::Free
    }

    fn modules(&self, _: &PolicyState) -> Vec<PolicyModule> {
        Vec::new()
    }
}

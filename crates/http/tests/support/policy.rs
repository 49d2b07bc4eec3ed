use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sentinel_core::policy::{
    DataPlace, Obligation, PolicyDecision, PolicyEngine, PolicyError, PolicyInput, PolicyModule,
    PolicyReason, PolicyStatus,
};
use sentinel_core::policy_data::DataPath;
use sentinel_core::quota::{Quota, Window};
use sentinel_core::rollout::PolicyState;

/// What the policy decides of every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Allow,
    Deny,
    /// Allows, and has somebody told.
    Alert,
    /// Allows so many a day.
    Quota(u64),
    /// Allows so many in each window of that spelling.
    QuotaPer(u64, &'static str),
    Error,
    /// Nothing is loaded.
    None,
    /// The engine's code panics.
    Panic,
}

#[derive(Debug)]
pub(crate) struct FakePolicy(Mutex<Mode>);

impl FakePolicy {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Mode::Allow)))
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.0.lock().unwrap() = mode;
    }

    fn mode(&self) -> Mode {
        *self.0.lock().unwrap()
    }
}

fn alert() -> Obligation {
    let mut fields = serde_json::Map::new();
    fields.insert("channel".to_owned(), "security".into());
    fields.insert("level".to_owned(), 2.into());
    Obligation { kind: "alert".to_owned(), fields }
}

#[async_trait]
impl PolicyEngine for FakePolicy {
    async fn evaluate(&self, _: PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        let mode = self.mode();
        let reasons = match mode {
            Mode::Error => return Err(PolicyError::Failed("division by zero".to_owned())),
            Mode::None => return Err(PolicyError::NoPolicy),
            Mode::Panic => panic!("secret internals"),
            Mode::Deny => vec![PolicyReason {
                code: "purpose_not_allowed".to_owned(),
                msg: "the purpose is not allowed".to_owned(),
            }],
            Mode::Allow | Mode::Alert | Mode::Quota(_) | Mode::QuotaPer(..) => Vec::new(),
        };
        let quota = match mode {
            Mode::Quota(limit) => Some(Quota { limit, window: Window::DAY }),
            Mode::QuotaPer(limit, window) => Some(Quota { limit, window: window.parse().unwrap() }),
            _ => None,
        };
        let revision = Arc::from("rev-1");
        Ok(PolicyDecision {
            allow: mode != Mode::Deny,
            reasons,
            obligations: if mode == Mode::Alert { vec![alert()] } else { vec![] },
            quota,
            revision,
        })
    }

    fn status(&self) -> PolicyStatus {
        PolicyStatus {
            revision: (self.mode() != Mode::None).then(|| "rev-1".to_owned()),
            engine: "fake",
            loaded_at: Some(jiff::Timestamp::UNIX_EPOCH),
            error: None,
            refused_at: None,
            away: false,
            author: None,
            digest: None,
        }
    }

    fn data_place(&self, path: &DataPath) -> DataPlace {
        match (self.mode(), path.parts().first().map(String::as_str)) {
            (Mode::None, _) => DataPlace::Elsewhere,
            (_, Some("sentinel")) => DataPlace::Owned("the package `/sentinel/policy`".to_owned()),
            _ => DataPlace::Free,
        }
    }

    fn modules(&self, _: &PolicyState) -> Vec<PolicyModule> {
        let raw = Arc::from("package sentinel.policy");
        vec![PolicyModule { id: "sentinel/policy.rego".to_owned(), raw }]
    }
}

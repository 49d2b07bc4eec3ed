//! Comparing two engines: one decides, the other is asked as well, without influence.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::name::{TenantSlug, ToolName};
use crate::policy::{PolicyDecision, PolicyError, PolicyReason};
use crate::quota::Quota;

/// What an engine decided, as far as it is compared. Nothing of a call's arguments is in it but
/// what the policy itself puts into its reasons, which decisions record too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowAnswer {
    pub allow: bool,
    /// Sorted and without repetition: their order means nothing.
    pub reasons: Vec<PolicyReason>,
    pub quota: Option<Quota>,
    /// As canonical JSON, sorted.
    pub obligations: Vec<String>,
    /// Why there is no decision; the call is denied then.
    pub error: Option<String>,
    pub revision: Option<Arc<str>>,
}

impl ShadowAnswer {
    #[must_use]
    pub fn of(decided: &Result<PolicyDecision, PolicyError>) -> Self {
        match decided {
            Ok(decision) => {
                let mut reasons = decision.reasons.clone();
                reasons.sort_by(|a, b| (&a.code, &a.msg).cmp(&(&b.code, &b.msg)));
                reasons.dedup();
                let obligations = decision.obligations.iter();
                let mut obligations: Vec<_> = obligations
                    .map(|obligation| serde_json::json!(obligation).to_string())
                    .collect();
                obligations.sort();
                Self {
                    allow: decision.allow,
                    reasons,
                    quota: decision.quota,
                    obligations,
                    error: None,
                    revision: Some(Arc::clone(&decision.revision)),
                }
            }
            Err(error) => Self {
                allow: false,
                reasons: Vec::new(),
                quota: None,
                obligations: Vec::new(),
                error: Some(error.to_string()),
                revision: None,
            },
        }
    }

    /// Whether both say the same; by which revision is of no matter.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.allow == other.allow
            && self.reasons == other.reasons
            && self.quota == other.quota
            && self.obligations == other.obligations
            && self.error.is_some() == other.error.is_some()
    }
}

/// Two engines that decided differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// When the call was decided.
    pub at: Timestamp,
    pub tenant: TenantSlug,
    pub tool: ToolName,
    /// SHA-256 of the input's canonical form, `sha256:…`.
    pub input_hash: String,
    /// The decision that counted.
    pub decided: ShadowAnswer,
    pub shadow: ShadowAnswer,
}

/// How comparisons ended, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ShadowCounts {
    pub agreed: u64,
    pub disagreed: u64,
    /// The other engine made no decision.
    pub errors: u64,
    /// Not compared, since too many were waiting or the input was too large.
    pub dropped: u64,
}

/// What is known of a comparison that is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShadowReport {
    pub counts: ShadowCounts,
    /// The latest ones, newest first.
    pub disagreements: Vec<Disagreement>,
}

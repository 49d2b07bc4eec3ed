//! Who decides: the use cases of this process (`local`), or a control plane that is asked over its
//! HTTP interface (`remote`, for `sentinel mcp wrap`).

mod grant;
pub mod local;
pub mod remote;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::Arguments;
use sentinel_core::id::{DecisionId, ManifestId};

use sentinel_mcp_protocol::jsonrpc::Object;

pub use grant::{Grant, InFlight, Started, Withdrawal, Withdrawn};

/// Decides, records and stops. There is one for each principal and tenant that a client speaks for.
#[async_trait]
pub trait Authority: Send + Sync + std::fmt::Debug {
    /// Who asks: a stable identity of tenant, principal and agent, for cursors, sessions and
    /// repeats.
    fn principal(&self) -> &str;

    /// Has one call decided on the one enforcement path.
    async fn decide(&self, question: Question) -> Ruling;

    /// Records and signs how an allowed call ended.
    ///
    /// # Errors
    /// When it could not be recorded. The call has been made all the same.
    async fn settle(&self, outcome: Outcome) -> Result<Option<ManifestId>, String>;

    /// Registers and pins what a server lists, and says of each tool whether it may be shown and
    /// called. The order is that of `tools`.
    ///
    /// # Errors
    /// When that cannot be found out; then nothing is shown.
    async fn standing(
        &self,
        upstream: &str,
        tools: &[Arc<Object>],
    ) -> Result<Vec<Standing>, Unsettled>;

    /// Takes note that a client was shown no tool, since policy hides all `hidden` of them.
    fn shown_nothing(&self, _hidden: usize) {}

    /// Changes whenever a kill, a restore, a policy or the registry may have changed what is shown.
    fn changes(&self) -> tokio::sync::watch::Receiver<u64>;
}

/// What is to be decided.
#[derive(Debug, Clone)]
pub struct Question {
    /// As in the registry: `upstream__tool`.
    pub tool: String,
    pub action: &'static str,
    pub arguments: Arguments,
    pub purpose: Option<String>,
    /// What policy sees as `input.context`.
    pub context: Object,
    /// The allow that this call goes on from. It is decided again, and not counted again where the
    /// authority can tell.
    pub resumes: Option<Earlier>,
}

/// An allow that is decided again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    pub decision: DecisionId,
    /// How often the call goes on with that, after its client was asked something. Each time counts
    /// once: what is sent twice is counted twice. `None` when nothing is to be sent.
    pub round: Option<NonZeroU32>,
}

/// Code of a call that cannot be put as a question at all.
pub const INVALID_CALL: &str = "invalid_call";

#[derive(Debug)]
pub enum Ruling {
    Allowed(Allowed),
    Denied(Denied),
}

#[derive(Debug)]
pub struct Allowed {
    pub decision: DecisionId,
    /// The decision itself where the authority has it, so that it is not read again when the outcome
    /// is recorded.
    pub record: Option<Arc<DecisionRecord>>,
    pub grant: Grant,
    pub quota_remaining: Option<u64>,
}

/// A deny; also when no decision could be made, which is never an allow.
#[derive(Debug, Clone)]
pub struct Denied {
    /// Stable reason code.
    pub code: String,
    pub reason: String,
    pub decision: Option<DecisionId>,
    pub retry_after: Option<Duration>,
}

/// How an allowed call ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub decision: DecisionId,
    /// As in [`Allowed`].
    pub record: Option<Arc<DecisionRecord>>,
    /// As it was decided on.
    pub tool: String,
    pub action: &'static str,
    /// Identifies the call in what is recorded of it.
    pub call_id: String,
    pub ended: Ended,
    /// Canonical bytes of the result; the manifest commits to them by a salted hash.
    pub result: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Executed,
    NotExecuted,
    /// It may have been carried out; no reply says so.
    Unconfirmed,
}

impl Ended {
    /// As it is recorded and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::NotExecuted => "not_executed",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// When a rate limit has room again, as its reason says.
fn retry_after(code: &str, reason: &str) -> Option<Duration> {
    if code != "rate_limited" {
        return None;
    }
    let (_, rest) = reason.rsplit_once("try again in ")?;
    let seconds: f64 = rest.strip_suffix(" s")?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Why it cannot be said where the tools of a server stand.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct Unsettled {
    /// Stable: [`REGISTRY_UNAVAILABLE`] when it may be known in a minute.
    pub code: &'static str,
    pub reason: String,
}

/// Code of tools of which the registry cannot say anything at the moment.
pub const REGISTRY_UNAVAILABLE: &str = "registry_unavailable";
/// Codes of what only a person can change.
const LASTING: [&str; 2] = ["upstream_not_wrapped", "wrap_not_allowed"];

impl Unsettled {
    /// As the registry says; codes that it is not known to have are taken for a failure that passes.
    #[must_use]
    pub fn of(code: &str, reason: String) -> Self {
        let lasting = LASTING.into_iter().find(|lasting| *lasting == code);
        Self { code: lasting.unwrap_or(REGISTRY_UNAVAILABLE), reason }
    }
}

impl From<String> for Unsettled {
    fn from(reason: String) -> Self {
        Self { code: REGISTRY_UNAVAILABLE, reason }
    }
}

/// Where a listed tool stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// As in the registry.
    pub name: String,
    /// Whether policy lets the caller see it.
    pub visible: bool,
    /// Why it cannot be called, such as `tool_drift`.
    pub quarantined: Option<String>,
}

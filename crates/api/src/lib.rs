//! What goes over the wire: the bodies of requests and responses, events and problems, each
//! defined once for the server, which writes them, and for clients, which read them.
//!
//! A type has the name under which the OpenAPI document publishes it, and its doc comments are the
//! descriptions there: changing one changes `docs/openapi.json`.
//!
//! Requests refuse unknown fields, so that a misspelt restriction is not lost. Responses ignore
//! them, so that a client can read what a newer server sends. Text that a response may borrow is a
//! [`Cow`](std::borrow::Cow): the server writes it without a copy, a client owns it.

mod check;
mod code;
mod decision;
mod event;
mod key;
mod kill;
mod list;
mod manifest;
mod payload;
mod permit;
mod policy;
mod problem;
mod quota;
mod rollout;
mod secret;
mod signing_key;
mod tenant;
mod tool;
mod upstream;

pub use check::{CheckAnswer, CheckRequest, Reason};
pub use code::{Code, reason_code};
pub use decision::{Decision, UnknownCode, Verdict};
pub use event::{CheckedEvent, ClosedEvent, EventLine, Metadata, SyncEvent};
pub use key::{ApiKey, KeyRequest, NewApiKey};
pub use kill::{
    Kill, KillAnswer, KillReached, KillRequest, KillScope, KillState, KillTarget, RestoreAnswer,
};
pub use list::List;
pub use manifest::{
    Check, CheckOutcome, Manifest, ManifestRecord, Salt, SignAnswer, SignRequest, VerifyAnswer,
    payload_hash,
};
pub use payload::{DestroyAnswer, DestroyRequest, Tombstone};
pub use permit::{RedeemAnswer, RedeemRequest, ResumeAnswer, ResumeRequest};
pub use policy::{PolicyChange, PolicyData, PolicyDataChange, PolicyStatus};
pub use problem::Problem;
pub use quota::{Quota, QuotaUsage};
pub use rollout::{
    PolicyRollout, PolicyRollouts, RolloutComparison, RolloutExample, RolloutRequest, RolloutSide,
    RolloutStep, StartedRollout,
};
pub use secret::Secret;
pub use signing_key::{EndSigningKey, SigningKey, SigningKeyEvent, SigningKeys};
pub use tenant::{Tenant, TenantRequest};
pub use tool::{
    Address, Health, HealthStatus, RegisterRequest, Tool, ToolChange, Uncovered, UncoveredAnswer,
    UncoveredRequest,
};
pub use upstream::{
    PinnedDefinition, ReviewRequest, StandingAnswer, StandingRequest, ToolDefect, ToolDrift,
    ToolPin, ToolQuarantine, ToolStanding, Upstream, UpstreamRequest, UpstreamStatus,
};

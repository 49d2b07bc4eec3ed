//! The embedded engine decides; an OPA is asked about the same inputs, off the path, and
//! each difference is reported.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::json;
use sentinel_core::name::{TenantSlug, ToolName};
use sentinel_core::policy::{
    CandidateEngine, DataPlace, PolicyDecision, PolicyEngine, PolicyError, PolicyInput,
    PolicyModule, PolicyStatus,
};
use sentinel_core::policy_data::DataPath;
use sentinel_core::rollout::PolicyState;
use sentinel_core::shadow::{Disagreement, ShadowAnswer, ShadowCounts, ShadowReport};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::embedded::EmbeddedEngine;
use crate::lock::lock;
use crate::opa::{Caller, OpaEngine, input_document};

const ENGINE: &str = "shadow";
/// Comparisons that may wait; with [`MAX_INPUT`] it bounds what they hold.
const WAITING: usize = 1024;
/// Larger inputs are not compared, in bytes.
const MAX_INPUT: usize = 64 * 1024;
/// Questions to OPA that are under way at one time.
const WORKERS: usize = 8;
/// Disagreements that are kept.
const KEPT: usize = 200;

/// Decides as [`EmbeddedEngine`] does, and compares.
#[derive(Debug)]
pub struct ShadowEngine {
    embedded: Arc<EmbeddedEngine>,
    waiting: Sender<Comparison>,
    findings: Arc<Findings>,
}

#[derive(Debug)]
struct Comparison {
    at: Timestamp,
    tenant: TenantSlug,
    tool: ToolName,
    caller: Caller,
    input: Vec<u8>,
    decided: ShadowAnswer,
}

#[derive(Debug, Default)]
struct Findings {
    agreed: AtomicU64,
    disagreed: AtomicU64,
    errors: AtomicU64,
    dropped: AtomicU64,
    latest: Mutex<VecDeque<Disagreement>>,
}

impl ShadowEngine {
    /// Starts the tasks that compare; they end with the engine. Call it within a tokio runtime.
    #[must_use]
    pub fn start(embedded: Arc<EmbeddedEngine>, opa: &Arc<OpaEngine>) -> Self {
        let (waiting, receiver) = channel(WAITING);
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        let findings = Arc::new(Findings::default());
        for _ in 0..WORKERS {
            let work = compare(Arc::clone(&receiver), Arc::clone(opa), Arc::clone(&findings));
            drop(tokio::spawn(work));
        }
        Self { embedded, waiting, findings }
    }

    #[must_use]
    pub fn counts(&self) -> ShadowCounts {
        self.findings.counts()
    }

    /// Hands the question on if there is room; never waits.
    fn hand_on(&self, input: &PolicyInput<'_>, decided: &Result<PolicyDecision, PolicyError>) {
        // The place comes first: under a load that OPA cannot follow, no input is written in vain.
        let Ok(place) = self.waiting.try_reserve() else { return self.findings.drop_one() };
        match input_document(input) {
            Ok(document) if document.len() <= MAX_INPUT => place.send(Comparison {
                at: input.time,
                tenant: input.tenant.clone(),
                tool: input.tool.clone(),
                caller: Caller::of(input.principal),
                input: document,
                decided: ShadowAnswer::of(decided),
            }),
            Ok(_) | Err(_) => self.findings.drop_one(),
        }
    }
}

#[async_trait]
impl PolicyEngine for ShadowEngine {
    async fn evaluate(&self, input: PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        let decided = self.embedded.ask(&input).await;
        self.hand_on(&input, &decided);
        decided
    }

    fn weighs_usage(&self, state: &PolicyState) -> bool {
        self.embedded.weighs_usage(state)
    }

    fn status(&self) -> PolicyStatus {
        PolicyStatus { engine: ENGINE, ..self.embedded.status() }
    }

    fn is_stuck(&self) -> bool {
        self.embedded.is_stuck()
    }

    fn data_place(&self, path: &DataPath) -> DataPlace {
        self.embedded.data_place(path)
    }

    fn candidates(&self) -> Option<&dyn CandidateEngine> {
        self.embedded.candidates()
    }

    fn observe(&self, state: &PolicyState) {
        self.embedded.observe(state);
    }

    fn revision(&self, state: &PolicyState) -> Option<String> {
        self.embedded.revision(state)
    }

    fn modules(&self, state: &PolicyState) -> Vec<PolicyModule> {
        self.embedded.modules(state)
    }

    fn shadow(&self) -> Option<ShadowReport> {
        let disagreements = lock(&self.findings.latest).iter().rev().cloned().collect();
        Some(ShadowReport { counts: self.findings.counts(), disagreements })
    }
}

async fn compare(
    waiting: Arc<tokio::sync::Mutex<Receiver<Comparison>>>,
    opa: Arc<OpaEngine>,
    findings: Arc<Findings>,
) {
    loop {
        let next = waiting.lock().await.recv().await;
        let Some(mut comparison) = next else { return };
        let input = std::mem::take(&mut comparison.input);
        let hash = hash(&input);
        let answer = opa.decide(input, comparison.caller).await;
        findings.add(comparison, hash, &answer);
    }
}

fn hash(input: &[u8]) -> String {
    let canonical = serde_json::from_slice(input).map(|value| json::canonical(&value));
    let digest = Sha256::digest(canonical.as_deref().unwrap_or(input));
    format!("sha256:{}", hex::encode(digest))
}

impl Findings {
    fn counts(&self) -> ShadowCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ShadowCounts {
            agreed: of(&self.agreed),
            disagreed: of(&self.disagreed),
            errors: of(&self.errors),
            dropped: of(&self.dropped),
        }
    }

    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn add(
        &self,
        comparison: Comparison,
        input_hash: String,
        answer: &Result<PolicyDecision, PolicyError>,
    ) {
        let Comparison { at, tenant, tool, decided, .. } = comparison;
        if let Err(
            PolicyError::Unavailable(_)
            | PolicyError::TimedOut
            | PolicyError::CircuitOpen
            | PolicyError::NoPolicy,
        ) = answer
        {
            // The state of OPA says nothing about its policy.
            self.errors.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let shadow = ShadowAnswer::of(answer);
        if decided.agrees_with(&shadow) {
            self.agreed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.disagreed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            %tenant,
            %tool,
            input_hash,
            decided_allow = decided.allow,
            shadow_allow = shadow.allow,
            decided_revision = decided.revision.as_deref(),
            shadow_revision = shadow.revision.as_deref(),
            shadow_error = shadow.error.as_deref(),
            "the shadow engine disagrees"
        );
        let mut latest = lock(&self.latest);
        if latest.len() >= KEPT {
            latest.pop_front();
        }
        latest.push_back(Disagreement { at, tenant, tool, input_hash, decided, shadow });
    }
}

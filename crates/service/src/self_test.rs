//! The self-test of the kill switch: each replica kills an agent of its own that was never killed
//! before, and asks by the one enforcement path whether that agent may call a canary tool. Only a
//! deny because of a kill, under the kill's epoch or a later one, will do.
//!
//! What it costs the others is one epoch: the kill before it ends in the same transaction, and no
//! one waits for more. Nothing of it is in a listing, in a stream of events or in the transparency
//! log, and the calls of no tenant are counted, since none is ever allowed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sentinel_core::check::{Arguments, CheckRequest};
use sentinel_core::decision::ReasonCode;
use sentinel_core::principal::Principal;
use sentinel_core::self_test;
use sentinel_core::store::{Conflict, StoreError};
use serde_json::Map;
use uuid::Uuid;

use crate::keys::random_bytes;
use crate::kill::{KillOrder, Target};
use crate::{ServiceError, Services};

/// Time that a check of a self-test gets.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a self-test found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A kill stops what it covers.
    Passed,
    /// A kill was acknowledged and did not stop the call: this replica must not decide.
    Failed(String),
    /// It could not be tried: the store is away, or the like. Nothing is allowed then, either.
    NotTried(String),
}

impl Outcome {
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::NotTried(_) => "not_tried",
        }
    }
}

/// The last self-test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub outcome: Outcome,
    pub at: Timestamp,
    /// When one passed last.
    pub passed_at: Option<Timestamp>,
}

/// The self-tests of one replica.
#[derive(Debug)]
pub struct SelfTests {
    run: Uuid,
    number: AtomicU64,
    passed: AtomicU64,
    failed: AtomicU64,
    not_tried: AtomicU64,
    last: Mutex<Option<Report>>,
}

impl Default for SelfTests {
    fn default() -> Self {
        Self {
            run: Uuid::new_v4(),
            number: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            not_tried: AtomicU64::new(0),
            last: Mutex::default(),
        }
    }
}

/// How the self-tests since the start ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    pub not_tried: u64,
}

impl SelfTests {
    /// The last one; `None` before the first.
    #[must_use]
    pub fn last(&self) -> Option<Report> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the last one that could be tried has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.last().is_some_and(|report| matches!(report.outcome, Outcome::Failed(_)))
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            passed: read(&self.passed),
            failed: read(&self.failed),
            not_tried: read(&self.not_tried),
        }
    }

    /// Tests once, and keeps what was found.
    pub async fn test(&self, services: &Services) -> Outcome {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let outcome = match self.try_once(services, number).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::NotTried(error.cause()),
        };
        self.keep(outcome.clone(), services.clock.now());
        outcome
    }

    fn keep(&self, outcome: Outcome, at: Timestamp) {
        let count = match &outcome {
            Outcome::Passed => &self.passed,
            Outcome::Failed(_) => &self.failed,
            Outcome::NotTried(_) => &self.not_tried,
        };
        count.fetch_add(1, Ordering::Relaxed);
        match &outcome {
            Outcome::Passed => {}
            Outcome::Failed(found) => {
                tracing::error!(%found, "A KILL DOES NOT STOP CALLS AT THIS SERVER; it is not ready");
            }
            Outcome::NotTried(why) => {
                tracing::warn!(%why, "the self-test of the kill switch could not be made");
            }
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.as_ref().and_then(|last| last.passed_at);
        let passed_at = if outcome == Outcome::Passed { Some(at) } else { before };
        // A replica that failed stays so until it passes: not being able to try shows nothing.
        let failed = last.as_ref().map(|last| &last.outcome);
        let outcome = match (failed, outcome) {
            (Some(failed @ Outcome::Failed(_)), Outcome::NotTried(_)) => failed.clone(),
            (_, outcome) => outcome,
        };
        *last = Some(Report { outcome, at, passed_at });
    }

    async fn try_once(&self, services: &Services, number: u64) -> Result<Outcome, ServiceError> {
        prepare(services).await?;
        let odd = || ServiceError::Unavailable("the names of a self-test are none".to_owned());
        let agent = self_test::agent(self.run, number).ok_or_else(odd)?;
        let slug = self_test::SLUG.parse().map_err(|_| odd())?;
        let order = KillOrder {
            target: Target::TenantAgent(slug, agent.clone()),
            reason: "self-test of the kill switch".parse().map_err(|_| odd())?,
            starts_at: None,
            expires_at: None,
        };
        let killed = services.kills.kill_as(&Principal::SELF_TEST, order).await?;
        let mut context = Map::new();
        context.insert("self_test".to_owned(), true.into());
        let arrived = Instant::now();
        let request = CheckRequest {
            principal: Principal::SELF_TEST,
            tenant: self_test::SLUG.parse().map_err(|_| odd())?,
            tool: self_test::CANARY.parse().map_err(|_| odd())?,
            action: "self-test".parse().map_err(|_| odd())?,
            purpose: None,
            usage: 0,
            context,
            agent: Some(agent),
            arguments: Arguments::new(Map::new()),
            call_id: None,
            request_id: "self-test".into(),
            arrived,
            deadline: Some(arrived + PATIENCE),
        };
        let decision = services.checker.check(request).await?.decision;
        let stopped = !decision.allow && decision.code == ReasonCode::Killed;
        Ok(if stopped && decision.epoch >= killed.epoch {
            Outcome::Passed
        } else {
            let code = decision.code.as_str();
            let (killed, at) = (killed.epoch, decision.epoch);
            Outcome::Failed(format!(
                "killed at epoch {killed}, the canary got `{code}` at epoch {at}"
            ))
        })
    }
}

/// Makes the canary where it is not there yet.
async fn prepare(services: &Services) -> Result<(), ServiceError> {
    let control = services.control.current();
    if control.tool_by_id(self_test::TOOL).is_some() {
        return Ok(());
    }
    let slug = self_test::SLUG
        .parse()
        .map_err(|_| ServiceError::Unavailable("the slug of the self-test is none".to_owned()))?;
    if control.tenant(&slug).is_some_and(|tenant| tenant.id != self_test::TENANT) {
        let why =
            format!("a tenant of an earlier version has the slug `{slug}`, which is reserved");
        return Err(ServiceError::Unavailable(why));
    }
    let subjects = self_test::subjects(random_bytes()?, services.clock.now());
    let (tenant, tool) = subjects.ok_or_else(|| {
        ServiceError::Unavailable("the canary of the self-test is none".to_owned())
    })?;
    match services.store.register_tool(tenant, tool).await {
        // Another replica was faster.
        Ok(_) | Err(StoreError::Conflict(Conflict::ToolExists(_))) => {}
        Err(error) => return Err(error.into()),
    }
    services.control.refresh().await?;
    Ok(())
}

/// Tests every `interval`, the first time after one, until the services are dropped.
pub async fn follow(services: Weak<Services>, interval: Duration) {
    let mut tick = tokio::time::interval(interval.max(Duration::from_millis(1)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick.tick().await;
    loop {
        tick.tick().await;
        let Some(services) = services.upgrade() else { return };
        services.self_tests.test(&services).await;
    }
}

//! What policy is in force, and since when, by whom: every change is recorded.

use std::sync::Arc;

use sentinel_core::clock::Clock;
use sentinel_core::event::{Bus, Event};
use sentinel_core::id::PolicyChangeId;
use sentinel_core::name::Reason;
use sentinel_core::page::{Page, Paged};
use sentinel_core::policy::PolicyEngine;
use sentinel_core::policy_change::{PolicyChange, PolicyChangeKind};
use sentinel_core::ports::PolicyStore;
use sentinel_core::principal::Principal;
use uuid::Uuid;

use crate::ServiceError;

/// Longest text that is kept of why a revision was refused, in bytes.
const MAX_DETAIL: usize = 2000;

/// The record of changes of policy.
#[derive(Debug, Clone)]
pub struct PolicyLog {
    pub(crate) engine: Arc<dyn PolicyEngine>,
    pub(crate) store: Arc<dyn PolicyStore>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl PolicyLog {
    /// Records what the engine loaded or refused last from `source`, a directory or the address of
    /// a bundle. To be called after each attempt; what was recorded already is not recorded again.
    /// A source that is away has brought nothing.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn note_source(&self, source: &str) -> Result<(), ServiceError> {
        let status = self.engine.status();
        if status.away {
            return Ok(());
        }
        let kind = match (&status.error, &status.revision) {
            (Some(_), _) => PolicyChangeKind::Refused,
            (None, Some(_)) => PolicyChangeKind::Activated,
            (None, None) => return Ok(()),
        };
        let detail = status.error.map(|mut error| {
            error.truncate(error.floor_char_boundary(MAX_DETAIL));
            error.replace('\0', "\u{fffd}")
        });
        let refused = kind == PolicyChangeKind::Refused;
        let change = PolicyChange {
            author: status.author.filter(|_| !refused),
            revision: status.revision.filter(|_| !refused),
            detail,
            ..self.of_source(kind, source)
        };
        if self.store.record_policy_change(change.clone()).await? {
            self.publish(change);
        }
        Ok(())
    }

    /// Changes, newest first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn changes(&self, page: Page) -> Result<Paged<PolicyChange>, ServiceError> {
        Ok(self.store.policy_changes(page).await?)
    }

    /// A change by a principal.
    pub(crate) fn by(
        &self,
        principal: &Principal,
        kind: PolicyChangeKind,
        reason: Option<Reason>,
    ) -> PolicyChange {
        let author = principal.key().map(|key| key.name.to_string());
        PolicyChange { author, reason, ..self.change(kind, principal.id()) }
    }

    /// A change that a source brought about.
    pub(crate) fn of_source(&self, kind: PolicyChangeKind, source: &str) -> PolicyChange {
        self.change(kind, format!("source:{source}"))
    }

    fn change(&self, kind: PolicyChangeKind, actor: String) -> PolicyChange {
        PolicyChange {
            id: PolicyChangeId(Uuid::now_v7()),
            kind,
            actor,
            author: None,
            revision: None,
            path: None,
            data_version: None,
            rollout_id: None,
            reason: None,
            detail: None,
            epoch: None,
            at: self.clock.now(),
        }
    }

    pub(crate) fn publish(&self, change: PolicyChange) {
        self.bus.publish(vec![Event::Policy(Arc::new(change))]);
    }
}

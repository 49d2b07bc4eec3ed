//! Commits decisions in groups, and keeps what is in memory up to date with what was committed.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use sentinel_core::clock::Clock;
use sentinel_core::commit::{Batch, Committed, Outcome, Pending, claims_expire_before};
use sentinel_core::event::{Bus, Event};
use sentinel_core::ports::DecisionStore;
use sentinel_telemetry::Links;
use tracing::{Instrument as _, Span};

use crate::ServiceError;
use crate::control::Control;
use crate::group::{GroupWriter, Settled, Waiting};
use crate::outstanding::Outstanding;
use crate::usage::UsageCache;

/// Writes batches of decisions.
#[derive(Debug)]
pub struct DecisionWriter {
    pub(crate) store: Arc<dyn DecisionStore>,
    pub(crate) control: Arc<Control>,
    pub(crate) usage: Arc<UsageCache>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) outstanding: Arc<Outstanding>,
}

#[async_trait]
impl GroupWriter for DecisionWriter {
    type Item = Box<Pending>;
    type Answer = Outcome;

    async fn write(
        &self,
        queue: &mut Vec<Waiting<Box<Pending>, Outcome>>,
    ) -> Vec<Settled<Outcome>> {
        let mut batch = Batch::new(self.control.current());
        let mut senders = Vec::with_capacity(queue.len());
        let mut deferred = Vec::new();
        let mut links = Links::default();
        let mut settled = Vec::new();
        let now = Instant::now();
        for Waiting { item, span, answer } in queue.drain(..) {
            if item.is_late(now) {
                settled.push((answer, Err(ServiceError::DeadlineExceeded)));
                continue;
            }
            match batch.push(item) {
                Ok(()) => {
                    links.add(span);
                    senders.push(answer);
                }
                Err(item) => deferred.push(Waiting { item, span, answer }),
            }
        }
        *queue = deferred;
        if batch.is_empty() {
            return settled;
        }
        let written_at = self.clock.now();
        if batch.needs_time() {
            batch.at(written_at);
        }
        let expire = claims_expire_before(written_at);
        let span = span_of(&links, senders.len());
        match self.store.commit_decisions(batch, expire).instrument(span).await {
            Ok(batch) => {
                let outcomes = self.observe(batch.into_committed());
                settled.extend(senders.into_iter().zip(outcomes.into_iter().map(Ok)));
            }
            Err(error) => {
                tracing::error!(%error, decisions = senders.len(), "decisions were not committed");
                let error = ServiceError::from(error);
                settled.extend(senders.into_iter().map(|answer| (answer, Err(error.clone()))));
            }
        }
        settled
    }
}

/// The span of a batch, which links to those of its requests. Without any it costs nothing.
fn span_of(links: &Links, decisions: usize) -> Span {
    if links.is_empty() {
        return Span::none();
    }
    tracing::info_span!("commit", decisions, %links)
}

impl DecisionWriter {
    fn observe(&self, committed: Committed) -> Vec<Outcome> {
        self.control.observe(&committed.control);
        self.usage.observe(&committed.used);
        let recorded = || {
            committed.outcomes.iter().filter_map(|outcome| match outcome {
                Outcome::Recorded(record) if !record.is_self_test() => Some(record),
                _ => None,
            })
        };
        self.outstanding.issued(recorded().map(AsRef::as_ref));
        self.bus.publish(recorded().map(Event::checked).collect());
        committed.outcomes
    }
}

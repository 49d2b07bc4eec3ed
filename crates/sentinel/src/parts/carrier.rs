//! What carries events between servers.

use std::sync::Arc;

use async_trait::async_trait;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::Bus;
use sentinel_redis::RedisEvents;
use sentinel_store_postgres::PostgresEvents;
use sentinel_telemetry::Source;
use tokio::sync::watch;

use crate::parts::metrics;

/// Carries the events of this server to the others, and theirs to this one.
#[async_trait]
pub(crate) trait Carrier: Bus {
    /// The newest epoch that another server has reported. `None` when none is carried.
    fn epochs(&self) -> Option<watch::Receiver<Epoch>> {
        None
    }

    /// Returns once everything published so far is sent or dropped. That may never be, so give it a
    /// time limit.
    async fn flush(&self) {}

    /// What it counts, for `/metrics`.
    fn source(self: Arc<Self>) -> Source;
}

#[async_trait]
impl Carrier for RedisEvents {
    fn epochs(&self) -> Option<watch::Receiver<Epoch>> {
        Some(self.epochs())
    }

    async fn flush(&self) {
        self.flush().await;
    }

    fn source(self: Arc<Self>) -> Source {
        metrics::of_redis_events(self)
    }
}

/// Sends each event as it is published; the store's own epochs say the rest.
#[async_trait]
impl Carrier for PostgresEvents {
    fn source(self: Arc<Self>) -> Source {
        metrics::of_notify(self)
    }
}

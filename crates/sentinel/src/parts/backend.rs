//! What a store does for a server besides keeping its records.

use std::sync::Arc;

use sentinel_core::clock::Clock;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::Bus;
use sentinel_store_postgres::PostgresStore;
use sentinel_store_sqlite::SqliteStore;
use sentinel_telemetry::Source;
use tokio::sync::watch;

use crate::parts::archiving::{Archiver, Archiving};
use crate::parts::carrier::Carrier;
use crate::parts::metrics;
use crate::parts::partitions::PartitionKeeper;
use crate::parts::task::Task;

/// What a store may do for a server besides keeping its records: by default nothing.
pub(crate) trait Backend: Send + Sync {
    /// The newest epoch that the store has heard of. `None` when no other server can use the store.
    fn epochs(&self) -> Option<watch::Receiver<Epoch>> {
        None
    }

    /// Starts to carry control events between the servers that use the store; those of others go to
    /// `sink`. `None` when there can be no others.
    fn carry_events(&self, _sink: Arc<dyn Bus>) -> Option<Arc<dyn Carrier>> {
        None
    }

    /// What it counts, for `/metrics`.
    fn sources(self: Arc<Self>) -> Vec<Source> {
        Vec::new()
    }

    /// The tasks that keep it in order.
    fn maintenance(
        self: Arc<Self>,
        _archiving: Option<Archiving>,
        _clock: &Arc<dyn Clock>,
    ) -> Vec<Box<dyn Task>> {
        Vec::new()
    }
}

/// A file of one server.
impl Backend for SqliteStore {}

impl Backend for PostgresStore {
    fn epochs(&self) -> Option<watch::Receiver<Epoch>> {
        Some(self.epochs())
    }

    fn carry_events(&self, sink: Arc<dyn Bus>) -> Option<Arc<dyn Carrier>> {
        Some(Arc::new(self.carry_events(sink)))
    }

    fn sources(self: Arc<Self>) -> Vec<Source> {
        vec![metrics::of_postgres(self)]
    }

    fn maintenance(
        self: Arc<Self>,
        archiving: Option<Archiving>,
        clock: &Arc<dyn Clock>,
    ) -> Vec<Box<dyn Task>> {
        let keeper = PartitionKeeper { store: self.clone(), clock: Arc::clone(clock) };
        let mut tasks: Vec<Box<dyn Task>> = vec![Box::new(keeper)];
        if let Some(archiving) = archiving {
            tasks.push(Box::new(Archiver { archiving, store: self, clock: Arc::clone(clock) }));
        }
        tasks
    }
}

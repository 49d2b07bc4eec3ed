//! One connection that is made again whenever it is lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::aio::MultiplexedConnection;

use crate::connect::{Backoff, RedisTarget};
use crate::counters::{Counts, add};

#[derive(Debug)]
pub(crate) struct Link {
    target: RedisTarget,
    /// What the connection is for, as the log says it.
    purpose: &'static str,
    /// The longest that a command may take.
    response: Duration,
    counts: Arc<Counts>,
    connection: Option<MultiplexedConnection>,
    backoff: Backoff,
    /// Failures since the last command that succeeded.
    failures: u32,
    /// Whether this is a reader's, whose connection is always in use, so that a loss is noticed.
    reads: bool,
}

impl Link {
    pub(crate) const fn new(
        target: RedisTarget,
        purpose: &'static str,
        response: Duration,
        counts: Arc<Counts>,
    ) -> Self {
        let backoff = Backoff::new();
        Self {
            target,
            purpose,
            response,
            counts,
            connection: None,
            backoff,
            failures: 0,
            reads: false,
        }
    }

    /// The same, for a reader.
    pub(crate) fn of_reader(self) -> Self {
        Self { reads: true, ..self }
    }

    /// The connection; returns only once there is one. The first attempt after a loss is made at
    /// once.
    pub(crate) async fn connection(&mut self) -> MultiplexedConnection {
        loop {
            if let Some(connection) = &self.connection {
                return connection.clone();
            }
            if self.failures > 1 {
                self.backoff.wait().await;
            }
            match self.target.connect(self.response).await {
                Ok(connection) => {
                    self.connection = Some(connection);
                    if self.reads {
                        self.counts.readers.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Err(error) => self.lost(&error),
            }
        }
    }

    /// A command failed, or no connection could be made.
    pub(crate) fn lost(&mut self, error: &redis::RedisError) {
        if self.failures == 0 {
            tracing::warn!(%error, purpose = self.purpose, "redis was lost; trying again");
        }
        if self.connection.take().is_some() && self.reads {
            self.counts.readers.fetch_sub(1, Ordering::Relaxed);
        }
        self.failures = self.failures.saturating_add(1);
        add(&self.counts.disconnects, 1);
    }

    /// A command succeeded.
    pub(crate) fn works(&mut self) {
        if self.failures > 0 {
            tracing::info!(purpose = self.purpose, "redis is back");
        }
        self.failures = 0;
        self.backoff.reset();
    }
}

//! How the store talks to its server.

use std::str::FromStr;
use std::time::Duration;

use sentinel_core::ports::StoreError;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use crate::error::{Result, unavailable};

/// Limits of one replica's use of the server.
///
/// Connections in all: `max_connections`, two for kills and for what looks whether the store works,
/// `committers`, one that listens for epochs, two more where events are carried by `NOTIFY`, one
/// while a month is archived, and `max_connections` again at the read replica when there is one.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections that queries and changes of control state share.
    pub max_connections: u32,
    /// Connections that commit decisions, one for each batch that is committed at the same time; a
    /// server commits one after the other, and so opens one.
    pub committers: u32,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How long the server may work on one statement, waiting included.
    pub statement_timeout: Duration,
    /// How long one statement may wait for a lock.
    pub lock_timeout: Duration,
    /// How long a transaction may wait for its client. A replica that is stopped in the middle of a
    /// commit holds the epoch lock for so long; shorter than `lock_timeout`, so that a kill
    /// outlasts it.
    pub idle_timeout: Duration,
    /// How long a call may take in all, as measured here: what ends a call when the server is cut
    /// off without a word.
    pub call_timeout: Duration,
    /// A read replica: listings (decisions, manifests, kills, tools, tenants) come from it, as late
    /// as it is. A server reads keys and counters when it starts, so they do not.
    pub read_url: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 8,
            committers: 2,
            acquire_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(4),
            idle_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(8),
            read_url: None,
        }
    }
}

impl Options {
    /// How to connect to `url`; whether by TLS says its `sslmode`.
    pub(crate) fn connect(&self, url: &str) -> Result<PgConnectOptions> {
        let milliseconds = |duration: Duration| duration.as_millis().to_string();
        Ok(parse(url)?.options([
            ("statement_timeout", milliseconds(self.statement_timeout)),
            ("lock_timeout", milliseconds(self.lock_timeout)),
            ("idle_in_transaction_session_timeout", milliseconds(self.idle_timeout)),
            // What a batch is committed with, outside a transaction that says so itself.
            ("default_transaction_isolation", "read committed".to_owned()),
            ("default_transaction_read_only", "off".to_owned()),
            // A statement of ours takes less time than compiling it would.
            ("jit", "off".to_owned()),
        ]))
    }
}

/// `url` without any limits, as migrations need it.
pub(crate) fn parse(url: &str) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        unavailable(format!("the database URL is not one of PostgreSQL: {error}"))
    })?;
    Ok(options.application_name("sentinel").disable_statement_logging())
}

/// A duration is over; `what` says of what.
pub(crate) fn too_slow(what: &str, duration: Duration) -> StoreError {
    StoreError::Unavailable(format!("{what} took longer than {} ms", duration.as_millis()))
}

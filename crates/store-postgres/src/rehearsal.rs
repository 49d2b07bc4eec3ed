//! The version after this one, as far as an upgrade to it can be rehearsed. Compiled with the
//! feature `rehearsal` only, which no part of the product turns on.
//!
//! It keeps the digest of the principal with each decision, counts pings in a table of their own,
//! and finds manifests by the digest of their payload.

use std::sync::LazyLock;

use sentinel_core::ports::StoreError;

use crate::migrations::{self, CURRENT, Migration, Phase, Run, Schema, Step};
use crate::options::Options;
use crate::recording;
use crate::store::{PostgresStore, in_time};

/// Numbered far from those of this version, so that a new one of those leaves them as they are.
const NEXT: [Migration; 5] = [
    Migration {
        version: 101,
        name: "0101_principal_digest",
        sql: include_str!("../rehearsal/0101_principal_digest.sql"),
        phase: Phase::Expand,
        run: Run::Alone,
    },
    Migration {
        version: 102,
        name: "0102_manifests_by_digest",
        sql: include_str!("../rehearsal/0102_manifests_by_digest.sql"),
        phase: Phase::Expand,
        run: Run::Alongside,
    },
    Migration {
        version: 103,
        name: "0103_digest_required",
        sql: include_str!("../rehearsal/0103_digest_required.sql"),
        phase: Phase::Contract { oldest: 102, backfill: Some(BACKFILL) },
        run: Run::Alone,
    },
    Migration {
        version: 104,
        name: "0104_digest_validated",
        sql: include_str!("../rehearsal/0104_digest_validated.sql"),
        phase: Phase::Contract { oldest: 102, backfill: None },
        run: Run::Alongside,
    },
    Migration {
        version: 105,
        name: "0105_without_old_pings",
        sql: include_str!("../rehearsal/0105_without_old_pings.sql"),
        phase: Phase::Contract { oldest: 102, backfill: None },
        run: Run::Alone,
    },
];

const BACKFILL: &str = include_str!("../rehearsal/backfill_principal_digest.sql");

static MIGRATIONS: LazyLock<Vec<Migration>> =
    LazyLock::new(|| CURRENT.migrations.iter().copied().chain(NEXT).collect());

static COMMIT: LazyLock<String> =
    LazyLock::new(|| recording::CALL.replace("sentinel_commit_decisions", "next_commit_decisions"));

fn next() -> Schema {
    let ping = "UPDATE pings SET count = count + 1";
    Schema { migrations: &MIGRATIONS, commit: &COMMIT, ping }
}

impl PostgresStore {
    /// [`PostgresStore::open`] of the next version.
    ///
    /// # Errors
    /// Those of [`PostgresStore::open`].
    pub async fn open_next(url: &str, options: Options) -> Result<Self, StoreError> {
        let call_timeout = options.call_timeout;
        in_time(call_timeout, Self::connect(url, options, next())).await
    }

    /// [`PostgresStore::migrate_to`] of the next version.
    ///
    /// # Errors
    /// Those of [`PostgresStore::migrate_to`].
    pub async fn migrate_next(
        url: &str,
        step: Step,
        tell: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<u32, StoreError> {
        Ok(migrations::migrate(url, next(), step, tell).await?)
    }

    /// The SQL with which the next version begins to contract the schema, for a test that makes the
    /// mistake of running it too early.
    #[must_use]
    pub fn next_contraction() -> &'static str {
        include_str!("../rehearsal/0103_digest_required.sql")
    }
}

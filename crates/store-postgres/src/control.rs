//! The control state, and the port of it.

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::control::ControlChanges;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{KillId, TenantId};
use sentinel_core::kill::{Kill, RestoreOrder};
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::{ControlStore, Restored, StoreError};
use sentinel_store_rows::Stored;
use sqlx::{PgConnection, PgPool};

use crate::epoch::epoch;
use crate::error::Result as Work;
use crate::row::all;
use crate::store::PostgresStore;
use crate::transaction::{Begin, Transaction};
use crate::{epochs, kills, policy};

#[async_trait]
impl ControlStore for PostgresStore {
    async fn control_changes(&self, since: Epoch) -> Result<ControlChanges, StoreError> {
        self.read(snapshot(&self.urgent, since)).await
    }

    async fn kill(&self, kill: Kill) -> Result<Epoch, StoreError> {
        let pool = self.urgent.clone();
        self.to_end(async move { kills::kill(&pool, &kill).await }).await
    }

    async fn restore(&self, order: RestoreOrder) -> Result<Restored, StoreError> {
        let pool = self.urgent.clone();
        self.to_end(async move { kills::restore(&pool, &order).await }).await
    }

    async fn turn_kills(&self, over: Vec<KillId>, now: Timestamp) -> Result<Vec<Kill>, StoreError> {
        let pool = self.urgent.clone();
        self.to_end(async move { kills::turn(&pool, &over, now).await }).await
    }

    async fn replicas(&self) -> Result<u64, StoreError> {
        let pool = self.urgent.clone();
        self.to_end(async move { epochs::replicas(&pool).await }).await
    }

    async fn kills(
        &self,
        tenant: Option<TenantId>,
        in_force: bool,
        page: Page,
    ) -> Result<Paged<Kill>, StoreError> {
        self.read(kills::kills(&self.listings, tenant, in_force, &page)).await
    }
}

/// What changed after `since`, in one snapshot of its own.
async fn snapshot(pool: &PgPool, since: Epoch) -> Work<ControlChanges> {
    let mut transaction = Transaction::begin(pool, "control_changes", Begin::Snapshot).await?;
    let changes = control_changes(&mut transaction, since).await;
    transaction.end(changes).await
}

/// What changed after `since`. The transaction sees one snapshot, or holds the epoch lock.
pub(crate) async fn control_changes(
    connection: &mut PgConnection,
    since: Epoch,
) -> Work<ControlChanges> {
    let epoch = epoch(connection).await?;
    let policy::Changed { data: policy_data, rollouts } =
        policy::changed(connection, since).await?;
    if since == Epoch::default() {
        return Ok(ControlChanges {
            epoch,
            tenants: all(connection, "", |query| query).await?,
            tools: all(connection, "", |query| query).await?,
            keys: all(connection, "WHERE revoked_at IS NULL", |query| query).await?,
            kills: all(connection, "WHERE restored_at IS NULL", |query| query).await?,
            upstreams: all(connection, "WHERE removed_at IS NULL", |query| query).await?,
            policy_data,
            rollouts,
        });
    }
    Ok(ControlChanges {
        epoch,
        tenants: changed(connection, since).await?,
        tools: changed(connection, since).await?,
        keys: changed(connection, since).await?,
        kills: changed(connection, since).await?,
        upstreams: changed(connection, since).await?,
        policy_data,
        rollouts,
    })
}

async fn changed<T: Stored>(connection: &mut PgConnection, since: Epoch) -> Work<Vec<T>> {
    all(connection, "WHERE epoch > $1", |query| query.bind(since.0.cast_signed())).await
}

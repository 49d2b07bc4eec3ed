//! The control state, and the port of it.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use sentinel_core::control::ControlChanges;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{KillId, TenantId};
use sentinel_core::kill::{Kill, RestoreOrder};
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::{ControlStore, Restored, StoreError};
use sentinel_store_rows::Stored;

use crate::error::Result as Work;
use crate::row::{all, select, select_list};
use crate::store::SqliteStore;
use crate::{epoch, kills, policy};

#[async_trait]
impl ControlStore for SqliteStore {
    async fn control_changes(&self, since: Epoch) -> Result<ControlChanges, StoreError> {
        self.readers.run(move |read| control_changes(read, since)).await
    }

    async fn kill(&self, kill: Kill) -> Result<Epoch, StoreError> {
        self.writer.run(move |write| kills::kill(write, &kill)).await
    }

    async fn restore(&self, order: RestoreOrder) -> Result<Restored, StoreError> {
        self.writer.run(move |write| kills::restore(write, &order)).await
    }

    async fn turn_kills(&self, over: Vec<KillId>, now: Timestamp) -> Result<Vec<Kill>, StoreError> {
        self.writer.run(move |write| kills::turn(write, &over, now)).await
    }

    async fn kills(
        &self,
        tenant: Option<TenantId>,
        in_force: bool,
        page: Page,
    ) -> Result<Paged<Kill>, StoreError> {
        self.readers.run(move |read| kills::kills(read, tenant, in_force, &page)).await
    }
}

/// What changed after `since`. Reading everything, the table is read in its own order: an index
/// would jump about in it a million times.
pub(crate) fn control_changes(connection: &Connection, since: Epoch) -> Work<ControlChanges> {
    let epoch = epoch::read(connection)?.epoch;
    if since == Epoch::default() {
        return Ok(ControlChanges {
            epoch,
            tenants: everything(connection)?,
            tools: everything(connection)?,
            keys: all(connection, "revoked_at IS NULL", [])?,
            kills: all(connection, "restored_at IS NULL", [])?,
            policy_data: policy::changed_data(connection, since)?,
            rollouts: policy::changed_rollouts(connection, since)?,
            upstreams: all(connection, "removed_at IS NULL", [])?,
        });
    }
    let policy_data = policy::changed_data(connection, since)?;
    let rollouts = policy::changed_rollouts(connection, since)?;
    let since = [since.0.cast_signed()];
    Ok(ControlChanges {
        epoch,
        policy_data,
        rollouts,
        tenants: all(connection, "epoch > ?1", since)?,
        tools: all(connection, "epoch > ?1", since)?,
        keys: all(connection, "epoch > ?1", since)?,
        kills: all(connection, "epoch > ?1", since)?,
        upstreams: all(connection, "epoch > ?1", since)?,
    })
}

fn everything<T: Stored>(connection: &Connection) -> Work<Vec<T>> {
    select(connection, &format!("SELECT {} FROM {}", select_list::<T>(), T::TABLE), [])
}

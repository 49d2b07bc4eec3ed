//! What the deployment has one of: epoch, secrets.

use sentinel_core::control::ControlChanges;
use sentinel_core::epoch::Epoch;
use sentinel_core::store::StoreError;
use sqlx::{PgConnection, PgPool, query, query_scalar};

use crate::error::Result;
use crate::migrations::Schema;
use crate::policy;
use crate::row::{Stored, all};
use crate::transaction::{Begin, Transaction};

/// The channel on which replicas hear of a new epoch.
pub(crate) const CHANNEL: &str = "sentinel_epoch";

pub(crate) async fn epoch(connection: &mut PgConnection) -> Result<Epoch> {
    let epoch: i64 = query_scalar("SELECT epoch FROM meta").fetch_one(connection).await?;
    Ok(Epoch(epoch.cast_unsigned()))
}

/// Begins the next epoch, and tells the other replicas once it is committed. The transaction holds
/// the epoch lock alone.
pub(crate) async fn advance(connection: &mut PgConnection) -> Result<Epoch> {
    let sql = "UPDATE meta SET epoch = epoch + 1
        RETURNING epoch, pg_notify('sentinel_epoch', epoch::text)::text";
    let epoch: i64 = query_scalar(sql).fetch_one(connection).await?;
    Ok(Epoch(epoch.cast_unsigned()))
}

/// What changed after `since`, in one snapshot of its own.
pub(crate) async fn snapshot(pool: &PgPool, since: Epoch) -> Result<ControlChanges> {
    let mut transaction = Transaction::begin(pool, "control_changes", Begin::Snapshot).await?;
    let changes = control_changes(&mut transaction, since).await;
    transaction.end(changes).await
}

/// What changed after `since`. The transaction sees one snapshot, or holds the epoch lock.
pub(crate) async fn control_changes(
    connection: &mut PgConnection,
    since: Epoch,
) -> Result<ControlChanges> {
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
        policy_data,
        rollouts,
    })
}

async fn changed<T: Stored>(connection: &mut PgConnection, since: Epoch) -> Result<Vec<T>> {
    all(connection, "WHERE epoch > $1", |query| query.bind(since.0.cast_signed())).await
}

pub(crate) async fn secret(pool: &PgPool, name: &str, candidate: [u8; 32]) -> Result<[u8; 32]> {
    let sql = "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    query(sql).bind(name).bind(candidate.as_slice()).execute(pool).await?;
    // A statement of its own: it sees what another replica committed meanwhile.
    let sql = "SELECT value FROM secrets WHERE name = $1";
    let value: Vec<u8> = query_scalar(sql).bind(name).fetch_one(pool).await?;
    value
        .try_into()
        .map_err(|_| StoreError::Corrupt("a secret does not have 32 bytes".to_owned()).into())
}

pub(crate) const PING: &str = "UPDATE meta SET pings = pings + 1";

/// Writes one row, so that the commit finds out whether the disk takes it.
pub(crate) async fn ping(pool: &PgPool, schema: Schema) -> Result<()> {
    query(schema.ping).execute(pool).await?;
    Ok(())
}

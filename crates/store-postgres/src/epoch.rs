//! The epoch of the store.

use sentinel_core::epoch::Epoch;
use sqlx::{PgConnection, query_scalar};

use crate::error::Result;

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

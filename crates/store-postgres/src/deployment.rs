//! What a deployment has one of: secrets, and whether the store works.

use async_trait::async_trait;
use sentinel_core::ports::{DeploymentStore, StoreError};
use sqlx::{PgPool, query, query_scalar};

use crate::error::Result as Work;
use crate::migrations::Schema;
use crate::store::PostgresStore;

#[async_trait]
impl DeploymentStore for PostgresStore {
    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let (pool, name) = (self.pool.clone(), name.to_owned());
        self.to_end(async move { secret(&pool, &name, candidate).await }).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let (pool, schema) = (self.urgent.clone(), self.schema);
        self.to_end(async move { ping(&pool, schema).await }).await
    }
}

async fn secret(pool: &PgPool, name: &str, candidate: [u8; 32]) -> Work<[u8; 32]> {
    let sql = "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    query(sql).bind(name).bind(candidate.as_slice()).execute(pool).await?;
    // A statement of its own: it sees what another replica committed meanwhile.
    let sql = "SELECT value FROM secrets WHERE name = $1";
    let value: Vec<u8> = query_scalar(sql).bind(name).fetch_one(pool).await?;
    value
        .try_into()
        .map_err(|_| StoreError::Corrupt("a secret does not have 32 bytes".to_owned()).into())
}

/// Writes one row, so that the commit finds out whether the disk takes it.
async fn ping(pool: &PgPool, schema: Schema) -> Work<()> {
    query(schema.ping).execute(pool).await?;
    Ok(())
}

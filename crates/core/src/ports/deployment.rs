//! The port of what a deployment has one of.

use async_trait::async_trait;

use super::error::StoreError;

/// Secrets that all replicas share, and whether the store works.
#[async_trait]
pub trait DeploymentStore: Send + Sync + std::fmt::Debug {
    /// The secret of that name, shared by all replicas: `candidate` becomes it when there is none.
    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError>;

    /// Whether the store can write at present.
    async fn ping(&self) -> Result<(), StoreError>;
}

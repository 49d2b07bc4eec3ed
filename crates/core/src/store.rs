//! The sum of the ports that every store implements; see [`crate::ports`] for the contract.

use crate::ports::control::ControlStore;
use crate::ports::decisions::DecisionStore;
use crate::ports::deployment::DeploymentStore;
use crate::ports::housekeeping::ExpiryStore;
use crate::ports::manifests::ManifestStore;
use crate::ports::policy::PolicyStore;
use crate::ports::quotas::QuotaStore;
use crate::ports::registry::RegistryStore;
use crate::ports::upstreams::UpstreamStore;

pub use crate::ports::error::{Conflict, StoreError};

/// Durable state of a deployment: what the composition root hands to the use cases, each of which
/// takes the ports it needs.
pub trait Store:
    ControlStore
    + DecisionStore
    + DeploymentStore
    + ExpiryStore
    + ManifestStore
    + PolicyStore
    + QuotaStore
    + RegistryStore
    + UpstreamStore
{
}

impl<T> Store for T where
    T: ControlStore
        + DecisionStore
        + DeploymentStore
        + ExpiryStore
        + ManifestStore
        + PolicyStore
        + QuotaStore
        + RegistryStore
        + UpstreamStore
{
}

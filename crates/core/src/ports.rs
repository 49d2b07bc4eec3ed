//! The ports of the store, one trait for each capability. A use case asks for the ports it needs
//! and no others. Two implementations exist, SQLite and PostgreSQL; one conformance suite
//! (`sentinel-testkit`) runs against both and defines what each method must do.
//!
//! # Contract
//! - When a method returns `Ok`, what it wrote is on disk.
//! - Every change of control state (tenants, tools, keys, kills, policy data, rollouts,
//!   upstreams) increments
//!   the epoch in its own transaction, under the epoch lock taken exclusively;
//!   [`DecisionStore::commit_decisions`] takes that lock shared. Hence no decision commits under an
//!   epoch other than the one it read.
//! - Lookups return `Ok(None)` when there is nothing. An error means only that the store could not
//!   be asked; a caller that is deciding denies.
//!
//! To add a capability, add a trait here, implement it beside its SQL in both stores, and add its
//! tests to the conformance suite. It joins [`Store`](crate::store::Store) when every store must
//! have it.

pub mod control;
pub mod decisions;
pub mod deployment;
pub mod error;
pub mod housekeeping;
pub mod log;
pub mod manifests;
pub mod payloads;
pub mod policy;
pub mod quotas;
pub mod registry;
pub mod upstreams;

pub use control::{ControlStore, Restored};
pub use decisions::DecisionStore;
pub use deployment::DeploymentStore;
pub use error::{Conflict, StoreError};
pub use housekeeping::{ExpiryStore, Upkeep};
pub use log::{LogStore, ReceiptStore, ShardStore, StatementStore};
pub use manifests::ManifestStore;
pub use payloads::PayloadStore;
pub use policy::{DataChange, PolicyStore, RecordedData, RolloutStep};
pub use quotas::QuotaStore;
pub use registry::{Registered, RegistryStore};
pub use upstreams::{PinChange, PinChanged, UpstreamStore};

/// The traits of all ports, for a caller that has a store and no trait object of one port.
pub mod prelude {
    pub use super::{
        ControlStore as _, DecisionStore as _, DeploymentStore as _, ExpiryStore as _,
        ManifestStore as _, PayloadStore as _, PolicyStore as _, QuotaStore as _,
        ReceiptStore as _, RegistryStore as _, ShardStore as _, StatementStore as _, Upkeep as _,
        UpstreamStore as _,
    };
}

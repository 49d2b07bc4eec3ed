//! What a server is made of: each part is opened or started here, from what the configuration says.

pub(crate) mod api_keys;
pub(crate) mod archiving;
pub(crate) mod backend;
pub(crate) mod carrier;
pub(crate) mod database;
pub(crate) mod fleet;
pub(crate) mod keys;
pub(crate) mod log_key;
pub(crate) mod metrics;
pub(crate) mod partitions;
pub(crate) mod payload_key;
pub(crate) mod policy_engine;
pub(crate) mod private_file;
pub(crate) mod signing_key;
pub(crate) mod task;

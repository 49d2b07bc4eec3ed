//! What a server is made of: each part is opened or started here, from what the configuration says.

pub(crate) mod archiving;
pub(crate) mod database;
pub(crate) mod fleet;
pub(crate) mod metrics;
pub(crate) mod payload_key;
pub(crate) mod policy_engine;
pub(crate) mod signing_key;

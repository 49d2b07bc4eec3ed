//! How a server runs: its parts are started, served, kept in order, and stopped.

pub(crate) mod clock;
pub(crate) mod event_log;
pub(crate) mod logging;
pub(crate) mod node;
pub(crate) mod server;

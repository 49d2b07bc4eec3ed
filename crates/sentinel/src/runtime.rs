//! How a server runs: its parts are started, served, kept in order, and stopped.

pub(crate) mod clock;
pub(crate) mod event_log;
pub(crate) mod listeners;
pub(crate) mod logging;
pub(crate) mod node;
mod policy_record;
mod signals;
pub(crate) mod tasks;

//! The configuration files of MCP clients: where they are, which servers they start, and the edit
//! that puts a server behind `sentinel mcp wrap` or takes it out again.
//!
//! An edit replaces only the bytes that it must: comments, order and layout stay as they are. What
//! it does can be undone from the edited text alone, so that [`Document::ungovern`] restores the
//! file byte for byte, also when other parts of it have been changed since.

mod client;
mod diff;
mod document;
mod entry;
mod error;
mod file;
mod format;
mod machine;
mod splice;

pub use client::{CLIENTS, Client, Location};
pub use diff::diff;
pub use document::{Document, Server, State};
pub use entry::Transport;
pub use error::Error;
pub use file::{ConfigFile, Saved, backup_of};
pub use format::Format;
pub use machine::{Machine, Os};
pub use splice::Wrapper;

//! A server over a real store and a policy that does as it is told, and a client for it.

mod answer;
mod app;
mod events;
mod policy;
mod store;
mod ws;

pub(crate) use answer::Answer;
pub(crate) use app::{App, Key, Wanted};
pub(crate) use policy::Mode;
pub(crate) use ws::websocket;

//! The sides of the gateway that face clients.

pub mod http;
mod shape;
pub mod stdio;
mod wants;

//! The sides of the gateway that face clients.

pub mod http;
mod shape;
mod wants;

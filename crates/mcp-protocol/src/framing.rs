//! How messages are delimited: one to a line on stdio, one to an event on a stream of server-sent
//! events. Both readers are bounded, whatever the other side writes.

pub mod lines;
pub mod sse;
#[cfg(test)]
mod tests;

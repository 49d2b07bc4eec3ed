//! The calls of the interface, by what they are about.

mod check;
mod decisions;
mod health;
mod keys;
mod kills;
mod policy;
mod provenance;
mod registry;
mod upstreams;

pub use decisions::DecisionFilter;
pub use health::Readiness;
pub use policy::Precondition;

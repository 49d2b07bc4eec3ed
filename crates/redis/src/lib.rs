//! What replicas share through Redis: events for each other's subscribers ([`RedisEvents`]) and
//! counts of rate limits ([`RedisRates`]).
//!
//! Nothing that is guaranteed rests on Redis. A kill holds because each commit reads the epoch in
//! the store; an event that is lost delays what a console shows. A rate limit that cannot be
//! counted denies, or falls to a share of its own.

mod connect;
mod counters;
mod events;
mod link;
mod queue;
mod rates;
mod read;
mod wire;
mod write;

pub use connect::{RedisError, RedisTarget, TlsFiles};
pub use counters::EventCounters;
pub use events::{EventSettings, RedisEvents};
pub use rates::{OnRedisLoss, RateCounters, RateSettings, RedisRates};

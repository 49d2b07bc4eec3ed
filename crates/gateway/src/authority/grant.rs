//! The right to send one request, which can be withdrawn until the reply is there.

use async_trait::async_trait;

pub use sentinel_service::calls::{Withdrawal, Withdrawn};

/// The right to send one request. Not `Clone`, and it is used up by sending.
///
/// The connection that sends the request does this, in this order:
///
/// 1. When it is about to write the bytes it calls [`Grant::start`], and holds what that returns
///    until they are written. A kill that is answered has waited for it, so nothing that the kill
///    covers is written after the kill returned.
/// 2. While it waits for the reply it waits for [`Grant::withdrawn`], too, and cancels the request
///    when that completes.
/// 3. It drops the grant when the call is over, which is what a kill waits for.
#[derive(Debug)]
pub struct Grant(Kind);

#[derive(Debug)]
enum Kind {
    /// Methods that need no decision: `initialize`, lists, `ping`.
    Lifecycle,
    Call(Box<dyn InFlight>),
}

/// An allowed call, as the authority that allowed it follows it. Dropping it ends the call.
#[async_trait]
pub trait InFlight: Send + Sync + std::fmt::Debug {
    /// Says that the request is about to be sent.
    ///
    /// # Errors
    /// When it may not be sent, or not any longer.
    async fn start(&self) -> Result<Started, Withdrawn>;

    /// Whether and why the call is to end.
    fn withdrawal(&self) -> Withdrawal;
}

/// The request is being written: held until it is.
#[must_use = "hold it until the request is written"]
pub struct Started(
    #[allow(dead_code, reason = "held for what its drop does")] Option<Box<dyn Send + Sync>>,
);

impl Grant {
    /// The grant of an allowed call. Only an [`Authority`](super::Authority) has one to give.
    #[must_use]
    pub fn new(call: Box<dyn InFlight>) -> Self {
        Self(Kind::Call(call))
    }

    /// For requests that ask the server what it offers, and call nothing.
    #[must_use]
    pub const fn lifecycle() -> Self {
        Self(Kind::Lifecycle)
    }

    /// Whether it permits no more than asking the server what it offers.
    #[must_use]
    pub const fn is_lifecycle(&self) -> bool {
        matches!(self.0, Kind::Lifecycle)
    }

    /// Says that the request is about to be written.
    ///
    /// # Errors
    /// When the call was withdrawn, or its decision is too old: then nothing may be written.
    pub async fn start(&self) -> Result<Started, Withdrawn> {
        match &self.0 {
            Kind::Lifecycle => Ok(Started::free()),
            Kind::Call(call) => call.start().await,
        }
    }

    /// Whether and why the call is to end.
    #[must_use]
    pub fn withdrawal(&self) -> Withdrawal {
        match &self.0 {
            Kind::Lifecycle => Withdrawal::default(),
            Kind::Call(call) => call.withdrawal(),
        }
    }

    /// Completes when the call is to end: a kill covers it, for example.
    pub async fn withdrawn(&self) -> Withdrawn {
        self.withdrawal().wait().await
    }
}

impl Started {
    /// Holds `guard` until the request is written.
    pub fn holding(guard: impl Send + Sync + 'static) -> Self {
        Self(Some(Box::new(guard)))
    }

    /// Nothing waits for the request to be written.
    pub const fn free() -> Self {
        Self(None)
    }
}

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Started")
    }
}

//! Schemes of authentication, and how a list of them decides.

use std::fmt;

use http::HeaderMap;
use http::request::Parts;
use sentinel_core::principal::Principal;
use sentinel_service::keys::Keys;

use crate::problem::Problem;

/// What one scheme found in a request.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The request does not use the scheme.
    NotRequested,
    Authenticated(Principal),
    /// The request uses the scheme, and what it presents is not valid.
    Failed(Problem),
}

/// A way in which a request says who sends it.
pub(super) trait Scheme: fmt::Debug + Sync {
    /// Whether the request uses the scheme, whatever it presents. Where this is false,
    /// [`Scheme::authenticate`] returns [`Attempt::NotRequested`].
    fn is_requested(&self, headers: &HeaderMap) -> bool;

    /// Reads what the request presents, and looks it up.
    fn authenticate(&self, parts: &Parts, registry: &dyn Registry) -> Attempt;
}

/// Where credentials are looked up, in memory.
pub(super) trait Registry {
    /// The holder of this API key; `None` when it is unknown or revoked.
    fn key(&self, presented: &str) -> Option<Principal>;
}

impl Registry for Keys {
    fn key(&self, presented: &str) -> Option<Principal> {
        Keys::authenticate(self, presented)
    }
}

/// The caller of a request, by the first of `schemes` that the request uses.
///
/// # Errors
/// When the request uses none, what it presents is not valid, or it uses another scheme besides:
/// two parties that read different headers would take it for two callers.
pub(super) fn authenticate(
    schemes: &[&dyn Scheme],
    parts: &Parts,
    registry: &dyn Registry,
) -> Result<Principal, Problem> {
    let mut schemes = schemes.iter();
    let attempt = schemes.find_map(|scheme| match scheme.authenticate(parts, registry) {
        Attempt::NotRequested => None,
        Attempt::Authenticated(principal) => Some(Ok(principal)),
        Attempt::Failed(problem) => Some(Err(problem)),
    });
    if schemes.any(|scheme| scheme.is_requested(&parts.headers)) {
        return Err(more_than_one());
    }
    attempt.unwrap_or_else(|| Err(Problem::unauthenticated()))
}

pub(super) fn more_than_one() -> Problem {
    Problem::invalid_key("more than one key is presented; present one")
}

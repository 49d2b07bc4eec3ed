//! Parameters of paths.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use crate::problem::Problem;

/// The last parameter of the path, parsed.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let invalid = || {
            Problem::bad_request(
                "invalid_id",
                "the last part of the path is not a valid identifier",
            )
        };
        let params =
            RawPathParams::from_request_parts(parts, state).await.map_err(|_| invalid())?;
        let id = params.iter().last().and_then(|(_, text)| text.parse().ok());
        id.map(Self).ok_or_else(invalid)
    }
}

//! The authenticated caller of a request.

use axum::extract::FromRequestParts;
use http::request::Parts;
use sentinel_core::principal::{Principal, Role};

use super::scheme::{self, Scheme};
use crate::front_door::{BehindFrontDoor, FrontDoor};
use crate::limits;
use crate::problem::Problem;

/// The authenticated caller. As a handler's argument it refuses requests without a valid
/// credential.
#[derive(Debug)]
pub struct Caller(Principal);

impl Caller {
    /// Authenticates a request, and counts it among those of its caller.
    ///
    /// # Errors
    /// When it presents no valid credential, or its caller has too many requests under way.
    pub fn authenticate(door: &FrontDoor, parts: &Parts) -> Result<Self, Problem> {
        Self::by(door.auth.schemes(), door, parts)
    }

    pub(super) fn by(
        schemes: &[&dyn Scheme],
        door: &FrontDoor,
        parts: &Parts,
    ) -> Result<Self, Problem> {
        let principal = scheme::authenticate(schemes, parts, &door.services.keys);
        let principal = principal.map_err(limits::refused)?;
        limits::authenticated(&principal)?;
        Ok(Self(principal))
    }

    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.0
    }

    #[must_use]
    pub fn into_principal(self) -> Principal {
        self.0
    }

    /// Refuses a caller that has none of `roles`; `admin` includes them all.
    ///
    /// # Errors
    /// `role_forbidden`.
    pub fn require(&self, roles: &[Role]) -> Result<(), Problem> {
        if self.0.has_role(roles) {
            return Ok(());
        }
        let own: Vec<_> = self.0.roles().iter().map(Role::as_str).collect();
        let mut names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        names.push(Role::Admin.as_str());
        let detail = format!(
            "a key of role `{}` may not do this; it takes one of: {}",
            own.join(", "),
            names.join(", "),
        );
        Err(Problem::forbidden("role_forbidden", detail))
    }

    /// Refuses a caller that is bound to a tenant, where the response is about all of them.
    ///
    /// # Errors
    /// `tenant_forbidden`.
    pub fn require_unbound(&self) -> Result<(), Problem> {
        if self.0.tenant().is_none() {
            return Ok(());
        }
        let detail = "the key is bound to a tenant, and this is about the whole deployment";
        Err(Problem::forbidden("tenant_forbidden", detail))
    }
}

impl<S: BehindFrontDoor> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Self::authenticate(state.front_door(), parts)
    }
}

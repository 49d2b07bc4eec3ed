//! Who is calling, and whether they may.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use sentinel_core::principal::{Principal, Role};
use sentinel_service::Services;

use crate::app::Shared;
use crate::limits;
use crate::problem::Problem;

mod host;
mod socket;

pub(crate) use host::HostGuard;
pub(crate) use socket::{PROTOCOL, SocketCaller};

/// Whether callers must show a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Every route but health and the discovery documents needs an API key.
    Keys,
    /// Everyone is an unauthenticated administrator. Only for loopback, during development;
    /// whoever builds the router answers for that.
    Off,
}

/// The authenticated caller. As a handler's argument it refuses whoever shows no valid key.
#[derive(Debug)]
pub(crate) struct Caller(Principal);

impl Caller {
    /// Whose key it is that `shown` finds in the request.
    fn of<'a>(
        app: &Shared,
        shown: impl FnOnce() -> Result<&'a str, Problem>,
    ) -> Result<Self, Problem> {
        if app.options.auth == AuthMode::Off {
            limits::authenticated(&Principal::LOCAL)?;
            return Ok(Self(Principal::LOCAL));
        }
        let shown = shown().map_err(limits::refused)?;
        let Some(principal) = app.services.keys.authenticate(shown) else {
            return Err(limits::refused(Problem::invalid_key("the key is unknown or revoked")));
        };
        limits::authenticated(&principal)?;
        Ok(Self(principal))
    }

    pub(crate) const fn principal(&self) -> &Principal {
        &self.0
    }

    pub(crate) fn into_principal(self) -> Principal {
        self.0
    }

    /// Refuses a caller whose role is none of `roles`; `admin` always may.
    pub(crate) fn require(&self, roles: &[Role]) -> Result<(), Problem> {
        if self.0.has_role(roles) {
            return Ok(());
        }
        let mut names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        names.push(Role::Admin.as_str());
        let detail = format!(
            "a key of role `{}` may not do this; it takes one of: {}",
            self.0.roles().iter().map(Role::as_str).collect::<Vec<_>>().join(", "),
            names.join(", "),
        );
        Err(Problem::forbidden("role_forbidden", detail))
    }

    /// Refuses a caller that is bound to a tenant, where the answer is about all of them.
    pub(crate) fn require_unbound(&self) -> Result<(), Problem> {
        if self.0.tenant().is_none() {
            return Ok(());
        }
        let detail = "the key is bound to a tenant, and this is about the whole deployment";
        Err(Problem::forbidden("tenant_forbidden", detail))
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        refuse_other_sites(&parts.headers, app)?;
        Self::of(app, || presented(&parts.headers))
    }
}

/// Where no key is needed, any page that a developer has open could ask in their name, if only by an
/// image whose address is a check. Browsers say that of a request, and nothing a page does unsays it.
fn refuse_other_sites(headers: &HeaderMap, app: &Shared) -> Result<(), Problem> {
    let from = headers.get("sec-fetch-site");
    if app.options.auth == AuthMode::Off && from.is_some_and(|site| site == "cross-site") {
        let detail = "without authentication, no page of another site may ask";
        return Err(Problem::forbidden("origin_forbidden", detail));
    }
    Ok(())
}

/// Whether the key that `principal` showed was revoked since; for answers that take long.
pub(crate) fn is_revoked(services: &Services, principal: &Principal) -> bool {
    !services.control.current().vouches_for(principal.credential())
}

/// The one key that the request shows.
fn presented(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut shown = headers.get_all(AUTHORIZATION).iter().map(|value| (true, value));
    let mut plain = headers.get_all(API_KEY).iter().map(|value| (false, value));
    let first = shown.next().or_else(|| plain.next());
    let Some((is_authorization, value)) = first else {
        return Err(Problem::unauthenticated());
    };
    if shown.next().or_else(|| plain.next()).is_some() {
        return Err(more_than_one());
    }
    let text = value.to_str().map_err(|_| malformed())?;
    if !is_authorization {
        return well_formed(text);
    }
    let (scheme, key) = text.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed());
    }
    well_formed(key)
}

/// The key, when it can be one.
fn well_formed(key: &str) -> Result<&str, Problem> {
    let is_key = key.len() <= MAX_KEY
        && key.starts_with("snt_")
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_key { Ok(key) } else { Err(malformed()) }
}

fn malformed() -> Problem {
    Problem::invalid_key("the credentials are malformed; send `Authorization: Bearer snt_…`")
}

fn more_than_one() -> Problem {
    Problem::invalid_key("more than one key is presented; present one")
}

/// The header that holds a key and nothing else.
pub(crate) const API_KEY: &str = "x-api-key";
/// No key is longer, in bytes.
const MAX_KEY: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn one_key_is_found_in_either_header() {
        let bearer = headers(&[("authorization", "Bearer snt_agent_x-Y_1")]);
        assert_eq!(presented(&bearer).unwrap(), "snt_agent_x-Y_1");
        let lower = headers(&[("authorization", "bearer snt_agent_x")]);
        assert_eq!(presented(&lower).unwrap(), "snt_agent_x");
        let plain = headers(&[("x-api-key", "snt_agent_x")]);
        assert_eq!(presented(&plain).unwrap(), "snt_agent_x");
    }

    #[test]
    fn anything_else_is_refused() {
        let refused: &[&[(&str, &str)]] = &[
            &[],
            &[("authorization", "snt_agent_x")],
            &[("authorization", "Basic snt_agent_x")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer  snt_agent_x")],
            &[("authorization", "Bearer snt_agent_x, Bearer snt_admin_y")],
            &[("authorization", "Bearer other_agent_x")],
            &[("authorization", "Bearer snt_a"), ("authorization", "Bearer snt_a")],
            &[("authorization", "Bearer snt_a"), ("x-api-key", "snt_a")],
            &[("x-api-key", "snt_a"), ("x-api-key", "snt_b")],
            &[("x-api-key", "")],
            &[("x-api-key", "Bearer snt_a")],
        ];
        for case in refused {
            assert!(presented(&headers(case)).is_err(), "{case:?}");
        }
    }

    #[test]
    fn a_key_of_any_length_is_not_hashed() {
        let mut headers = HeaderMap::new();
        let long = format!("snt_{}", "a".repeat(MAX_KEY));
        headers.insert("x-api-key", HeaderValue::from_str(&long).unwrap());
        assert!(presented(&headers).is_err());
    }
}

//! Callers that need no credential, on loopback during development.
//!
//! Any page that a developer has open could send requests in the developer's name, if only by an
//! image whose address is a check. Browsers say where a request comes from, and a page cannot
//! change what they say.

use http::HeaderMap;
use http::request::Parts;
use sentinel_core::principal::Principal;

use super::scheme::{Attempt, Registry, Scheme};
use crate::host::is_same_origin;
use crate::problem::Problem;

/// Any request, unless a page of another site sends it.
#[derive(Debug)]
pub(super) struct Local;

impl Scheme for Local {
    fn is_requested(&self, _: &HeaderMap) -> bool {
        true
    }

    fn authenticate(&self, parts: &Parts, _: &dyn Registry) -> Attempt {
        let from = parts.headers.get("sec-fetch-site");
        if from.is_some_and(|site| site == "cross-site") {
            let detail = "without authentication, no page of another site may ask";
            return Attempt::Failed(Problem::forbidden("origin_forbidden", detail));
        }
        Attempt::Authenticated(Principal::LOCAL)
    }
}

/// Any WebSocket, unless a page of another origin opens it: browsers let a page read what comes
/// from any server.
#[derive(Debug)]
pub(super) struct LocalSocket;

impl Scheme for LocalSocket {
    fn is_requested(&self, _: &HeaderMap) -> bool {
        true
    }

    fn authenticate(&self, parts: &Parts, registry: &dyn Registry) -> Attempt {
        if !is_same_origin(parts) {
            let detail = "without authentication, no page of another origin may listen";
            return Attempt::Failed(Problem::forbidden("origin_forbidden", detail));
        }
        Local.authenticate(parts, registry)
    }
}

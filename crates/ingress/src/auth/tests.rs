//! Which combinations of headers authenticate whom.

use std::sync::Arc;

use http::Request;
use http::request::Parts;
use rstest::rstest;
use sentinel_core::id::KeyId;
use sentinel_core::principal::{ApiKey, KeyHash, Principal, Role};
use uuid::Uuid;

use super::AuthMode;
use super::scheme::{Registry, Scheme, authenticate};

/// Knows the keys `snt_agent_a` and `snt_agent_b`.
struct TwoKeys;

impl Registry for TwoKeys {
    fn key(&self, presented: &str) -> Option<Principal> {
        let number = match presented {
            "snt_agent_a" => 1,
            "snt_agent_b" => 2,
            _ => return None,
        };
        Some(Principal::of_key(Arc::new(ApiKey {
            id: KeyId(Uuid::from_u128(number)),
            hash: KeyHash::of(presented),
            name: "test".parse().unwrap(),
            role: Role::Agent,
            tenant_id: None,
            agent: None,
            owner: None,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            revoked_at: None,
        })))
    }
}

fn parts(headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().uri("/v1/ws");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// `key 1`, `local`, or why the request is refused.
fn found(schemes: &[&dyn Scheme], headers: &[(&str, &str)]) -> String {
    match authenticate(schemes, &parts(headers), &TwoKeys) {
        Ok(principal) => match principal.key() {
            Some(key) => format!("key {}", key.id.0.as_u128()),
            None => "local".to_owned(),
        },
        Err(problem) => {
            let (status, code, detail) = problem.parts();
            let detail = detail.split(';').next().unwrap_or_default();
            format!("{status} {code}: {detail}")
        }
    }
}

const NONE: &str = "401 unauthenticated: an API key is needed";
const MALFORMED: &str = "401 invalid_key: the credentials are malformed";
const UNKNOWN: &str = "401 invalid_key: the key is unknown or revoked";
const SEVERAL: &str = "401 invalid_key: more than one key is presented";

const AUTHORIZATION: &str = "authorization";
const API_KEY: &str = "x-api-key";
const PROTOCOL: &str = "sec-websocket-protocol";

#[rstest]
#[case(&[], NONE)]
#[case(&[(AUTHORIZATION, "Bearer snt_agent_a")], "key 1")]
#[case(&[(AUTHORIZATION, "bearer snt_agent_b")], "key 2")]
#[case(&[(API_KEY, "snt_agent_a")], "key 1")]
#[case(&[(AUTHORIZATION, "Bearer snt_agent_c")], UNKNOWN)]
#[case(&[(API_KEY, "snt_agent_c")], UNKNOWN)]
#[case(&[(AUTHORIZATION, "snt_agent_a")], MALFORMED)]
#[case(&[(AUTHORIZATION, "Basic snt_agent_a")], MALFORMED)]
#[case(&[(AUTHORIZATION, "Bearer")], MALFORMED)]
#[case(&[(AUTHORIZATION, "Bearer ")], MALFORMED)]
#[case(&[(AUTHORIZATION, "Bearer  snt_agent_a")], MALFORMED)]
#[case(&[(AUTHORIZATION, "Bearer snt_agent_a, Bearer snt_agent_b")], MALFORMED)]
#[case(&[(AUTHORIZATION, "Bearer other_agent_a")], MALFORMED)]
#[case(&[(API_KEY, "")], MALFORMED)]
#[case(&[(API_KEY, "Bearer snt_agent_a")], MALFORMED)]
#[case(&[(AUTHORIZATION, "Bearer snt_agent_a"), (AUTHORIZATION, "Bearer snt_agent_a")], SEVERAL)]
#[case(&[(API_KEY, "snt_agent_a"), (API_KEY, "snt_agent_b")], SEVERAL)]
// A failed scheme never falls through to a valid one, nor does a valid one hide another.
#[case(&[(AUTHORIZATION, "Bearer snt_agent_a"), (API_KEY, "snt_agent_a")], SEVERAL)]
#[case(&[(AUTHORIZATION, "Bearer snt_agent_c"), (API_KEY, "snt_agent_a")], SEVERAL)]
#[case(&[(AUTHORIZATION, "Basic x"), (API_KEY, "snt_agent_a")], SEVERAL)]
#[case(&[(AUTHORIZATION, "Bearer snt_agent_a"), (API_KEY, "")], SEVERAL)]
// A subprotocol is a credential of a WebSocket only.
#[case(&[(PROTOCOL, "bearer.snt_agent_a")], NONE)]
#[case(&[(PROTOCOL, "bearer.snt_agent_b"), (API_KEY, "snt_agent_a")], "key 1")]
fn a_request_has_one_caller(#[case] headers: &[(&str, &str)], #[case] expected: &str) {
    assert_eq!(found(AuthMode::Keys.schemes(), headers), expected);
}

#[rstest]
#[case(&[], NONE)]
#[case(&[(PROTOCOL, "sentinel.v1")], NONE)]
#[case(&[(PROTOCOL, "sentinel.v1, bearer.snt_agent_a")], "key 1")]
#[case(&[(PROTOCOL, "sentinel.v1"), (PROTOCOL, "bearer.snt_agent_b")], "key 2")]
#[case(&[(PROTOCOL, "sentinel.v1"), (AUTHORIZATION, "Bearer snt_agent_a")], "key 1")]
#[case(&[(PROTOCOL, "sentinel.v1"), (API_KEY, "snt_agent_a")], "key 1")]
#[case(&[(PROTOCOL, "bearer.snt_agent_c")], UNKNOWN)]
#[case(&[(PROTOCOL, "bearer.")], MALFORMED)]
#[case(&[(PROTOCOL, "bearer.snt_agent_a, bearer.snt_agent_a")], SEVERAL)]
#[case(&[(PROTOCOL, "bearer.snt_agent_a"), (AUTHORIZATION, "Bearer snt_agent_a")], SEVERAL)]
#[case(&[(PROTOCOL, "bearer.snt_agent_c"), (API_KEY, "snt_agent_a")], SEVERAL)]
#[case(&[(PROTOCOL, "bearer."), (API_KEY, "snt_agent_a")], SEVERAL)]
fn a_websocket_has_one_caller(#[case] headers: &[(&str, &str)], #[case] expected: &str) {
    assert_eq!(found(AuthMode::Keys.socket_schemes(), headers), expected);
}

const OTHER_SITE: &str =
    "403 origin_forbidden: without authentication, no page of another site may ask";
const OTHER_ORIGIN: &str =
    "403 origin_forbidden: without authentication, no page of another origin may listen";
const HOST: (&str, &str) = ("host", "localhost:8000");

#[rstest]
#[case(&[], "local", "local")]
#[case(&[(AUTHORIZATION, "Bearer snt_agent_a")], "local", "local")]
#[case(&[("sec-fetch-site", "same-origin")], "local", "local")]
#[case(&[("sec-fetch-site", "cross-site")], OTHER_SITE, OTHER_SITE)]
#[case(&[HOST, ("origin", "http://localhost:8000")], "local", "local")]
#[case(&[HOST, ("origin", "http://attacker.example")], "local", OTHER_ORIGIN)]
#[case(&[HOST, ("origin", "null")], "local", OTHER_ORIGIN)]
fn without_authentication_only_own_pages_are_served(
    #[case] headers: &[(&str, &str)],
    #[case] request: &str,
    #[case] socket: &str,
) {
    assert_eq!(found(AuthMode::Off.schemes(), headers), request);
    assert_eq!(found(AuthMode::Off.socket_schemes(), headers), socket);
}

#[test]
fn what_cannot_be_a_key_is_not_looked_up() {
    /// Accepts everything.
    struct Any;
    impl Registry for Any {
        fn key(&self, _: &str) -> Option<Principal> {
            Some(Principal::LOCAL)
        }
    }
    let longest = format!("snt_{}", "a".repeat(124));
    for (key, is_key) in
        [(longest.clone(), true), (format!("{longest}a"), false), ("snt_a b".to_owned(), false)]
    {
        let found = authenticate(AuthMode::Keys.schemes(), &parts(&[(API_KEY, &key)]), &Any);
        assert_eq!(found.is_ok(), is_key, "{key}");
    }
}

//! What OPA returns, read strictly: anything that is not exactly a response is a deny.

use std::sync::Arc;

use sentinel_core::json::{self, Limits};
use sentinel_core::policy::{PolicyDecision, PolicyError};
use serde_json::{Map, Value};

use sentinel_policy_analysis::interpreter::{self, json_value};

/// The revision of an OPA that runs no bundle.
const NO_REVISION: &str = "opa";
const MAX_REVISION: usize = 128;
/// What a response may hold; more than any decision document.
pub(super) const LIMITS: Limits = Limits { max_bytes: 256 * 1024, ..Limits::REQUEST };

/// A response of the data API.
#[derive(Debug)]
pub(super) struct Response {
    /// Absent when undefined.
    result: Option<Value>,
    pub(super) revision: Arc<str>,
}

impl Response {
    /// # Errors
    /// When it is not a JSON object, or larger than [`LIMITS`] allow.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, PolicyError> {
        let malformed = |detail: String| PolicyError::Malformed(detail);
        let fields: Map<String, Value> = match json::parse(bytes, &LIMITS) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => {
                return Err(malformed("OPA returned something other than an object".to_owned()));
            }
            // Its detail would repeat the response.
            Err(error) => return Err(malformed(format!("OPA's response: {}", error.code()))),
        };
        let mut fields = fields;
        let revision = fields.get("provenance").map_or_else(|| NO_REVISION.to_owned(), revision);
        Ok(Self { result: fields.remove("result"), revision: revision.into() })
    }

    /// The decision that it is.
    pub(super) fn decision(&self) -> Result<PolicyDecision, PolicyError> {
        let document = self.result.as_ref().ok_or(PolicyError::Undefined)?;
        interpreter::decision(&json_value(document), &self.revision)
    }
}

/// The revision of the bundle, or of each of several.
fn revision(provenance: &Value) -> String {
    let bundles = provenance.get("bundles").and_then(Value::as_object);
    let of = |bundle: &Value| bundle.get("revision").and_then(Value::as_str).map(str::to_owned);
    let known: Vec<(&String, String)> = bundles
        .into_iter()
        .flatten()
        .filter_map(|(name, bundle)| Some((name, of(bundle).filter(|text| !text.is_empty())?)))
        .collect();
    let text = match known.as_slice() {
        [] => of(provenance).unwrap_or_default(),
        [(_, one)] => one.clone(),
        several => {
            let each = several.iter().map(|(name, revision)| format!("{name}={revision}"));
            each.collect::<Vec<_>>().join(",")
        }
    };
    let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_REVISION).collect();
    if text.is_empty() { NO_REVISION.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision_of(response: &str) -> String {
        Response::read(response.as_bytes()).unwrap().revision.as_ref().to_owned()
    }

    #[test]
    fn the_revision_is_that_of_the_bundle() {
        assert_eq!(revision_of("{}"), "opa");
        assert_eq!(revision_of(r#"{"provenance":{"version":"1.2.3"}}"#), "opa");
        assert_eq!(revision_of(r#"{"provenance":{"revision":"old"}}"#), "old");
        assert_eq!(revision_of(r#"{"provenance":{"bundles":{"b":{"revision":""}}}}"#), "opa");
        let one = r#"{"provenance":{"bundles":{"b":{"revision":"r1\n"},"c":{}}}}"#;
        assert_eq!(revision_of(one), "r1");
        let two = r#"{"provenance":{"bundles":{"b":{"revision":"r1"},"c":{"revision":"r2"}}}}"#;
        assert_eq!(revision_of(two), "b=r1,c=r2");
    }

    #[test]
    fn only_an_object_without_repeated_keys_is_a_response() {
        for bad in ["", "[]", "true", "{", r#"{"result":1,"result":2}"#, "<html>"] {
            assert!(
                matches!(Response::read(bad.as_bytes()), Err(PolicyError::Malformed(_))),
                "{bad}"
            );
        }
        let undefined = Response::read(b"{}").unwrap().decision();
        assert_eq!(undefined, Err(PolicyError::Undefined));
        let text = Response::read(br#"{"result":"yes"}"#).unwrap().decision();
        assert!(matches!(text, Err(PolicyError::Malformed(_))));
    }
}

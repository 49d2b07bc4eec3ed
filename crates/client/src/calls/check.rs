use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use sentinel_api::{
    CheckAnswer, CheckRequest, RedeemAnswer, RedeemRequest, ResumeAnswer, ResumeRequest,
};
use sentinel_core::decision::ReasonCode;

use crate::client::json;
use crate::{Client, Error};

/// The longest deadline that a server takes. Milliseconds.
const MAX_DEADLINE_MS: u128 = 600_000;

impl Client {
    /// Has a call decided, counted and recorded. A deny is an answer, not an error: read `allow`.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a decision. None of these is
    /// an allow. An unknown tenant or tool is an error with status 404, whose `decision_id` names
    /// the recorded deny.
    pub async fn check(&self, call: &CheckRequest) -> Result<CheckAnswer<'static>, Error> {
        let body = serde_json::to_vec(call).map_err(Error::Unwritable)?;
        // A check that is not decided by the deadline is dropped by the server: it counts nothing.
        let patience = self.timeout().as_millis().min(MAX_DEADLINE_MS);
        let request = self
            .request(Method::POST, &["policy", "check"], &[])?
            .header("x-request-timeout-ms", patience.to_string())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let response = self.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(not_a_decision(format_args!("status {}", response.status())));
        }
        decision(&self.body(response).await?)
    }

    /// Uses a permit up, before the call is made: with a permit, a call may be made once.
    ///
    /// # Errors
    /// When the server does not answer, refuses the permit, or its answer cannot be read: then the
    /// call must not be made.
    pub async fn redeem(&self, request: &RedeemRequest<'_>) -> Result<RedeemAnswer, Error> {
        let answer: RedeemAnswer = self.post(&["v1", "permits", "redeem"], request).await?;
        if !answer.redeemed || answer.tool_id != request.tool_id {
            return Err(Error::malformed("a redeemed permit", "it is of something else"));
        }
        Ok(answer)
    }

    /// Asks, right before a call is sent again, whether it may go on by the allow that it got. It is
    /// not counted again.
    ///
    /// # Errors
    /// When the server does not answer, refuses it, or its answer cannot be read: then the call must
    /// not go on.
    pub async fn resume(&self, request: &ResumeRequest) -> Result<ResumeAnswer, Error> {
        let answer: ResumeAnswer = self.post(&["v1", "permits", "resume"], request).await?;
        if !answer.resumed || answer.decision_id != request.decision_id {
            return Err(Error::malformed("a resumed call", "it is another one"));
        }
        Ok(answer)
    }
}

/// The decision in the body of an answer. An allow that contradicts itself is not one.
fn decision(body: &[u8]) -> Result<CheckAnswer<'static>, Error> {
    let answer: CheckAnswer<'static> = json(body)?;
    if answer.allow && answer.code != ReasonCode::Allowed {
        return Err(not_a_decision(format_args!("an allow with the code `{}`", answer.code)));
    }
    Ok(answer)
}

fn not_a_decision(cause: impl std::fmt::Display) -> Error {
    Error::malformed("a decision", cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: &str = r#"{"allow":true,"code":"allowed","reason":"ok","quota_remaining":4,
        "decision_id":"00000000-0000-0000-0000-000000000001","reasons":[],"obligations":[],
        "policy_revision":"1.0","permit":"p","of_a_newer_version":1}"#;

    #[test]
    fn only_a_complete_and_consistent_allow_is_one() {
        assert!(decision(ALLOW.as_bytes()).unwrap().allow);
        for (from, to) in [
            ("true", "false"),
            ("true", "\"true\""),
            ("true", "1"),
            ("true", "null"),
            ("\"allow\":true,", ""),
            ("\"allow\":true", "\"allow\":true,\"allow\":false"),
            ("\"allow\"", "\"Allow\""),
            ("\"allowed\"", "\"killed\""),
            ("\"allowed\"", "\"of_tomorrow\""),
            ("\"code\":\"allowed\",", ""),
            ("\"reason\":\"ok\",", ""),
            ("000000000001", "00000000000x"),
            ("\"reasons\":[],", ""),
            ("\"of_a_newer_version\":1}", "\"of_a_newer_version\":1"),
        ] {
            let text = ALLOW.replace(from, to);
            assert_ne!(text, ALLOW, "{from}");
            assert!(!decision(text.as_bytes()).is_ok_and(|answer| answer.allow), "{text}");
        }
        for other in ["", "true", "[]", "{}", "{\"allow\":true}", "<html>allow</html>"] {
            assert!(decision(other.as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn a_deny_with_a_code_of_a_newer_server_is_a_deny() {
        let text = ALLOW.replace("true", "false").replace("\"allowed\"", "\"of_tomorrow\"");
        let answer = decision(text.as_bytes()).unwrap();
        assert_eq!((answer.allow, answer.code.as_str()), (false, "of_tomorrow"));
    }
}

//! The response to the gateway, and what the gateway shows to the tool and to the agent.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value};
use envoy_types::pb::google::rpc::Status;
use http::StatusCode;
use sentinel_core::audit::DecisionRecord;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::received::RequestId;

const DECISION_ID: &str = "x-sentinel-decision-id";
const PERMIT: &str = "x-sentinel-permit";

/// The codes of `google.rpc.Status`.
mod code {
    pub(super) const OK: i32 = 0;
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const ABORTED: i32 = 10;
    pub(super) const INTERNAL: i32 = 13;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// Lets the gateway forward the call. The tool gets the permit, the agent the decision's
/// identifier; the gateway replaces what either header held before.
pub(super) fn allowed(decision: &DecisionRecord, permit: String) -> CheckResponse {
    let id = decision.id.to_string();
    let response = OkHttpResponse {
        headers: vec![header(DECISION_ID, id.clone()), header(PERMIT, permit)],
        response_headers_to_add: vec![header(DECISION_ID, id)],
        ..OkHttpResponse::default()
    };
    CheckResponse {
        status: Some(Status { code: code::OK, ..Status::default() }),
        dynamic_metadata: Some(metadata(decision)),
        http_response: Some(HttpResponse::OkResponse(response)),
    }
}

/// Has the gateway send the problem to the agent.
pub(super) fn denied(
    problem: Problem,
    decision: Option<&DecisionRecord>,
    request_id: &RequestId,
) -> CheckResponse {
    let (code, status) = statuses(problem.status());
    let problem = if problem.status() == StatusCode::UNAUTHORIZED {
        let detail = "the gateway shows no valid key, so nothing is decided for it";
        Problem::forbidden(problem.parts().1, detail)
    } else {
        problem.with_status(status)
    };
    let mut headers = vec![
        header("content-type", "application/problem+json".to_owned()),
        header("cache-control", "no-store".to_owned()),
        header("x-request-id", request_id.0.to_string()),
    ];
    headers.extend(decision.map(|decision| header(DECISION_ID, decision.id.to_string())));
    headers.extend(problem.retry_after().map(|wait| header("retry-after", wait.to_string())));
    let (_, reason, _) = problem.parts();
    let response = DeniedHttpResponse {
        status: Some(HttpStatus { code: status.as_u16().into() }),
        headers,
        body: problem.document(&request_id.0, true),
    };
    CheckResponse {
        status: Some(Status { code, message: reason.to_owned(), details: Vec::new() }),
        dynamic_metadata: Some(decision.map_or_else(|| refusal(reason), metadata)),
        http_response: Some(HttpResponse::DeniedResponse(response)),
    }
}

/// The code for the gateway and the status for its client, none of which lets a call through.
fn statuses(status: StatusCode) -> (i32, StatusCode) {
    match status {
        // The gateway showed no valid key, which its client cannot change.
        StatusCode::UNAUTHORIZED => (code::UNAUTHENTICATED, StatusCode::FORBIDDEN),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            (code::INVALID_ARGUMENT, StatusCode::BAD_REQUEST)
        }
        StatusCode::CONFLICT => (code::ABORTED, status),
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => {
            (code::RESOURCE_EXHAUSTED, status)
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => {
            (code::UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE)
        }
        StatusCode::INTERNAL_SERVER_ERROR => (code::INTERNAL, status),
        _ => (code::PERMISSION_DENIED, StatusCode::FORBIDDEN),
    }
}

fn header(key: &str, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: key.to_owned(), value, raw_value: Vec::new() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}

/// For the gateway's access log and for the filters behind this one.
fn metadata(decision: &DecisionRecord) -> Struct {
    let text = |text: &str| Kind::StringValue(text.to_owned());
    let known = [
        ("allow", Some(Kind::BoolValue(decision.allow))),
        ("code", Some(text(decision.code.as_str()))),
        ("decision_id", Some(Kind::StringValue(decision.id.to_string()))),
        ("tenant", Some(text(decision.tenant.as_str()))),
        ("tool", Some(text(decision.tool.as_str()))),
        ("action", Some(text(decision.action.as_str()))),
        ("agent", decision.agent.as_ref().map(|agent| text(agent.as_str()))),
        ("policy_revision", decision.policy_revision.as_deref().map(text)),
        ("obligations", Some(list(decision.obligations()))),
    ];
    fields(known.into_iter().filter_map(|(name, kind)| Some((name, kind?))))
}

/// The same for what was refused before it could be decided.
fn refusal(code: &str) -> Struct {
    let known = [("allow", Kind::BoolValue(false)), ("code", Kind::StringValue(code.to_owned()))];
    fields(known.into_iter())
}

fn list(values: &[serde_json::Value]) -> Kind {
    let values = values.iter().map(|value| Value { kind: Some(kind(value)) }).collect();
    Kind::ListValue(ListValue { values })
}

/// JSON as the well-known type that carries it. Its only number is a double.
fn kind(value: &serde_json::Value) -> Kind {
    use serde_json::Value as Json;
    match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(*value),
        Json::Number(number) => {
            number.as_f64().map_or_else(|| Kind::StringValue(number.to_string()), Kind::NumberValue)
        }
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(values) => list(values),
        Json::Object(object) => Kind::StructValue(Struct {
            fields: object
                .iter()
                .map(|(name, value)| (name.clone(), Value { kind: Some(kind(value)) }))
                .collect(),
        }),
    }
}

fn fields(known: impl Iterator<Item = (&'static str, Kind)>) -> Struct {
    let value = |kind| Value { kind: Some(kind) };
    let fields: HashMap<_, _> = known.map(|(name, kind)| (name.to_owned(), value(kind))).collect();
    Struct { fields }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::r#type::v3::StatusCode as EnvoyStatus;

    use super::*;

    #[test]
    fn no_problem_lets_a_call_through() {
        for status in 100..1000 {
            let status = StatusCode::from_u16(status).unwrap();
            let problem = Problem::new(status, "probe", "probe");
            let told = denied(problem, None, &RequestId::or_new(None));
            assert_ne!(told.status.unwrap().code, code::OK, "{status}");
            let Some(HttpResponse::DeniedResponse(shown)) = told.http_response else {
                panic!("{status} is not a deny")
            };
            let shown = EnvoyStatus::try_from(shown.status.unwrap().code).unwrap();
            assert!(shown as i32 >= 400, "{status}: {shown:?}");
        }
    }

    #[test]
    fn overload_is_reported_as_overload() {
        let told = |status| statuses(status).1.as_u16();
        assert_eq!(told(StatusCode::TOO_MANY_REQUESTS), 429);
        let shed =
            denied(Problem::overloaded("overloaded", "probe"), None, &RequestId::or_new(None));
        let Some(HttpResponse::DeniedResponse(shed)) = shed.http_response else {
            panic!("not a deny")
        };
        assert_eq!(shed.status.unwrap().code, 503);
        let headers = shed.headers.into_iter().filter_map(|option| option.header);
        assert!(headers.into_iter().any(|header| header.key == "retry-after"));
    }
}

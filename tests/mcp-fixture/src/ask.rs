//! Questions to the client in the way of its era: a legacy client is asked while the call runs, a
//! modern one gets an `input_required` result and tries again.

use rmcp::model::{
    CreateMessageRequest, CreateMessageRequestParams, ElicitRequest, ElicitRequestParams,
    InputRequest, InputRequests, InputRequiredResult, InputResponses, ListRootsRequest,
    ProtocolVersion, SamplingMessage,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Map, Value};

/// A response, or what to return to get it.
pub(crate) enum Asked {
    Responses(InputResponses),
    Required(InputRequiredResult),
}

pub(crate) fn is_modern(cx: &RequestContext<RoleServer>) -> bool {
    let modern = ProtocolVersion::V_2026_07_28;
    cx.protocol_version().is_some_and(|version| version.as_str() >= modern.as_str())
}

/// Gets the client's response to each request. Of a modern client all are asked for again when one
/// is missing or is not an object.
pub(crate) async fn ask(
    cx: &RequestContext<RoleServer>,
    given: Option<&InputResponses>,
    requests: InputRequests,
) -> Result<Asked, ErrorData> {
    if !is_modern(cx) {
        return Ok(Asked::Responses(ask_now(cx, requests).await?));
    }
    let usable = |key| given.and_then(|given| given.get(key)).filter(|value| value.is_object());
    let responses: Option<InputResponses> =
        requests.keys().map(|key| Some((key.clone(), usable(key)?.clone()))).collect();
    Ok(match responses {
        Some(responses) => Asked::Responses(responses),
        None => Asked::Required(InputRequiredResult::from_input_requests(requests)),
    })
}

async fn ask_now(
    cx: &RequestContext<RoleServer>,
    requests: InputRequests,
) -> Result<InputResponses, ErrorData> {
    let mut responses = InputResponses::new();
    for (key, request) in requests {
        let response = match request {
            InputRequest::Elicitation(request) => {
                cx.peer.create_elicitation(request.params).await.map(to_value)
            }
            InputRequest::CreateMessage(request) => {
                cx.peer.create_message(request.params).await.map(to_value)
            }
            InputRequest::ListRoots(_) => cx.peer.list_roots().await.map(to_value),
            _ => return Err(ErrorData::internal_error("unknown kind of question", None)),
        };
        let failed = |error: rmcp::service::ServiceError| {
            ErrorData::internal_error(format!("the client did not respond: {error}"), None)
        };
        responses.insert(key, response.map_err(failed)?);
    }
    Ok(responses)
}

fn to_value(result: impl serde::Serialize) -> Value {
    serde_json::to_value(result).unwrap_or_default()
}

/// A form. `schema` is one of the catalog's.
pub(crate) fn form(message: &str, schema: &Value) -> Result<InputRequest, ErrorData> {
    let schema = serde_json::from_value(schema.clone());
    let requested_schema =
        schema.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    Ok(InputRequest::Elicitation(ElicitRequest::new(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.to_owned(),
        requested_schema,
    })))
}

pub(crate) fn sample(prompt: &str) -> InputRequest {
    let messages = vec![SamplingMessage::user_text(prompt)];
    InputRequest::CreateMessage(CreateMessageRequest::new(CreateMessageRequestParams::new(
        messages, 100,
    )))
}

pub(crate) fn roots() -> InputRequest {
    InputRequest::ListRoots(ListRootsRequest::default())
}

/// The member of a response's `content`, such as the field of a form.
pub(crate) fn content<'a>(
    responses: &'a InputResponses,
    key: &str,
    member: &str,
) -> Option<&'a Value> {
    responses.get(key)?.get("content")?.get(member)
}

/// One request under one key.
pub(crate) fn one(key: &str, request: InputRequest) -> InputRequests {
    InputRequests::from([(key.to_owned(), request)])
}

pub(crate) fn text_argument<'a>(arguments: &'a Map<String, Value>, key: &str) -> &'a str {
    arguments.get(key).and_then(Value::as_str).unwrap_or_default()
}

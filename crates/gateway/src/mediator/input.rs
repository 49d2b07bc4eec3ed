//! Forwards what is decided, and has a client that can be asked respond to what a server of the
//! modern era wants to know first.

use serde_json::Value;

use crate::client::Client;
use crate::enforce;
use crate::exchange::Exchange;
use sentinel_mcp_protocol::jsonrpc::{Object, Request, RpcError};
use sentinel_mcp_protocol::method::{Ask, Call, Governance, Sender, governance};

/// Rounds of questions that a server may ask for one call.
const MOST_ROUNDS: usize = 16;
/// Questions of one round.
const MOST_QUESTIONS: usize = 16;

/// Has one call decided and forwarded.
pub(super) async fn forward(
    client: &Client,
    request: &Request,
    call: Call,
    exchange: &dyn Exchange,
) -> Result<Object, RpcError> {
    let mut result = enforce(client, request, call, exchange).await?;
    let mut rounds = 0;
    while exchange.can_ask() && wants_input(&result) {
        rounds += 1;
        if rounds > MOST_ROUNDS {
            return Err(RpcError::internal("the server asks again and again"));
        }
        let mut retry = request.clone();
        retry.params.insert("inputResponses".to_owned(), respond(&result, exchange).await?.into());
        match result.remove("requestState") {
            Some(state) => retry.params.insert("requestState".to_owned(), state),
            None => retry.params.remove("requestState"),
        };
        result = enforce(client, &retry, call, exchange).await?;
    }
    Ok(result)
}

async fn enforce(
    client: &Client,
    request: &Request,
    call: Call,
    exchange: &dyn Exchange,
) -> Result<Object, RpcError> {
    match call {
        Call::Tool => enforce::call_tool(client, request, exchange).await,
        Call::Resource => enforce::read_resource(client, request, exchange).await,
        Call::Prompt => enforce::get_prompt(client, request, exchange).await,
        Call::Complete => enforce::complete(client, request, exchange).await,
        Call::Subscribe => enforce::subscribe(client, request, exchange).await,
        // It ends what a decision began, so it is not decided.
        Call::Unsubscribe => Err(RpcError::internal("the end of a subscription is not decided")),
    }
}

fn wants_input(result: &Object) -> bool {
    result.get("resultType").and_then(Value::as_str) == Some("input_required")
}

/// Asks the client all questions of one round, in their order.
async fn respond(result: &Object, exchange: &dyn Exchange) -> Result<Object, RpcError> {
    let questions = match result.get("inputRequests") {
        Some(Value::Object(questions)) => questions.clone(),
        None | Some(Value::Null) => Object::new(),
        Some(_) => return Err(RpcError::internal("the server asks in a form that is not defined")),
    };
    if questions.len() > MOST_QUESTIONS {
        return Err(RpcError::internal("the server asks too much at once"));
    }
    let mut responses = Object::new();
    for (key, question) in questions {
        let (method, params) = read(question)?;
        let response = exchange.ask(&method, params).await?;
        responses.insert(key, Value::Object(response));
    }
    Ok(responses)
}

/// The method and parameters of a question that a server may ask.
fn read(question: Value) -> Result<(String, Object), RpcError> {
    let Value::Object(mut question) = question else {
        return Err(RpcError::internal("the server asks in a form that is not defined"));
    };
    let (Some(Value::String(method)), params) =
        (question.remove("method"), question.remove("params"))
    else {
        return Err(RpcError::internal("the server asks in a form that is not defined"));
    };
    match governance(Sender::Server, &method)? {
        Governance::Ask(Ask::Sampling | Ask::Elicitation | Ask::Roots) => {}
        _ => return Err(RpcError::internal("the server asks what clients are not asked")),
    }
    match params {
        None => Ok((method, Object::new())),
        Some(Value::Object(params)) => Ok((method, params)),
        Some(_) => Err(RpcError::internal("the server asks in a form that is not defined")),
    }
}

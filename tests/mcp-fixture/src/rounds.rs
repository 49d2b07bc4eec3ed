//! Tools that need something of the client before they can finish.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    InputRequests, InputRequiredResult, InputResponses,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use crate::ask::{Asked, ask, content, form, is_modern, one, roots, sample, text_argument};
use crate::fixture::Fixture;

type Answer = Result<CallToolResponse, ErrorData>;

impl Fixture {
    /// Calls a tool that asks; `None` when `request` names no such tool.
    pub(crate) async fn call_asking(
        &self,
        request: &CallToolRequestParams,
        cx: &RequestContext<RoleServer>,
    ) -> Option<Answer> {
        let given = request.input_responses.as_ref();
        Some(match request.name.as_ref() {
            "test_sampling" => self.sampling(request, cx).await,
            "test_elicitation" => {
                let arguments = request.arguments.clone().unwrap_or_default();
                let message = text_argument(&arguments, "message").to_owned();
                self.elicitation(cx, given, &message, "user").await
            }
            "test_elicitation_sep1034_defaults" => {
                self.elicitation(cx, given, "All fields have defaults", "defaults").await
            }
            "test_elicitation_sep1330_enums" => {
                self.elicitation(cx, given, "Choose one of each", "enums").await
            }
            "test_streaming_elicitation" => self.elicitation(cx, None, "A value", "value").await,
            "test_missing_capability" => needs_sampling(cx),
            "test_input_required_result_elicitation" => self.greeting(cx, given).await,
            "test_input_required_result_sampling" => capital(cx, given).await,
            "test_input_required_result_list_roots" => list_roots(cx, given).await,
            "test_input_required_result_request_state"
            | "test_input_required_result_tampered_state" => self.with_state(request, cx).await,
            "test_input_required_result_multiple_inputs" => self.three(request, cx).await,
            "test_input_required_result_multi_round" => self.two_rounds(request, cx).await,
            "test_input_required_result_capabilities" => self.only_possible(cx, given).await,
            _ => return None,
        })
    }

    async fn sampling(
        &self,
        request: &CallToolRequestParams,
        cx: &RequestContext<RoleServer>,
    ) -> Answer {
        let arguments = request.arguments.clone().unwrap_or_default();
        let question = one("completion", sample(text_argument(&arguments, "prompt")));
        match ask(cx, request.input_responses.as_ref(), question).await? {
            Asked::Required(required) => Ok(required.into()),
            Asked::Responses(responses) => {
                let said = sampled(&responses, "completion");
                Ok(text(format!("LLM response: {said}")))
            }
        }
    }

    async fn elicitation(
        &self,
        cx: &RequestContext<RoleServer>,
        given: Option<&InputResponses>,
        message: &str,
        name: &str,
    ) -> Answer {
        match ask(cx, given, one("form", form(message, self.form(name)?)?)).await? {
            Asked::Required(required) => Ok(required.into()),
            Asked::Responses(responses) => {
                let response = responses.get("form").cloned().unwrap_or_default();
                let action = response.get("action").and_then(Value::as_str).unwrap_or("none");
                let content = response.get("content").unwrap_or(&Value::Null);
                Ok(text(format!("Elicitation completed: action={action}, content={content}")))
            }
        }
    }

    async fn greeting(
        &self,
        cx: &RequestContext<RoleServer>,
        given: Option<&InputResponses>,
    ) -> Answer {
        let question = one("user_name", form("What is your name?", self.form("name")?)?);
        match ask(cx, given, question).await? {
            Asked::Required(required) => Ok(required.into()),
            Asked::Responses(responses) => {
                let name = content(&responses, "user_name", "name").and_then(Value::as_str);
                Ok(text(format!("Hello, {}!", name.unwrap_or("friend"))))
            }
        }
    }

    /// Asks for a confirmation, and accepts it only with state that this server has sealed.
    async fn with_state(
        &self,
        request: &CallToolRequestParams,
        cx: &RequestContext<RoleServer>,
    ) -> Answer {
        let question = one("confirm", form("Please confirm", self.form("ok")?)?);
        match request.request_state.as_deref() {
            Some(state) => {
                self.open(state)?;
                Ok(text("Confirmed: state-ok"))
            }
            None if is_modern(cx) => self.required(question, &json!({ "stage": "confirm" })),
            None => {
                ask(cx, None, question).await?;
                Ok(text("Confirmed: state-ok"))
            }
        }
    }

    async fn three(
        &self,
        request: &CallToolRequestParams,
        cx: &RequestContext<RoleServer>,
    ) -> Answer {
        if let Some(state) = request.request_state.as_deref() {
            self.open(state)?;
        }
        let mut questions = one("user_name", form("What is your name?", self.form("name")?)?);
        questions.insert("greeting".to_owned(), sample("Generate a greeting"));
        questions.insert("client_roots".to_owned(), roots());
        match ask(cx, request.input_responses.as_ref(), questions.clone()).await? {
            Asked::Responses(_) if !is_modern(cx) || request.request_state.is_some() => {
                Ok(text("All inputs received"))
            }
            _ => self.required(questions, &json!({ "stage": "gather" })),
        }
    }

    async fn two_rounds(
        &self,
        request: &CallToolRequestParams,
        cx: &RequestContext<RoleServer>,
    ) -> Answer {
        let first = one("step1", form("Step 1: What is your name?", self.form("name")?)?);
        let second = one("step2", form("Step 2: Which color do you like?", self.form("color")?)?);
        if !is_modern(cx) {
            ask(cx, None, first).await?;
            ask(cx, None, second).await?;
            return Ok(text("Multi-round flow complete"));
        }
        let state = request.request_state.as_deref().map(|state| self.open(state)).transpose()?;
        match state.and_then(|state| state.get("round")?.as_u64()) {
            None => self.required(first, &json!({ "round": 1 })),
            Some(1) => self.required(second, &json!({ "round": 2 })),
            Some(_) => Ok(text("Multi-round flow complete")),
        }
    }

    async fn only_possible(
        &self,
        cx: &RequestContext<RoleServer>,
        given: Option<&InputResponses>,
    ) -> Answer {
        let capabilities = cx.client_capabilities().unwrap_or_default();
        let mut questions = InputRequests::new();
        if capabilities.elicitation.is_some() {
            let question = form("What is your name?", self.form("name")?)?;
            questions.insert("user_name".to_owned(), question);
        }
        if capabilities.sampling.is_some() {
            questions.insert("greeting".to_owned(), sample("Generate a greeting"));
        }
        if capabilities.roots.is_some() {
            questions.insert("client_roots".to_owned(), roots());
        }
        if questions.is_empty() || given.is_some() {
            return Ok(text("Asked only what was possible"));
        }
        match ask(cx, given, questions).await? {
            Asked::Required(required) => Ok(required.into()),
            Asked::Responses(_) => Ok(text("Asked only what was possible")),
        }
    }

    fn required(&self, questions: InputRequests, state: &Value) -> Answer {
        let sealed = self.seal(state)?;
        Ok(InputRequiredResult::new(Some(questions), Some(sealed)).into())
    }
}

async fn capital(cx: &RequestContext<RoleServer>, given: Option<&InputResponses>) -> Answer {
    let question = one("capital_question", sample("What is the capital of France?"));
    match ask(cx, given, question).await? {
        Asked::Required(required) => Ok(required.into()),
        Asked::Responses(responses) => {
            Ok(text(format!("Sampling response: {}", sampled(&responses, "capital_question"))))
        }
    }
}

async fn list_roots(cx: &RequestContext<RoleServer>, given: Option<&InputResponses>) -> Answer {
    match ask(cx, given, one("client_roots", roots())).await? {
        Asked::Required(required) => Ok(required.into()),
        Asked::Responses(responses) => {
            let roots = responses.get("client_roots").and_then(|response| response.get("roots"));
            Ok(text(format!("Client roots: {}", roots.unwrap_or(&Value::Null))))
        }
    }
}

fn needs_sampling(cx: &RequestContext<RoleServer>) -> Answer {
    if cx.client_capabilities().is_some_and(|capabilities| capabilities.sampling.is_some()) {
        return Ok(text("The capability is declared"));
    }
    let required = ClientCapabilities::builder().enable_sampling().build();
    Err(ErrorData::missing_required_client_capability(required))
}

fn sampled(responses: &InputResponses, key: &str) -> String {
    let content = responses.get(key).and_then(|response| response.get("content"));
    // One block, or several.
    let block = content.map(|content| content.get(0).unwrap_or(content));
    let said = block.and_then(|block| block.get("text")).and_then(Value::as_str);
    said.unwrap_or("nothing").to_owned()
}

pub(crate) fn text(text: impl Into<String>) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(text.into())]).into()
}

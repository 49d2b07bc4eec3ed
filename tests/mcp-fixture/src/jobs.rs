//! Tools of the extension for tasks. A gateway that does not govern tasks refuses them; here they
//! exist so that the fixture passes the suite by itself.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    CreateTaskResult,
};
use rmcp::service::RequestContext;
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskOptions};
use rmcp::{ErrorData, RoleServer};
use serde_json::Value;

use crate::ask::{Asked, ask, content, form, one, text_argument};
use crate::fixture::Fixture;
use crate::rounds::text;

type Answer = Result<CallToolResponse, ErrorData>;

/// Tools that exist only as tasks.
const ONLY_TASKS: [&str; 4] =
    ["failing_job", "test_tool_with_task", "confirm_delete", "multi_input"];

impl Fixture {
    /// Calls a tool that can be a task; `None` when `request` names no such tool.
    pub(crate) async fn call_job(
        &self,
        request: &CallToolRequestParams,
        cx: &RequestContext<RoleServer>,
    ) -> Option<Answer> {
        let name = request.name.as_ref();
        let wants_task = cx.client_capabilities().is_some_and(|client| client.supports_tasks());
        if ONLY_TASKS.contains(&name) && !wants_task {
            let required = ClientCapabilities::builder().enable_tasks().build();
            return Some(Err(ErrorData::missing_required_client_capability(required)));
        }
        let arguments = request.arguments.clone().unwrap_or_default();
        Some(match name {
            "greet" => Ok(text(format!("Hello, {}!", text_argument(&arguments, "name")))),
            "slow_compute" => {
                let seconds = arguments.get("seconds").and_then(Value::as_f64).unwrap_or(1.0);
                let label = text_argument(&arguments, "label").to_owned();
                self.slow(seconds, label, wants_task).await
            }
            "failing_job" => Ok(self.task(|_| Box::pin(fails()))),
            "protocol_error_job" if wants_task => Ok(self.task(|_| Box::pin(breaks()))),
            "protocol_error_job" => Err(broken()),
            "confirm_delete" => self.confirm(text_argument(&arguments, "filename").to_owned()),
            "multi_input" => self.two_inputs(),
            "test_tool_with_task" => self.ask_then_task(request, cx).await,
            _ => return None,
        })
    }

    fn task(&self, work: impl FnOnce(TaskContext) -> TaskFuture) -> CallToolResponse {
        CreateTaskResult::new(self.tasks.spawn(TaskOptions::default(), work)).into()
    }

    async fn slow(&self, seconds: f64, label: String, as_task: bool) -> Answer {
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let done = format!("{label} took {seconds} s");
        if !as_task {
            tokio::time::sleep(pause).await;
            return Ok(text(done));
        }
        Ok(self.task(move |cx| {
            Box::pin(async move {
                tokio::select! {
                    () = cx.cancelled() => Err(TaskExit::Cancelled),
                    () = tokio::time::sleep(pause) => Ok(said(done)),
                }
            })
        }))
    }

    fn confirm(&self, filename: String) -> Answer {
        let question = form(&format!("Delete {filename}?"), self.form("confirm")?)?;
        Ok(self.task(move |cx| {
            Box::pin(async move {
                let response = cx.request_input("confirm", question).await?;
                let confirmed = response.pointer("/content/confirm") == Some(&Value::Bool(true));
                Ok(said(format!("{filename}: confirmed = {confirmed}")))
            })
        }))
    }

    fn two_inputs(&self) -> Answer {
        let schema = self.form("value")?;
        let (first, second) = (form("Value A", schema)?, form("Value B", schema)?);
        Ok(self.task(move |cx| {
            Box::pin(async move {
                let (first, second) = tokio::join!(
                    cx.request_input("input-a", first),
                    cx.request_input("input-b", second),
                );
                let value = |response: Value| {
                    response.pointer("/content/value").cloned().unwrap_or_default()
                };
                Ok(said(format!("a = {}, b = {}", value(first?), value(second?))))
            })
        }))
    }

    async fn ask_then_task(
        &self,
        request: &CallToolRequestParams,
        cx: &RequestContext<RoleServer>,
    ) -> Answer {
        let question = one("user_name", form("What is your name?", self.form("name")?)?);
        match ask(cx, request.input_responses.as_ref(), question).await? {
            Asked::Required(required) => Ok(required.into()),
            Asked::Responses(responses) => {
                let name = content(&responses, "user_name", "name").and_then(Value::as_str);
                let greeting = format!("Hello, {}! (async)", name.unwrap_or("friend"));
                Ok(self.task(move |_| {
                    Box::pin(async move {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        Ok(said(greeting))
                    })
                }))
            }
        }
    }
}

/// Ends as a tool does that fails.
async fn fails() -> Result<CallToolResult, TaskExit> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(CallToolResult::error(vec![ContentBlock::text("failing_job fails on purpose")]))
}

/// Ends with an error of the protocol.
async fn breaks() -> Result<CallToolResult, TaskExit> {
    tokio::time::sleep(Duration::from_millis(200)).await;
    Err(TaskExit::Error(broken()))
}

fn broken() -> ErrorData {
    ErrorData::internal_error("protocol_error_job breaks on purpose", None)
}

fn said(text: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

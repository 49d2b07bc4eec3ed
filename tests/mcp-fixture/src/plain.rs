//! Tools that run by themselves: they report, sleep, write or misbehave.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, LoggingLevel, LoggingMessageNotificationParam,
    ProgressNotificationParam,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use crate::ask::{is_modern, text_argument};
use crate::fixture::{Change, Fixture};
use crate::rounds::text;

type Answer = Result<CallToolResponse, ErrorData>;

const PAUSE: Duration = Duration::from_millis(50);

impl Fixture {
    /// Calls one of these tools; `None` when `request` names no such tool.
    pub(crate) async fn call_plain(
        &self,
        request: &CallToolRequestParams,
        cx: &RequestContext<RoleServer>,
    ) -> Option<Answer> {
        let arguments = request.arguments.clone().unwrap_or_default();
        Some(match request.name.as_ref() {
            "test_tool_with_logging" => logs(cx).await,
            "test_tool_with_progress" => progresses(cx).await,
            "test_logging_tool" => logs_as_asked(cx).await,
            "test_reconnection" => {
                tokio::time::sleep(2 * PAUSE).await;
                Ok(text("Reconnection test completed"))
            }
            "test_custom_header" => Ok(text(text_argument(&arguments, "value"))),
            "test_trigger_tool_change" => self.trigger(Change::Tools).await,
            "test_trigger_prompt_change" => self.trigger(Change::Prompts).await,
            "echo" => Ok(text(text_argument(&arguments, "message"))),
            "write_file" => {
                let path = text_argument(&arguments, "path");
                write_file(path, text_argument(&arguments, "text")).await
            }
            "sleep" => {
                tokio::select! {
                    () = cx.ct.cancelled() => self.stopped(),
                    () = tokio::time::sleep(seconds(&arguments)) => Ok(text("Slept")),
                }
            }
            "sleep_on" => {
                tokio::time::sleep(seconds(&arguments)).await;
                Ok(text("Slept"))
            }
            "drift" => self.drift().await,
            "refuses" => Err(ErrorData::internal_error("refuses on purpose", None)),
            "exits" => std::process::exit(3),
            _ => return None,
        })
    }

    fn stopped(&self) -> Answer {
        self.witness("sleep", "cancelled");
        Err(ErrorData::internal_error("cancelled", None))
    }

    async fn trigger(&self, change: Change) -> Answer {
        self.change(change).await;
        Ok(text("The list was changed"))
    }

    async fn drift(&self) -> Answer {
        self.drifts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.announce(Change::Tools).await;
        Ok(text("The change was announced"))
    }
}

fn seconds(arguments: &serde_json::Map<String, Value>) -> Duration {
    let seconds = arguments.get("seconds").and_then(Value::as_f64).unwrap_or(1.0);
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

async fn write_file(path: &str, content: &str) -> Answer {
    match tokio::fs::write(path, content).await {
        Ok(()) => Ok(text(format!("Wrote {} bytes", content.len()))),
        Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
    }
}

/// A modern client gets messages only if its request asks for them.
async fn logs(cx: &RequestContext<RoleServer>) -> Answer {
    for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        if !is_modern(cx) || cx.meta.log_level().is_some() {
            log(cx, LoggingLevel::Info, message).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(text("Logging test completed"))
}

async fn logs_as_asked(cx: &RequestContext<RoleServer>) -> Answer {
    if let Some(level) = cx.meta.log_level() {
        log(cx, level, "The request asked for this").await;
    }
    Ok(text("Logging tool completed"))
}

async fn log(cx: &RequestContext<RoleServer>, level: LoggingLevel, message: &str) {
    let message =
        LoggingMessageNotificationParam::new(level, json!(message)).with_logger("fixture");
    // The client may have gone; then nobody reads the result of the tool either.
    let _ = cx.peer.notify_logging_message(message).await;
}

async fn progresses(cx: &RequestContext<RoleServer>) -> Answer {
    let token = cx.meta.get_progress_token();
    for (done, message) in [(0.0, "Starting"), (50.0, "Halfway"), (100.0, "Complete")] {
        if let Some(token) = token.clone() {
            let progress =
                ProgressNotificationParam::new(token, done).with_total(100.0).with_message(message);
            let _ = cx.peer.notify_progress(progress).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(text("Progress test completed"))
}

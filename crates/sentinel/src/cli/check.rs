//! `sentinel check`: asks for one decision.

use sentinel_core::principal::Role;
use serde_json::{Map, Value, json};

use crate::client::{Connection, request, text};
use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Slug of the tenant.
    #[arg(long)]
    tenant: String,
    /// Name of the tool.
    #[arg(long)]
    tool: String,
    /// What is to be done with the tool.
    #[arg(long, default_value = "invoke")]
    action: String,
    /// What for.
    #[arg(long)]
    purpose: Option<String>,
    /// The agent that wants to call.
    #[arg(long)]
    agent: Option<String>,
    /// Arguments of the call, as a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    arguments: Option<Value>,
    /// What else policy should know, as a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    context: Option<Value>,
    /// Calls the caller counted; can only make the decision stricter.
    #[arg(long, value_name = "N")]
    usage: Option<u64>,
    /// Makes the check repeatable: the same identifier gets the same decision, counted once; an allow
    /// only while its permit is good and the call would still be allowed.
    #[arg(long, value_name = "ID")]
    call_id: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Parses a JSON object.
fn object(text: &str) -> Result<Value, String> {
    let parsed: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))?;
    Ok(Value::Object(parsed))
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let client = args.connection.client(Role::Agent)?;
    let body = request(json!({
        "tenant_slug": args.tenant,
        "tool_name": args.tool,
        "action": args.action,
        "purpose": args.purpose,
        "agent": args.agent,
        "arguments": args.arguments,
        "context": args.context,
        "usage": args.usage,
        "call_id": args.call_id,
    }));
    let answer = client.post(&["policy", "check"], &body).await?;
    let allow = answer.get("allow") == Some(&Value::Bool(true));
    if json {
        output::json(&answer)?
    } else {
        show(&answer, allow)?
    }
    if allow { Ok(()) } else { Err(Failure::silent()) }
}

fn show(answer: &Value, allow: bool) -> Outcome {
    let verdict = if allow {
        output::styled(output::GREEN, "allowed")
    } else {
        output::styled(output::RED, "denied")
    };
    output::line(&format!("{verdict}  {}", output::printable(&text(answer, "reason"))))?;
    let codes = answer.get("reasons").and_then(Value::as_array);
    let codes: Vec<_> = codes.into_iter().flatten().map(|reason| text(reason, "code")).collect();
    let obligations = answer.get("obligations").and_then(Value::as_array);
    let obligations = obligations.into_iter().flatten().map(Value::to_string);
    output::fields(&[
        ("code", text(answer, "code")),
        ("reasons", codes.join(", ")),
        ("obligations", obligations.collect::<Vec<_>>().join(", ")),
        ("quota remaining", text(answer, "quota_remaining")),
        ("decision", text(answer, "decision_id")),
        ("policy revision", text(answer, "policy_revision")),
    ])
}

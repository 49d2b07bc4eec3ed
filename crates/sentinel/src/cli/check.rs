//! `sentinel check`: asks for one decision.

use sentinel_client::api::{CheckAnswer, CheckRequest};
use sentinel_core::principal::Role;
use serde_json::{Map, Value};

use crate::client::{Connection, OrExplain as _, name, name_if};
use crate::failure::{Failure, Outcome};
use crate::output::{self, shown};

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
    arguments: Option<Map<String, Value>>,
    /// What else policy should know, as a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    context: Option<Map<String, Value>>,
    /// Calls the caller counted; can only make the decision stricter.
    #[arg(long, value_name = "N")]
    usage: Option<u64>,
    /// Makes the check repeatable: the same identifier gets the same decision, counted once; an
    /// allow only while its permit is good and the call would still be allowed.
    #[arg(long, value_name = "ID")]
    call_id: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Parses a JSON object.
fn object(text: &str) -> Result<Map<String, Value>, NotAnObject> {
    serde_json::from_str(text).map_err(NotAnObject)
}

#[derive(Debug, thiserror::Error)]
#[error("not a JSON object: {0}")]
struct NotAnObject(serde_json::Error);

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let client = args.connection.client(Role::Agent)?;
    let answer = client.api.check(&args.request()?).await.or_explain(&client)?;
    if json {
        output::json(&answer)?
    } else {
        show(&answer)?
    }
    if answer.allow { Ok(()) } else { Err(Failure::silent()) }
}

impl Args {
    fn request(&self) -> Outcome<CheckRequest> {
        Ok(CheckRequest {
            purpose: name_if("--purpose", self.purpose.as_ref())?,
            usage: self.usage,
            context: self.context.clone(),
            agent: name_if("--agent", self.agent.as_ref())?,
            arguments: self.arguments.clone(),
            call_id: name_if("--call-id", self.call_id.as_ref())?,
            ..CheckRequest::new(
                name("--tenant", &self.tenant)?,
                name("--tool", &self.tool)?,
                name("--action", &self.action)?,
            )
        })
    }
}

fn show(answer: &CheckAnswer<'_>) -> Outcome {
    let verdict = if answer.allow {
        output::styled(output::GREEN, "allowed")
    } else {
        output::styled(output::RED, "denied")
    };
    output::line(&format!("{verdict}  {}", output::printable(&answer.reason)))?;
    let codes: Vec<_> = answer.reasons.iter().map(|reason| reason.code.as_ref()).collect();
    let obligations: Vec<_> = answer.obligations.iter().map(Value::to_string).collect();
    output::fields(&[
        ("code", answer.code.to_string()),
        ("reasons", codes.join(", ")),
        ("obligations", obligations.join(", ")),
        ("quota remaining", shown(answer.quota_remaining.as_ref())),
        ("decision", answer.decision_id.to_string()),
        ("policy revision", shown(answer.policy_revision.as_ref())),
    ])
}

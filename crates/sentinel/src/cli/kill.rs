//! `sentinel kill`: stops something at once.

use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::client::{Connection, request, text};
use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Why; kept, and shown to every caller that is denied by it.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

/// What a kill or a restore is about.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Target")]
pub(crate) struct Target {
    /// Slug of the tenant; alone, all of it.
    #[arg(long)]
    tenant: Option<String>,
    /// Name of a tool of the tenant.
    #[arg(long, requires = "tenant", conflicts_with = "agent")]
    tool: Option<String>,
    /// An agent, within the tenant or everywhere.
    #[arg(long)]
    agent: Option<String>,
    /// Everything.
    #[arg(long, conflicts_with_all = ["tenant", "tool", "agent"])]
    global: bool,
}

impl Target {
    /// The request to kill, for a reason, or to restore, for none.
    ///
    /// # Errors
    /// When nothing is named.
    pub(crate) fn body(&self, reason: Option<&str>) -> Outcome<Value> {
        if !self.global && self.tenant.is_none() && self.agent.is_none() {
            let message = "nothing is named: give --tenant, --tool with it, --agent, or --global";
            return Err(Failure::usage(message));
        }
        Ok(request(json!({
            "scope": self.global.then_some("global"),
            "tenant_slug": self.tenant,
            "tool_name": self.tool,
            "agent": self.agent,
            "reason": reason,
        })))
    }

    /// The target in words.
    pub(crate) fn words(&self) -> String {
        match (&self.tenant, &self.tool, &self.agent) {
            (Some(tenant), Some(tool), _) => format!("tool `{tool}` of tenant `{tenant}`"),
            (Some(tenant), None, Some(agent)) => format!("agent `{agent}` in tenant `{tenant}`"),
            (Some(tenant), None, None) => format!("tenant `{tenant}`"),
            (None, _, Some(agent)) => format!("agent `{agent}`"),
            (None, _, None) => "everything".to_owned(),
        }
    }
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let body = args.target.body(Some(&args.reason))?;
    let answer = args.connection.client(Role::Operator)?.post(&["kill"], &body).await?;
    if json {
        return output::json(&answer);
    }
    output::line(&format!(
        "{}  {}",
        output::styled(output::RED, "killed"),
        output::printable(&args.target.words())
    ))?;
    output::fields(&[
        ("kill", text(&answer, "kill_id")),
        ("epoch", text(&answer, "epoch")),
        ("affects", affected(&answer)),
    ])
}

/// The tools that an answer names, in words.
pub(crate) fn affected(answer: &Value) -> String {
    let tools = answer.get("affected_tools").and_then(Value::as_array);
    let tools: Vec<&str> = tools.into_iter().flatten().filter_map(Value::as_str).collect();
    match tools.len() {
        0 => "no tool yet".to_owned(),
        1..=8 => tools.join(", "),
        many => format!("{many} tools"),
    }
}

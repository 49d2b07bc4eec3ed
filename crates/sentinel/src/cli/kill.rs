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
    /// Comes into force at this time, such as 2026-11-22T10:00:00Z; at once when left out.
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Ends by itself at this time; only by a restore when left out.
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
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
    #[arg(long, requires = "tenant", group = "narrow")]
    tool: Option<String>,
    /// An agent, within the tenant or everywhere, in any letter case.
    #[arg(long, group = "narrow")]
    agent: Option<String>,
    /// Who calls, within the tenant or everywhere: the identifier that decisions have, the id of a
    /// key or its name.
    #[arg(long, group = "narrow")]
    principal: Option<String>,
    /// The tools that have this scope, within the tenant or everywhere.
    #[arg(long, group = "narrow")]
    tool_scope: Option<String>,
    /// The tools that have this tag (`metadata.tags`), within the tenant or everywhere.
    #[arg(long, group = "narrow")]
    tool_tag: Option<String>,
    /// Everything.
    #[arg(long, conflicts_with_all = ["tenant", "narrow"])]
    global: bool,
}

impl Target {
    /// The request to kill, for a reason, or to restore, for none.
    ///
    /// # Errors
    /// When nothing is named.
    pub(crate) fn body(&self, reason: Option<&str>) -> Outcome<Value> {
        let named = [&self.tenant, &self.agent, &self.principal, &self.tool_scope, &self.tool_tag];
        if !self.global && named.iter().all(|name| name.is_none()) {
            let message = "nothing is named: give --tenant, --tool with it, --agent, --principal, \
                 --tool-scope, --tool-tag, or --global";
            return Err(Failure::usage(message));
        }
        Ok(request(json!({
            "scope": self.global.then_some("global"),
            "tenant_slug": self.tenant,
            "tool_name": self.tool,
            "agent": self.agent,
            "principal": self.principal,
            "tool_scope": self.tool_scope,
            "tool_tag": self.tool_tag,
            "reason": reason,
        })))
    }

    /// The target in words.
    pub(crate) fn words(&self) -> String {
        let narrow = [
            ("tool", &self.tool),
            ("agent", &self.agent),
            ("principal", &self.principal),
            ("tools with scope", &self.tool_scope),
            ("tools with tag", &self.tool_tag),
        ];
        let narrow = narrow.into_iter().find_map(|(kind, name)| Some((kind, name.as_ref()?)));
        match (&self.tenant, narrow) {
            (Some(tenant), Some((kind @ "tool", name))) => {
                format!("{kind} `{name}` of tenant `{tenant}`")
            }
            (Some(tenant), Some((kind, name))) => format!("{kind} `{name}` in tenant `{tenant}`"),
            (Some(tenant), None) => format!("tenant `{tenant}`"),
            (None, Some((kind, name))) => format!("{kind} `{name}`"),
            (None, None) => "everything".to_owned(),
        }
    }
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let mut body = args.target.body(Some(&args.reason))?;
    for (name, time) in [("starts_at", args.from), ("expires_at", args.until)] {
        if let (Some(fields), Some(time)) = (body.as_object_mut(), time) {
            fields.insert(name.to_owned(), json!(time));
        }
    }
    let answer = args.connection.client(Role::Operator)?.post(&["kill"], &body).await?;
    if json {
        return output::json(&answer);
    }
    output::line(&format!(
        "{}  {}",
        output::styled(output::RED, if args.from.is_some() { "to be killed" } else { "killed" }),
        output::printable(&args.target.words())
    ))?;
    output::fields(&[
        ("kill", text(&answer, "kill_id")),
        ("epoch", text(&answer, "epoch")),
        ("affects", affected(&answer)),
        ("reached", reached(&answer)),
    ])
}

/// What a kill reached, in words.
fn reached(answer: &Value) -> String {
    let count = |what: &str| {
        let count = answer.get("reached").and_then(|reached| reached.get(what)?.as_u64());
        format!("{} {what}", count.map_or_else(|| "unknown".to_owned(), |count| count.to_string()))
    };
    ["replicas", "streams", "permits", "calls"].map(count).join(", ")
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

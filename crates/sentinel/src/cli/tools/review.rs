//! `sentinel tools drift`, `approve` and `reject`: tools whose definition has changed.

use sentinel_client::api::{PinnedDefinition, Tool, ToolDrift};
use sentinel_core::pin::DefinitionDigest;
use sentinel_core::principal::Role;
use serde_json::{Value, json};
use similar::TextDiff;

use super::Named;
use crate::client::{Client, Connection, OrExplain as _};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Table};

#[derive(Debug, clap::Args)]
pub(crate) struct Drifted {
    /// Only those of one tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Shows how this tool has changed.
    #[arg(long, requires = "tenant")]
    tool: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Reviewed {
    #[command(flatten)]
    named: Named,
    /// Digest of the definition that you have looked at, as `sentinel tools drift` shows it.
    #[arg(long)]
    digest: String,
    #[command(flatten)]
    connection: Connection,
}

impl Drifted {
    pub(super) async fn run(&self, json: bool) -> Outcome {
        let client = self.connection.client(Role::Operator)?;
        let Some((tenant, tool)) = self.tenant.clone().zip(self.tool.clone()) else {
            return self.list(&client, json).await;
        };
        let tool = Named { tenant, tool }.find(&client).await?;
        let drift = client.api.drift(tool.id).await.or_explain(&client)?;
        if json { output::json(&drift) } else { show(&drift) }
    }

    async fn list(&self, client: &Client, json: bool) -> Outcome {
        let tools = client.api.tools(self.tenant.as_deref()).collect(usize::MAX).await;
        let tools: Vec<Tool> =
            tools.or_explain(client)?.into_iter().filter(|tool| cause(tool).is_some()).collect();
        if json {
            return output::json(&tools);
        }
        let mut table = Table::new(&["tenant", "tool", "why", "since"]);
        for tool in &tools {
            let quarantine = tool.pin.as_ref().and_then(|pin| pin.quarantine.as_ref());
            table.row(vec![
                tool.tenant_slug.to_string(),
                tool.name.to_string(),
                cause(tool).unwrap_or_default().to_owned(),
                quarantine.map_or_else(String::new, |quarantine| quarantine.since.to_string()),
            ]);
        }
        table.print("no tool is quarantined")
    }
}

/// Why a tool is quarantined, if it is.
pub(super) fn cause(tool: &Tool) -> Option<&str> {
    Some(tool.pin.as_ref()?.quarantine.as_ref()?.cause.as_str())
}

fn show(drift: &ToolDrift) -> Outcome {
    let name = format!("{}/{}", drift.tenant_slug, drift.name);
    output::line(&output::printable(&name))?;
    let digest = |pinned: &Option<PinnedDefinition>| {
        pinned.as_ref().map_or_else(String::new, |pinned| pinned.digest.to_string())
    };
    let cause = drift.quarantine.as_ref().map_or("none", |quarantine| quarantine.cause.as_str());
    output::fields(&[
        ("quarantine", cause.to_owned()),
        ("approved", digest(&drift.approved)),
        ("offered", digest(&drift.offered)),
    ])?;
    let (before, after) = (text(drift.approved.as_ref()), text(drift.offered.as_ref()));
    if drift.offered.is_none() {
        return Ok(());
    }
    if drift.changed.is_empty() && drift.approved.is_some() {
        return output::line("The definition is the same; the command or the address is another.");
    }
    let diff = TextDiff::from_lines(&before, &after);
    let diff = diff.unified_diff().header("approved", "offered").to_string();
    diff.lines().try_for_each(|line| output::line(&output::printable(line)))
}

/// A definition in lines, without what is not pinned.
fn text(pinned: Option<&PinnedDefinition>) -> String {
    let Some(pinned) = pinned else { return String::new() };
    let mut definition = pinned.definition.clone();
    definition.remove(sentinel_core::pin::UNPINNED);
    format!("{:#}\n", Value::Object(definition))
}

impl Reviewed {
    pub(super) async fn run(&self, approves: bool, json: bool) -> Outcome {
        let digest: DefinitionDigest = self.digest.parse().map_err(|error| {
            Failure::usage(format!("--digest {error}")).help("`sentinel tools drift` shows it")
        })?;
        let client = self.connection.client(Role::Operator)?;
        let tool = self.named.find(&client).await?;
        let reviewed = if approves {
            client.api.approve_tool(tool.id, digest).await
        } else {
            client.api.reject_tool(tool.id, digest).await
        };
        let reviewed = reviewed.or_explain(&client)?;
        if json {
            return output::json(&json!(reviewed));
        }
        let word = if approves { "approved" } else { "rejected" };
        output::line(&format!("{word}  {}/{}", self.named.tenant, self.named.tool))
    }
}

//! `sentinel tools`: the registry.

mod review;
mod uncovered;

use sentinel_client::api::{Address, RegisterRequest, Tool};
use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::client::{Client, Connection, OrExplain as _, name};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Table, shown};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Lists tools.
    List {
        /// Only those of one tenant.
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Registers a tool, and its tenant when that is new.
    Register(Register),
    /// Shows one tool.
    Show {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        connection: Connection,
    },
    /// Retires a tool: it denies for ever, its history stays.
    Retire {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        connection: Connection,
    },
    /// Lists the tools that were called without Sentinel, as their servers report.
    Uncovered(uncovered::Uncovered),
    /// Lists the tools of upstreams that are quarantined, or shows how one has changed.
    Drift(review::Drifted),
    /// Approves the changed definition of a quarantined tool, which lifts the quarantine.
    Approve(review::Reviewed),
    /// Rejects the changed definition of a quarantined tool.
    Reject(review::Reviewed),
}

/// One tool.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// Slug of the tenant.
    #[arg(long)]
    tenant: String,
    /// Name of the tool.
    #[arg(long)]
    tool: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Register {
    #[command(flatten)]
    named: Named,
    /// Where the tool is reached.
    #[arg(long = "tool-url", value_name = "URL")]
    tool_url: String,
    /// Who is responsible for it.
    #[arg(long)]
    owner: String,
    /// A scope that it needs; repeatable.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// What else to know about it, as a JSON object.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    metadata: String,
    /// Address that tells whether it is well.
    #[arg(long, value_name = "URL")]
    healthcheck: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::List { tenant, connection } => list(tenant, &connection, json).await,
        Command::Register(register) => register.run(json).await,
        Command::Show { named, connection } => {
            let client = connection.client(Role::Admin)?;
            show(&named.find(&client).await?, json)
        }
        Command::Retire { named, connection } => {
            let client = connection.client(Role::Admin)?;
            let id = named.find(&client).await?.id;
            let retired = client.api.retire_tool(id).await.or_explain(&client)?;
            if json {
                return output::json(&retired);
            }
            output::line(&format!("retired  {}/{}", named.tenant, named.tool))
        }
        Command::Uncovered(uncovered) => uncovered.run(json).await,
        Command::Drift(drifted) => drifted.run(json).await,
        Command::Approve(reviewed) => reviewed.run(true, json).await,
        Command::Reject(reviewed) => reviewed.run(false, json).await,
    }
}

impl Named {
    /// The registered tool of that name.
    async fn find(&self, client: &Client) -> Outcome<Tool> {
        let tools = client.api.tools(Some(&self.tenant)).collect(usize::MAX).await;
        let mut tools = tools.or_explain(client)?.into_iter();
        tools.find(|tool| tool.name.as_str() == self.tool).ok_or_else(|| {
            Failure::new(format!("tenant `{}` has no tool `{}`", self.tenant, self.tool))
                .help("`sentinel tools list` shows those there are")
        })
    }
}

async fn list(tenant: Option<String>, connection: &Connection, json: bool) -> Outcome {
    let client = connection.client(Role::Admin)?;
    let tools = client.api.tools(tenant.as_deref()).collect(usize::MAX).await;
    let tools = tools.or_explain(&client)?;
    if json {
        return output::json(&tools);
    }
    let mut table = Table::new(&["tenant", "tool", "state", "owner", "health"]);
    for tool in &tools {
        let health = tool.health.as_ref().map_or("", |health| health.status.as_str());
        table.row(vec![
            tool.tenant_slug.to_string(),
            tool.name.to_string(),
            state(tool).to_owned(),
            tool.owner.to_string(),
            health.to_owned(),
        ]);
    }
    table.print("no tools; `sentinel tools register` adds one")
}

fn state(tool: &Tool) -> &'static str {
    match (tool.is_active, tool.retired_at, review::cause(tool)) {
        (true, ..) => "active",
        (false, Some(_), _) => "retired",
        (false, None, Some(_)) => "quarantined",
        (false, None, None) => "killed",
    }
}

fn show(tool: &Tool, json: bool) -> Outcome {
    if json {
        return output::json(tool);
    }
    output::line(&output::printable(&format!("{}/{}", tool.tenant_slug, tool.name)))?;
    output::fields(&[
        ("id", tool.id.to_string()),
        ("state", state(tool).to_owned()),
        ("url", tool.url.clone()),
        ("owner", tool.owner.to_string()),
        ("scopes", json!(tool.scopes).to_string()),
        ("metadata", json!(tool.metadata).to_string()),
        ("healthcheck", shown(tool.healthcheck.as_ref())),
        (
            "health",
            tool.health.as_ref().map_or_else(String::new, |health| json!(health).to_string()),
        ),
        ("digest", tool.digest.clone()),
        ("created", tool.created_at.to_string()),
        ("updated", tool.updated_at.to_string()),
    ])
}

impl Register {
    async fn run(&self, json: bool) -> Outcome {
        let metadata: Value = serde_json::from_str(&self.metadata)
            .map_err(|error| Failure::usage(format!("--metadata is not JSON: {error}")))?;
        let Value::Object(metadata) = metadata else {
            return Err(Failure::new("--metadata is not a JSON object"));
        };
        let request = RegisterRequest {
            tenant_slug: name("--tenant", &self.named.tenant)?,
            name: name("--tool", &self.named.tool)?,
            url: address("--tool-url", &self.tool_url)?,
            owner: name("--owner", &self.owner)?,
            scopes: Some(self.scopes.clone()),
            metadata: Some(metadata),
            healthcheck: self
                .healthcheck
                .as_deref()
                .map(|url| address("--healthcheck", url))
                .transpose()?,
        };
        let client = self.connection.client(Role::Admin)?;
        let tool = client.api.register(&request).await.or_explain(&client)?;
        if json {
            return output::json(&tool);
        }
        output::line(&format!("registered  {}/{}", self.named.tenant, self.named.tool))?;
        output::fields(&[("id", tool.id.to_string())])
    }
}

fn address(option: &str, text: &str) -> Outcome<Address> {
    let url = text.parse().map_err(|error| {
        Failure::new(format!("{option}: `{text}` is not an absolute address: {error}"))
    })?;
    Ok(Address(url))
}

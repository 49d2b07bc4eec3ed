//! `sentinel tools`: the registry.

use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::client::{Client, Connection, request, text};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Table};

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
    /// Who answers for it.
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
            let id = text(&named.find(&client).await?, "id");
            let answer = client.delete(&["v1", "tools", &id]).await?;
            if json {
                return output::json(&answer);
            }
            output::line(&format!("retired  {}/{}", named.tenant, named.tool))
        }
    }
}

impl Named {
    /// The registered tool of that name.
    async fn find(&self, client: &Client) -> Outcome<Value> {
        let query = [("tenant", Some(self.tenant.clone()))];
        let tools = client.list(&["v1", "tools"], &query, usize::MAX).await?;
        tools.into_iter().find(|tool| text(tool, "name") == self.tool).ok_or_else(|| {
            Failure::new(format!("tenant `{}` has no tool `{}`", self.tenant, self.tool))
                .help("`sentinel tools list` shows those there are")
        })
    }
}

async fn list(tenant: Option<String>, connection: &Connection, json: bool) -> Outcome {
    let client = connection.client(Role::Admin)?;
    let tools = client.list(&["v1", "tools"], &[("tenant", tenant)], usize::MAX).await?;
    if json {
        return output::json(&tools);
    }
    let mut table = Table::new(&["tenant", "tool", "state", "owner", "health"]);
    for tool in &tools {
        let health = tool.get("health").unwrap_or(&Value::Null);
        table.row(vec![
            text(tool, "tenant_slug"),
            text(tool, "name"),
            state(tool).to_owned(),
            text(tool, "owner"),
            text(health, "status"),
        ]);
    }
    table.print("no tools; `sentinel tools register` adds one")
}

fn state(tool: &Value) -> &'static str {
    match (tool.get("is_active"), tool.get("retired_at")) {
        (Some(Value::Bool(true)), _) => "active",
        (_, Some(Value::String(_))) => "retired",
        _ => "killed",
    }
}

fn show(tool: &Value, json: bool) -> Outcome {
    if json {
        return output::json(tool);
    }
    output::line(&output::printable(&format!(
        "{}/{}",
        text(tool, "tenant_slug"),
        text(tool, "name")
    )))?;
    output::fields(&[
        ("id", text(tool, "id")),
        ("state", state(tool).to_owned()),
        ("url", text(tool, "url")),
        ("owner", text(tool, "owner")),
        ("scopes", text(tool, "scopes")),
        ("metadata", text(tool, "metadata")),
        ("healthcheck", text(tool, "healthcheck")),
        ("health", text(tool, "health")),
        ("digest", text(tool, "digest")),
        ("created", text(tool, "created_at")),
        ("updated", text(tool, "updated_at")),
    ])
}

impl Register {
    async fn run(&self, json: bool) -> Outcome {
        let metadata: Value = serde_json::from_str(&self.metadata)
            .map_err(|error| Failure::usage(format!("--metadata is not JSON: {error}")))?;
        let body = request(json!({
            "tenant_slug": self.named.tenant,
            "name": self.named.tool,
            "url": self.tool_url,
            "owner": self.owner,
            "scopes": self.scopes,
            "metadata": metadata,
            "healthcheck": self.healthcheck,
        }));
        let client = self.connection.client(Role::Admin)?;
        let tool = client.post(&["register"], &body).await?;
        if json {
            return output::json(&tool);
        }
        output::line(&format!("registered  {}/{}", self.named.tenant, self.named.tool))?;
        output::fields(&[("id", text(&tool, "id"))])
    }
}

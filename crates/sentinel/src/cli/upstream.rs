//! `sentinel upstream`: MCP servers behind the gateway.

mod show;

use std::collections::BTreeMap;

use sentinel_client::Error;
use sentinel_client::api::{Upstream, UpstreamRequest};
use sentinel_core::principal::Role;
use sentinel_core::upstream::{HttpTransport, SecretRef, StdioTransport, Transport};

use crate::client::{Client, Connection, OrExplain as _, name};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Table};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Adds an upstream: a command after `--`, or an address with --url.
    Add(Box<Add>),
    /// Lists upstreams.
    List {
        /// Only those of one tenant.
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Shows one upstream: how its connection is doing, and which of its tools are not shown.
    Show {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        connection: Connection,
    },
    /// Removes an upstream; calls of its tools are denied.
    Remove {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        connection: Connection,
    },
}

/// One upstream.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// Slug of the tenant.
    #[arg(long)]
    tenant: String,
    /// Name of the upstream.
    #[arg(long)]
    name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// Slug of the tenant.
    #[arg(long)]
    tenant: String,
    /// Name of the upstream: its tools are called `name__tool`.
    #[arg(long)]
    name: String,
    /// Address of a server that is reached by streamable HTTP.
    #[arg(long = "mcp-url", value_name = "URL", conflicts_with_all = ["command", "wrapped"])]
    mcp_url: Option<String>,
    /// The server speaks HTTP with server-sent events, of the revision 2024-11-05.
    #[arg(long, requires = "mcp_url")]
    sse: bool,
    /// A header of requests to the server, as NAME=env:VARIABLE or NAME=file:/PATH; repeatable.
    #[arg(long = "header", value_name = "NAME=SECRET", requires = "mcp_url")]
    headers: Vec<String>,
    /// A variable in the environment of the command, as NAME=env:VARIABLE or NAME=file:/PATH;
    /// repeatable.
    #[arg(long = "env", value_name = "NAME=SECRET", requires = "command")]
    env: Vec<String>,
    /// A server that `sentinel mcp wrap` runs elsewhere.
    #[arg(long, conflicts_with = "command")]
    wrapped: bool,
    /// The command that the control plane runs, which its configuration must allow.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::Add(add) => add.run(json).await,
        Command::List { tenant, connection } => {
            let client = connection.client(Role::Admin)?;
            let found = all(&client, tenant.as_deref()).await?;
            if json { output::json(&found) } else { table(&found) }
        }
        Command::Show { named, connection } => {
            let client = connection.client(Role::Admin)?;
            let upstream = named.find(&client).await?;
            if json { output::json(&upstream) } else { show::show(&client, &upstream).await }
        }
        Command::Remove { named, connection } => {
            let client = connection.client(Role::Admin)?;
            let upstream = named.find(&client).await?;
            let removed = client.api.remove_upstream(upstream.id).await.or_explain(&client)?;
            if json {
                return output::json(&removed);
            }
            output::line(&format!("removed  {}/{}", named.tenant, named.name))
        }
    }
}

impl Named {
    async fn find(&self, client: &Client) -> Outcome<Upstream> {
        let Self { tenant, name } = self;
        let found = all(client, Some(tenant)).await?;
        let found = found.into_iter().find(|upstream| upstream.name.as_str() == name);
        found.ok_or_else(|| {
            Failure::new(format!("tenant `{tenant}` has no upstream `{name}`"))
                .help("`sentinel upstream list` shows those there are")
        })
    }
}

async fn all(client: &Client, tenant: Option<&str>) -> Outcome<Vec<Upstream>> {
    client.api.upstreams(tenant).collect(usize::MAX).await.or_explain(client)
}

fn table(upstreams: &[Upstream]) -> Outcome {
    let mut table = Table::new(&["tenant", "upstream", "state", "defects", "transport", "where"]);
    for upstream in upstreams {
        table.row(vec![
            upstream.tenant_slug.to_string(),
            upstream.name.to_string(),
            upstream.status.as_ref().map_or_else(String::new, |status| status.state.clone()),
            shown_count(upstream.defects.len()),
            upstream.transport.kind().to_owned(),
            place(&upstream.transport),
        ]);
    }
    table.print("no upstreams; `sentinel upstream add` adds one")
}

fn shown_count(count: usize) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}

fn place(transport: &Transport) -> String {
    transport.endpoint().into_iter().skip(1).collect::<Vec<_>>().join(" ")
}

impl Add {
    async fn run(&self, json: bool) -> Outcome {
        let request = UpstreamRequest {
            tenant_slug: name("--tenant", &self.tenant)?,
            name: name("--name", &self.name)?,
            transport: self.transport()?,
        };
        let client = self.connection.client(Role::Admin)?;
        let added = client.api.add_upstream(&request).await;
        let not_allowed = added.as_ref().is_err_and(is_not_allowed);
        let added = added.or_explain(&client);
        let added =
            if not_allowed { added.map_err(|error| self.how_to_allow(error)) } else { added }?;
        if json {
            return output::json(&added);
        }
        output::line(&format!("added  {}/{}", self.tenant, self.name))?;
        output::fields(&[("id", added.id.to_string())])
    }

    /// The line of the configuration that allows the command. The control plane reads it when it
    /// starts.
    fn how_to_allow(&self, failure: Failure) -> Failure {
        let Some(entry) = allowed(&self.command) else {
            return failure.help("a program whose name has spaces in it cannot be allowed");
        };
        let quoted = serde_json::Value::from(entry.as_str()).to_string();
        let in_shell = entry.replace('\'', r"'\''");
        failure
            .help(format!(
                "to allow it, add this line to the configuration of the control plane and restart \
                 it: `gateway_allowed_commands: [{quoted}]`"
            ))
            .help(format!("or start `sentinel dev` with --allow-command '{in_shell}'"))
            .help("in place of the last words, `*` allows any")
    }

    fn transport(&self) -> Outcome<Transport> {
        if self.wrapped {
            return Ok(Transport::Wrapped);
        }
        if !self.command.is_empty() {
            let env = secrets("--env", &self.env)?;
            return Ok(Transport::Stdio(StdioTransport { command: self.command.clone(), env }));
        }
        let Some(url) = &self.mcp_url else {
            return Err(Failure::usage("what is to be added is not said".to_owned())
                .help("give a command after `--`, or an address with --mcp-url, or --wrapped"));
        };
        let url = url.parse().map_err(|error| {
            Failure::usage(format!("--mcp-url: `{url}` is not an absolute address: {error}"))
        })?;
        let http = HttpTransport { url, headers: secrets("--header", &self.headers)? };
        Ok(if self.sse { Transport::Sse(http) } else { Transport::Http(http) })
    }
}

fn is_not_allowed(error: &Error) -> bool {
    error.problem().is_some_and(|problem| problem.code.as_deref() == Some("command_not_allowed"))
}

/// The entry that allows a command: its words. A word with a space in it cannot be written there,
/// so the entry ends before it. `None` when that is the program.
fn allowed(command: &[String]) -> Option<String> {
    let plain = |word: &&String| !word.is_empty() && !word.contains(char::is_whitespace);
    let mut words: Vec<&str> = command.iter().take_while(plain).map(String::as_str).collect();
    if words.len() < command.len() {
        words.push("*");
    }
    (words.first() != Some(&"*")).then(|| words.join(" "))
}

/// Reads `NAME=SECRET`. What is wrong is not repeated, since it may be the secret itself.
fn secrets(option: &str, given: &[String]) -> Outcome<BTreeMap<String, SecretRef>> {
    let secret = |text: &String| {
        let (name, secret) = text.split_once('=').ok_or_else(|| {
            Failure::usage(format!("{option} takes NAME=env:VARIABLE or NAME=file:/PATH"))
        })?;
        let secret = secret
            .parse()
            .map_err(|error| Failure::usage(format!("{option} {name}: the value {error}")))?;
        Ok((name.to_owned(), secret))
    };
    given.iter().map(secret).collect()
}

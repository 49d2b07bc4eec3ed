//! `sentinel mcp scan`: the servers of this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sentinel_mcp_clients::{CLIENTS, Server, State, Transport};
use serde::Serialize;

use super::configuration::{machine, read};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of a project whose configurations are looked at, too.
    #[arg(long, default_value = ".", value_name = "DIR")]
    project: PathBuf,
    /// Address of a control plane: a remote server that is reached through it is governed.
    #[arg(long, env = "SENTINEL_URL", value_name = "URL")]
    url: Option<url::Url>,
}

/// One server, or a configuration that cannot be read.
#[derive(Debug, Serialize)]
struct Found {
    client: &'static str,
    file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    status: Status,
    disabled: bool,
    /// The program or the host, without arguments and paths: they may hold secrets.
    target: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Governed,
    NotGoverned,
    /// Part of the client: nothing can be put in front of it.
    BuiltIn,
    Unreadable,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Governed => "governed",
            Self::NotGoverned => "NOT governed",
            Self::BuiltIn => "built in",
            Self::Unreadable => "UNREADABLE",
        }
    }
}

pub(crate) fn run(args: &Args, json: bool) -> Outcome {
    let found = look(args)?;
    if json {
        output::json(&found)?;
    } else {
        print(&found)?;
    }
    let is_open = |found: &Found| matches!(found.status, Status::NotGoverned | Status::Unreadable);
    if found.iter().any(is_open) { Err(Failure::silent()) } else { Ok(()) }
}

fn look(args: &Args) -> Outcome<Vec<Found>> {
    let project = std::path::absolute(&args.project).unwrap_or_else(|_| args.project.clone());
    let machine = machine(Some(&project))?;
    let mut all = Vec::new();
    // In the home directory, the files of a project may be those of the user.
    let mut seen = BTreeSet::new();
    for client in CLIENTS {
        let paths = client
            .locations
            .iter()
            .filter_map(|location| location.path(&machine).map(|path| (*location, path)));
        for (location, path) in paths {
            if !seen.insert((client.id, path.clone())) {
                continue;
            }
            match read(location, path.clone()) {
                Ok(None) => {}
                Ok(Some(configuration)) => {
                    let servers = configuration.document.servers();
                    all.extend(servers.iter().map(|server| found(args, client.id, &path, server)));
                }
                Err(failure) => all.push(Found {
                    client: client.id,
                    file: path,
                    project: None,
                    server: None,
                    status: Status::Unreadable,
                    disabled: false,
                    target: failure.summary().0,
                }),
            }
        }
    }
    Ok(all)
}

fn found(args: &Args, client: &'static str, path: &Path, server: &Server) -> Found {
    let (status, target) = match &server.state {
        State::Governed(command) => (Status::Governed, program(command)),
        State::Ungoverned(Transport::Stdio(command)) => (Status::NotGoverned, program(command)),
        State::Ungoverned(Transport::Remote(url)) => remote(args, url),
        State::Ungoverned(Transport::Other(kind)) => (Status::BuiltIn, kind.clone()),
        State::Ungoverned(Transport::Broken(reason)) => (Status::NotGoverned, (*reason).to_owned()),
    };
    Found {
        client,
        file: path.to_owned(),
        project: server.scope.clone(),
        server: Some(server.name.clone()),
        status,
        disabled: server.is_disabled,
        target,
    }
}

fn program(command: &[String]) -> String {
    let program = command.first().map(String::as_str).unwrap_or_default();
    program.rsplit('/').next().unwrap_or_default().to_owned()
}

/// A remote server is governed when it is reached through the gateway of the control plane.
fn remote(args: &Args, address: &str) -> (Status, String) {
    let Ok(url) = url::Url::parse(address) else {
        return (Status::NotGoverned, "an address that cannot be read".to_owned());
    };
    let is_ours = args.url.as_ref().is_some_and(|ours| ours.origin() == url.origin());
    let status = if is_ours && url.path().starts_with("/mcp/") {
        Status::Governed
    } else {
        Status::NotGoverned
    };
    (status, url.origin().ascii_serialization())
}

fn print(found: &[Found]) -> Outcome {
    let mut table = Table::new(&["client", "server", "status", "target", "file"]);
    for each in found {
        let name = each.server.clone().unwrap_or_default();
        let name = match &each.project {
            Some(project) => format!("{name} ({project})"),
            None => name,
        };
        let off = if each.disabled { ", off" } else { "" };
        let status = format!("{}{off}", each.status.as_str());
        let file = each.file.display().to_string();
        table.row(vec![each.client.to_owned(), name, status, each.target.clone(), file]);
    }
    table.print("no MCP server is configured")?;
    let open = |found: &&Found| found.status == Status::NotGoverned;
    let mut clients: Vec<_> = found.iter().filter(open).map(|found| found.client).collect();
    clients.dedup();
    for client in clients {
        output::line(&format!("`sentinel mcp install {client}` governs what {client} starts"))?;
    }
    Ok(())
}

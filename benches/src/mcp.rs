//! The Model Context Protocol, as far as the benchmarks of the gateway speak it: an upstream that
//! does as little as it can, a bare proxy, and requests for a client.

pub(crate) mod client;
pub(crate) mod proxy;
pub(crate) mod upstream;

use std::{env, fmt::Write as _, net::SocketAddr, process::Command};

use anyhow::Context as _;
use axum::{Router, serve::ListenerExt as _};
use tokio::{net::TcpListener, runtime};

use crate::{
    load::{RequestHead, Response},
    server::Server,
};

/// The tool of the upstream, which returns its argument `text`.
pub(crate) const ECHO: &str = "echo";
const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";
/// What every modern request says of its client, after its version.
const CLIENT: &str = r#""io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"}"#;

/// Revision of the protocol that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2026-07-28: each request stands alone.
    Modern,
    /// 2025-11-25: a session begins with `initialize`.
    Legacy,
}

impl Era {
    const fn version(self) -> &'static str {
        match self {
            Self::Modern => MODERN,
            Self::Legacy => LEGACY,
        }
    }
}

/// The head of every request of a client to `path`.
pub(crate) fn head(address: SocketAddr, path: &str, era: Era) -> RequestHead {
    RequestHead::new("POST", path, &address.to_string())
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", era.version())
}

/// The head of calls of `tool`.
pub(crate) fn call_head(address: SocketAddr, path: &str, era: Era, tool: &str) -> RequestHead {
    let head = head(address, path, era);
    match era {
        Era::Modern => head.header("mcp-method", "tools/call").header("mcp-name", tool),
        Era::Legacy => head,
    }
}

/// Calls of one tool. Each has arguments of its own, as those of agents have: what is computed once
/// for equal questions is not measured.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    /// Used in turn: in the legacy era each is of a session of its own.
    pub(crate) heads: Vec<RequestHead>,
    pub(crate) era: Era,
    pub(crate) tool: String,
}

impl Calls {
    /// Appends call number `number`.
    pub(crate) fn write(&self, number: u64, buffer: &mut Vec<u8>) {
        let turn = usize::try_from(number).unwrap_or(0) % self.heads.len().max(1);
        if let Some(head) = self.heads.get(turn) {
            head.write(call_body(number, &self.tool, self.era).as_bytes(), buffer);
        }
    }
}

/// Call number `number` of a tool.
pub(crate) fn call_body(number: u64, tool: &str, era: Era) -> String {
    let mut body = String::with_capacity(384);
    // Writing to a text does not fail.
    let _ = write!(
        body,
        r#"{{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"text":"call {number} of the bench"}}"#
    );
    if era == Era::Modern {
        let _ = write!(body, r#","_meta":{{{}}}"#, modern_meta());
    }
    body.push_str("}}");
    body
}

fn modern_meta() -> String {
    format!(r#""io.modelcontextprotocol/protocolVersion":"{MODERN}",{CLIENT}"#)
}

/// A request without parameters of its own, with number 1.
pub(crate) fn plain_request(method: &str, era: Era) -> String {
    let params = match era {
        Era::Modern => format!(r#","params":{{"_meta":{{{}}}}}"#, modern_meta()),
        Era::Legacy => String::new(),
    };
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"{params}}}"#)
}

/// How a client of the legacy era begins a session.
pub(crate) fn initialize_request() -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{{"name":"bench","version":"1"}}}}}}"#
    )
}

/// What it says next.
pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Names the outcome of a call, so that a run of refusals is not taken for one of calls.
pub(crate) fn echoed_or_not(_: u64, response: &Response<'_>) -> Option<&'static str> {
    // The text may stand in a JSON text of its own, after whatever separates keys from values.
    let echoed = response.body_contains("of the bench") && !response.body_contains("Error\":true");
    Some(if echoed { "echoed" } else { "not echoed" })
}

/// Starts this program's subcommand as a child process that prints the address it listens on.
fn start(args: &[&str]) -> anyhow::Result<(Server, SocketAddr)> {
    let program = env::current_exe().context("cannot find the bench program itself")?;
    let mut command = Command::new(program);
    command.args(args).args(["--cores", "0"]);
    Server::start(command, |line| line.trim().parse().ok())
}

/// Serves on a free port of 127.0.0.1 until killed; prints the address as the first line of output.
fn serve(router: Router) -> anyhow::Result<()> {
    runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                eprintln!("cannot set TCP_NODELAY: {error}");
            }
        });
        axum::serve(listener, router).await
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn calls_are_well_formed_and_all_differ() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        for era in [Era::Modern, Era::Legacy] {
            let head = call_head(address, "/mcp", era, "up__echo");
            let calls = Calls { heads: vec![head], era, tool: "up__echo".to_owned() };
            let written = |number| {
                let mut buffer = Vec::new();
                calls.write(number, &mut buffer);
                String::from_utf8(buffer).unwrap()
            };
            let (first, second) = (written(1), written(2));
            assert_ne!(first, second);
            let (_, body) = first.split_once("\r\n\r\n").unwrap();
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["params"]["arguments"]["text"], "call 1 of the bench");
            let version = &body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
            assert_eq!(version.as_str(), (era == Era::Modern).then_some(MODERN));
            let plain: Value = serde_json::from_str(&plain_request("tools/list", era)).unwrap();
            assert_eq!(plain["method"], "tools/list");
        }
    }
}

//! The fixture as a program. This also has `cargo test` build it, with the features that the tests
//! are built with: `scripts/mcp.sh` starts it from there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

#[test]
fn it_serves_a_legacy_client_on_stdio() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sentinel-mcp-fixture"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let initialize = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    });
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{initialize}").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let response: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(response["result"]["protocolVersion"], "2025-11-25", "{response}");
    drop(input);
    child.wait().unwrap();
}

#[test]
fn an_unknown_argument_is_refused() {
    let program = env!("CARGO_BIN_EXE_sentinel-mcp-fixture");
    let refused = Command::new(program).arg("--colour").output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8(refused.stderr).unwrap().contains("--colour"));
}

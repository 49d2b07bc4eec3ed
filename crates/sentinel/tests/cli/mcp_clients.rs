//! `sentinel mcp install`, `uninstall` and `scan` on the configurations of a home of their own.

use std::process::Command;

use serde_json::Value;

use crate::support::{Folder, Ran, sentinel};

const CURSOR: &str = r#"{
  "mcpServers": {
    "files": { "command": "npx", "args": ["-y", "server-files"], "env": {"TOKEN": "canary-1"} },
    "far": { "url": "https://mcp.example.com/x?key=canary-2" }
  }
}
"#;

const GOOSE: &str = "extensions:\n  developer:\n    type: builtin\n  files:\n    cmd: npx # here\n    args:\n    - server-files\n    type: stdio\n";

fn at_home(folder: &Folder, args: &[&str]) -> Ran {
    let mut command: Command = sentinel(args);
    command.env("HOME", folder.path()).env_remove("XDG_CONFIG_HOME").env_remove("CODEX_HOME");
    command.current_dir(folder.path()).output().unwrap().into()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn install_shows_the_change_keeps_a_copy_and_uninstall_restores_it() {
    let folder = Folder::new();
    let path = folder.file(".cursor/mcp.json", CURSOR);
    // There is no terminal to ask at.
    let asked = at_home(&folder, &["mcp", "install", "cursor"]).exits(2);
    assert!(asked.stderr.contains("--yes"), "{asked:?}");
    let looked = at_home(&folder, &["mcp", "install", "cursor", "--dry-run"]).exits(0);
    assert!(looked.stdout.contains("\"wrap\""), "{looked:?}");
    assert_eq!(read(&path), CURSOR);

    let installed = at_home(&folder, &["mcp", "install", "cursor", "--yes"]).exits(0);
    assert!(installed.stdout.contains("sentinel upstream add"), "{installed:?}");
    assert!(!installed.stdout.contains("canary"), "{installed:?}");
    let edited: Value = serde_json::from_str(&read(&path)).unwrap();
    let files = &edited["mcpServers"]["files"];
    assert!(files["command"].as_str().unwrap().ends_with("/sentinel"));
    let args: Vec<&str> =
        files["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    assert_eq!(
        args,
        [
            "mcp",
            "wrap",
            "--embedded",
            "--server",
            "files",
            "--agent",
            "cursor",
            "--",
            "npx",
            "-y",
            "server-files"
        ]
    );
    assert_eq!(read(&format!("{path}.before-sentinel")), CURSOR);

    let again = at_home(&folder, &["mcp", "install", "cursor", "--yes"]).exits(0);
    assert!(again.stdout.contains("governed already"), "{again:?}");
    at_home(&folder, &["mcp", "uninstall", "cursor", "--yes"]).exits(0);
    assert_eq!(read(&path), CURSOR);
    assert_eq!(std::fs::read_dir(folder.path().join(".cursor")).unwrap().count(), 1);
    let nothing = at_home(&folder, &["mcp", "uninstall", "cursor", "--yes"]).exits(0);
    assert!(nothing.stdout.contains("nothing was changed"), "{nothing:?}");
}

#[test]
fn a_control_plane_elsewhere_is_written_with_its_tenant_and_the_file_of_its_key() {
    let folder = Folder::new();
    let path = folder.file(".config/goose/config.yaml", GOOSE);
    let url = "--url=https://sentinel.example.com/";
    at_home(&folder, &["mcp", "install", "goose", "--yes", url]).exits(2);
    let options = ["--tenant=support", "--key-file=key", "--agent=helper"];
    let args = [&["mcp", "install", "goose", "--yes", url], &options[..]].concat();
    at_home(&folder, &args).exits(0);
    let edited = read(&path);
    let key = folder.path().join("key");
    for part in ["- \"https://sentinel.example.com/\"", "- \"support\"", "- \"helper\"", "# here"] {
        assert!(edited.contains(part), "{edited}");
    }
    assert!(edited.contains(key.to_str().unwrap()), "{edited}");
    assert!(!edited.contains("--embedded"), "{edited}");
    // What the user changes meanwhile stays.
    std::fs::write(&path, edited.replace("builtin", "platform")).unwrap();
    let undone = at_home(&folder, &["mcp", "uninstall", "goose", "--yes"]).exits(0);
    assert!(undone.stdout.contains("has been edited since"), "{undone:?}");
    assert_eq!(read(&path), GOOSE.replace("builtin", "platform"));
}

#[test]
fn scan_says_what_is_not_governed() {
    let folder = Folder::new();
    let none = at_home(&folder, &["mcp", "scan"]).exits(0);
    assert!(none.stdout.contains("no MCP server"), "{none:?}");
    folder.file(".cursor/mcp.json", CURSOR);
    folder.file(".config/goose/config.yaml", GOOSE);
    folder.file(".codex/config.toml", "[mcp_servers.x");
    let scanned = at_home(&folder, &["mcp", "scan", "--json"]).exits(1);
    assert!(!scanned.stdout.contains("canary"), "{scanned:?}");
    let found = scanned.json();
    let rows: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let server = row["server"].as_str().unwrap_or_default();
            (row["client"].as_str().unwrap(), server, row["status"].as_str().unwrap())
        })
        .collect();
    assert_eq!(rows.len(), 5, "{rows:?}");
    for expected in [
        ("cursor", "files", "not_governed"),
        ("cursor", "far", "not_governed"),
        ("codex", "", "unreadable"),
        ("goose", "developer", "built_in"),
        ("goose", "files", "not_governed"),
    ] {
        assert!(rows.contains(&expected), "{expected:?} {rows:?}");
    }
    let table = at_home(&folder, &["mcp", "scan"]).exits(1).stdout;
    assert!(table.contains("NOT governed") && table.contains("sentinel mcp install cursor"));
}

#[test]
fn scan_is_content_once_everything_is_governed() {
    let folder = Folder::new();
    let text = CURSOR.replace("https://mcp.example.com/x?key=canary-2", "http://s.example/mcp/t/x");
    folder.file(".cursor/mcp.json", &text);
    at_home(&folder, &["mcp", "install", "cursor", "--yes"]).exits(0);
    at_home(&folder, &["mcp", "scan"]).exits(1);
    let scanned = at_home(&folder, &["mcp", "scan", "--url=http://s.example"]).exits(0);
    assert!(!scanned.stdout.contains("NOT"), "{scanned:?}");
}

#[test]
fn what_cannot_be_used_is_refused_with_a_reason() {
    let folder = Folder::new();
    let unknown = at_home(&folder, &["mcp", "install", "nonesuch"]).exits(2);
    assert!(unknown.stderr.contains("claude-desktop"), "{unknown:?}");
    let absent = at_home(&folder, &["mcp", "install", "zed", "--yes"]).exits(1);
    assert!(absent.stderr.contains("zed/settings.json` does not exist"), "{absent:?}");
    let path = folder.file(".cursor/mcp.json", "{\"mcpServers\": ");
    let broken = at_home(&folder, &["mcp", "install", "cursor", "--yes"]).exits(1);
    assert!(broken.stderr.contains("not valid JSON"), "{broken:?}");
    assert_eq!(read(&path), "{\"mcpServers\": ");
    folder.file(".cursor/mcp.json", CURSOR);
    let server = at_home(&folder, &["mcp", "install", "cursor", "--yes", "--server=x"]).exits(2);
    assert!(server.stderr.contains("files, far"), "{server:?}");
}

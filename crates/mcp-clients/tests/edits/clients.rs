//! For each client, a configuration as its documentation shows it.

use sentinel_mcp_clients::{CLIENTS, Document, Machine, Os, State, Transport};

use crate::{govern_all, location, read, round_trip, ungovern_all};

const MCP_SERVERS: &str = r#"{
  "theme": "dark",
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/home/u/notes"],
      "env": {"TOKEN": "secret-1"}
    },
    "time": { "command": "uvx", "args": ["mcp-server-time"] },
    "hosted": { "url": "https://mcp.example.com/mcp?key=secret-3", "headers": {"Authorization": "Bearer secret-2"} }
  }
}
"#;

const HOSTED: &str = "https://mcp.example.com/mcp?key=secret-3";

const CLAUDE_CODE: &str = r#"{
  "numStartups": 41,
  "mcpServers": {"everywhere": {"type": "stdio", "command": "a", "args": []}},
  "projects": {
    "/home/u/app": {"mcpServers": {"here": {"type": "stdio", "command": "b"}}, "history": []},
    "/home/u/other": {"mcpServers": {}}
  }
}"#;

const VSCODE: &str = "{\n\t// Servers of this user.\n\t\"servers\": {\n\t\t\"git\": {\n\t\t\t\"type\": \"stdio\",\n\t\t\t\"command\": \"uvx\",\n\t\t\t\"args\": [\n\t\t\t\t\"mcp-server-git\", // the official one\n\t\t\t],\n\t\t},\n\t},\n\t\"inputs\": [],\n}\n";

const ZED: &str = r#"// Zed settings
{
  "context_servers": {
    "new": { "source": "custom", "enabled": true, "command": "some-command", "args": ["arg-1"], "env": {} },
    "old": { "command": { "path": "srv", "args": [ ], "env": null } },
    "remote": { "url": "https://example.com/mcp" },
    "extension": { "settings": {} }
  }
}
"#;

const CODEX: &str = r#"model = "o" # the model

[mcp_servers.context7]
command = "npx" # from npm
args = ["-y", "@upstash/context7-mcp"]

[mcp_servers.context7.env]
KEY = "secret-1"

[mcp_servers.plain]
  command = 'srv'

[mcp_servers]
inline = { command = "x", env = { A = "secret-2" } }
dotted.command = "y"
hosted = { url = "https://example.com/mcp", bearer_token_env_var = "T" }
"#;

const GOOSE: &str = "GOOSE_PROVIDER: anthropic
extensions:
  developer:
    bundled: true
    enabled: true
    type: builtin
  github:
    # from the docs
    name: GitHub
    cmd: npx
    args: [-y, '@modelcontextprotocol/server-github']
    enabled: true
    envs: { \"GITHUB_PERSONAL_ACCESS_TOKEN\": \"secret-1\" }
    type: stdio
    timeout: 300
  memory:
    args:
    - -y
    - \"@mcp/memory\"
    cmd: npx
    enabled: false
    envs:
      KEY: secret-2
    type: stdio
  indented:
    cmd: npx # here
    args:
      - server
    type: stdio
  bare:
    type: stdio
    cmd: srv # no arguments
  far:
    type: streamable_http
    uri: https://example.com/mcp
";

const CONTINUE: &str = "name: Local config
version: 1.0.0
schema: v1
models:
  - name: A model
    provider: ollama
mcpServers:
  - name: SQLite MCP
    command: npx
    args:
      - \"-y\"
      - \"mcp-sqlite\"
      - --token
      - ${{ secrets.TOKEN }}
    env:
      TOKEN: secret-1
  - name: Bare
    type: stdio
    command: srv # no arguments
  - command: first
    name: Command first
  - name: Flow
    args: [a, b]
    command: x
  - { name: In one line, command: y }
  - name: Hosted
    type: streamable-http
    url: https://mcp.example.com/mcp?key=secret-3
  - uses: vendor/block
";

fn fixture(client: &str) -> &'static str {
    match client {
        "claude-code" => CLAUDE_CODE,
        "vscode" | "vscode-insiders" => VSCODE,
        "zed" => ZED,
        "codex" => CODEX,
        "goose" => GOOSE,
        "continue" => CONTINUE,
        _ => MCP_SERVERS,
    }
}

#[test]
fn each_client_is_governed_and_restored() {
    for client in CLIENTS {
        let text = round_trip(client.id, fixture(client.id));
        assert!(text.contains("\"mcp\""), "{}: {text}", client.id);
    }
}

#[test]
fn the_entries_of_the_common_format_are_recognised() {
    let servers = read("cursor", MCP_SERVERS).servers();
    let states: Vec<_> = servers.iter().map(|server| (&*server.name, &server.state)).collect();
    let command = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let stdio = |words| State::Ungoverned(Transport::Stdio(command(words)));
    assert_eq!(
        states,
        [
            (
                "filesystem",
                &stdio(&["npx", "-y", "@modelcontextprotocol/server-filesystem", "/home/u/notes"])
            ),
            ("time", &stdio(&["uvx", "mcp-server-time"])),
            ("hosted", &State::Ungoverned(Transport::Remote(HOSTED.to_owned()))),
        ]
    );
}

#[test]
fn the_edit_is_the_one_line_that_the_readme_shows() {
    let old = r#"{"mcpServers": {"fs": {"command": "npx", "args": ["-y", "server"]}}}"#;
    let governed = govern_all(&read("cursor", old)).text();
    assert_eq!(
        governed,
        r#"{"mcpServers": {"fs": {"command": "/opt/sentinel/bin/sentinel", "args": ["mcp", "wrap", "--server", "a \"b\"", "--", "npx", "-y", "server"]}}}"#
    );
}

#[test]
fn claude_code_keeps_servers_of_several_projects_apart() {
    let servers = read("claude-code", CLAUDE_CODE).servers();
    let scopes: Vec<_> =
        servers.iter().map(|server| (&*server.name, server.scope.as_deref())).collect();
    assert_eq!(scopes, [("everywhere", None), ("here", Some("/home/u/app"))]);
}

#[test]
fn servers_in_a_list_are_known_by_the_names_that_they_state() {
    let servers = read("continue", CONTINUE).servers();
    let names: Vec<_> = servers.iter().map(|server| &*server.name).collect();
    let expected =
        ["SQLite MCP", "Bare", "Command first", "Flow", "In one line", "Hosted", "vendor/block"];
    assert_eq!(names, expected);
    let governed = govern_all(&read("continue", CONTINUE));
    let is_governed = |name: &str| {
        let servers = governed.servers();
        let server = servers.iter().find(|server| server.name == name).unwrap();
        matches!(server.state, State::Governed(_))
    };
    assert!(expected[..5].iter().all(|name| is_governed(name)), "{}", governed.text());
    assert!(!is_governed("Hosted") && !is_governed("vendor/block"));
    // A block for all of a folder: a second server of that name could not be told apart.
    let twice = "mcpServers:\n  - {name: a, command: x}\n  - {name: a, command: y}\n";
    assert!(Document::read(location("continue"), twice).is_err());
}

#[test]
fn a_file_that_was_edited_since_loses_only_our_change() {
    let governed = govern_all(&read("cursor", MCP_SERVERS)).text();
    let edited = governed.replace("\"dark\"", "\"light\"").replace("/home/u/notes", "/home/u/new");
    let restored = ungovern_all(&read("cursor", &edited)).text();
    let expected =
        MCP_SERVERS.replace("\"dark\"", "\"light\"").replace("/home/u/notes", "/home/u/new");
    assert_eq!(restored, expected);
}

#[test]
fn a_file_that_another_program_laid_out_again_keeps_its_meaning() {
    let governed = govern_all(&read("cursor", MCP_SERVERS)).text();
    let laid_out = governed.replace(", ", ",\n        ").replace('[', "[\n        ");
    let restored = ungovern_all(&read("cursor", &laid_out));
    let (found, meant) = (restored.servers(), read("cursor", MCP_SERVERS).servers());
    assert_eq!(found, meant, "{}", restored.text());
}

#[test]
fn a_diff_shows_the_change_and_no_secret() {
    for client in ["cursor", "codex", "goose", "continue"] {
        let text = fixture(client);
        let governed = govern_all(&read(client, text)).text();
        let diff = sentinel_mcp_clients::diff(location(client).format, text, &governed);
        assert!(diff.contains("+") && diff.contains("\"wrap\""), "{diff}");
        assert!(!diff.contains("secret-"), "{diff}");
    }
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_stay() {
    for client in ["cursor", "codex", "goose", "claude-code"] {
        let text = fixture(client).replace('\n', "\r\n");
        let governed = round_trip(client, &text);
        assert!(!governed.replace("\r\n", "").contains('\n'), "{governed:?}");
    }
    round_trip("cursor", &format!("\u{feff}{MCP_SERVERS}"));
}

#[test]
fn files_are_where_each_system_has_them() {
    let mut machine = Machine {
        os: Os::Linux,
        home: "/home/u".into(),
        xdg_config: None,
        codex_home: None,
        project: None,
    };
    let first = |client: &str, machine: &Machine| location(client).path(machine).unwrap();
    assert_eq!(
        first("claude-desktop", &machine).to_str(),
        Some("/home/u/.config/Claude/claude_desktop_config.json")
    );
    assert_eq!(first("codex", &machine).to_str(), Some("/home/u/.codex/config.toml"));
    assert_eq!(first("zed", &machine).to_str(), Some("/home/u/.config/zed/settings.json"));
    machine.os = Os::MacOs;
    assert_eq!(
        first("claude-desktop", &machine).to_str(),
        Some("/home/u/Library/Application Support/Claude/claude_desktop_config.json")
    );
    assert_eq!(first("zed", &machine).to_str(), Some("/home/u/.config/zed/settings.json"));
    let project = CLIENTS.iter().flat_map(|client| client.locations);
    assert!(project.filter(|l| l.is_of_project()).all(|l| l.path(&machine).is_none()));
}

#[test]
fn an_empty_file_has_no_servers() {
    for client in ["cursor", "codex", "goose"] {
        assert!(Document::read(location(client), "").unwrap().servers().is_empty());
    }
}

//! The clients that are known: one table.
//!
//! Sources, read in November 2026: the page that each client's `source` names. Paths are those of
//! Linux and macOS, where this program runs.

use std::path::PathBuf;

use crate::format::{Format, Shape};
use crate::machine::{Base, Machine};

/// A client of MCP servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// What it is called on the command line.
    pub id: &'static str,
    pub name: &'static str,
    /// Its configurations: those of the user, then those of a project.
    pub locations: &'static [Location],
    /// Where its vendor, or its source, says so.
    pub source: &'static str,
}

/// One configuration file of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    pub(crate) base: Base,
    pub(crate) path: &'static str,
    pub format: Format,
    pub(crate) shape: Shape,
}

impl Client {
    /// The client of this name.
    #[must_use]
    pub fn find(id: &str) -> Option<&'static Self> {
        CLIENTS.iter().find(|client| client.id == id)
    }
}

impl Location {
    /// Where the file is on a machine; `None` when the machine has no such place.
    #[must_use]
    pub fn path(&self, machine: &Machine) -> Option<PathBuf> {
        self.base.on(machine).map(|base| base.join(self.path))
    }

    /// Whether the file belongs to a project, and may be shared with others.
    #[must_use]
    pub fn is_of_project(&self) -> bool {
        self.base == Base::Project
    }
}

const fn shape(servers: &'static [&'static [&'static str]]) -> Shape {
    Shape { servers, command: "command", args: "args" }
}

const MCP_SERVERS: Shape = shape(&[&["mcpServers"]]);
const SERVERS: Shape = shape(&[&["servers"]]);
/// Before VS Code had a file for servers.
const IN_SETTINGS: Shape = shape(&[&["mcp", "servers"]]);
const OF_CLAUDE: Shape = shape(&[&["mcpServers"], &["projects", "*", "mcpServers"]]);
const OF_ZED: Shape = shape(&[&["context_servers"]]);
const OF_CODEX: Shape = shape(&[&["mcp_servers"]]);
const OF_GOOSE: Shape = Shape { servers: &[&["extensions"]], command: "cmd", args: "args" };

const fn json(base: Base, path: &'static str, shape: Shape) -> Location {
    Location { base, path, format: Format::Json, shape }
}

/// Every client that is known.
pub const CLIENTS: &[Client] = &[
    Client {
        id: "claude-desktop",
        name: "Claude Desktop",
        locations: &[json(Base::Support, "Claude/claude_desktop_config.json", MCP_SERVERS)],
        source: "https://modelcontextprotocol.io/quickstart/user",
    },
    Client {
        id: "claude-code",
        name: "Claude Code",
        locations: &[
            json(Base::Home, ".claude.json", OF_CLAUDE),
            json(Base::Project, ".mcp.json", MCP_SERVERS),
        ],
        source: "https://code.claude.com/docs/en/mcp",
    },
    Client {
        id: "cursor",
        name: "Cursor",
        locations: &[
            json(Base::Home, ".cursor/mcp.json", MCP_SERVERS),
            json(Base::Project, ".cursor/mcp.json", MCP_SERVERS),
        ],
        source: "https://cursor.com/docs/mcp",
    },
    Client {
        id: "vscode",
        name: "VS Code",
        locations: &[
            json(Base::Support, "Code/User/mcp.json", SERVERS),
            json(Base::Support, "Code/User/settings.json", IN_SETTINGS),
            json(Base::Project, ".vscode/mcp.json", SERVERS),
        ],
        source: "https://code.visualstudio.com/docs/copilot/reference/mcp-configuration",
    },
    Client {
        id: "vscode-insiders",
        name: "VS Code Insiders",
        locations: &[
            json(Base::Support, "Code - Insiders/User/mcp.json", SERVERS),
            json(Base::Support, "Code - Insiders/User/settings.json", IN_SETTINGS),
        ],
        source: "https://code.visualstudio.com/docs/copilot/reference/mcp-configuration",
    },
    Client {
        id: "windsurf",
        name: "Windsurf",
        locations: &[json(Base::Home, ".codeium/windsurf/mcp_config.json", MCP_SERVERS)],
        source: "https://docs.windsurf.com/windsurf/cascade/mcp",
    },
    Client {
        id: "zed",
        name: "Zed",
        locations: &[
            json(Base::Config, "zed/settings.json", OF_ZED),
            json(Base::Project, ".zed/settings.json", OF_ZED),
        ],
        source: "https://zed.dev/docs/ai/mcp",
    },
    Client {
        id: "gemini-cli",
        name: "Gemini CLI",
        locations: &[
            json(Base::Home, ".gemini/settings.json", MCP_SERVERS),
            json(Base::Project, ".gemini/settings.json", MCP_SERVERS),
        ],
        source: "https://geminicli.com/docs/tools/mcp-server",
    },
    Client {
        id: "codex",
        name: "Codex",
        locations: &[
            Location {
                base: Base::CodexHome,
                path: "config.toml",
                format: Format::Toml,
                shape: OF_CODEX,
            },
            Location {
                base: Base::Project,
                path: ".codex/config.toml",
                format: Format::Toml,
                shape: OF_CODEX,
            },
        ],
        source: "https://github.com/openai/codex/blob/main/docs/config.md",
    },
    Client {
        id: "goose",
        name: "Goose",
        locations: &[Location {
            base: Base::Config,
            path: "goose/config.yaml",
            format: Format::Yaml,
            shape: OF_GOOSE,
        }],
        source: "https://block.github.io/goose/docs/guides/config-files",
    },
    Client {
        id: "lm-studio",
        name: "LM Studio",
        locations: &[
            json(Base::Home, ".lmstudio/mcp.json", MCP_SERVERS),
            // https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1371
            json(Base::Home, ".cache/lm-studio/mcp.json", MCP_SERVERS),
        ],
        source: "https://lmstudio.ai/docs/app/mcp",
    },
    Client {
        id: "cline",
        name: "Cline",
        locations: &[json(
            Base::Support,
            "Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
            MCP_SERVERS,
        )],
        source: "https://docs.cline.bot/mcp/configuring-mcp-servers",
    },
    Client {
        id: "roo-code",
        name: "Roo Code",
        locations: &[
            json(
                Base::Support,
                "Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
                MCP_SERVERS,
            ),
            json(Base::Project, ".roo/mcp.json", MCP_SERVERS),
        ],
        source: "https://docs.roocode.com/features/mcp/using-mcp-in-roo",
    },
    Client {
        id: "continue",
        name: "Continue",
        locations: &[
            Location {
                base: Base::Home,
                path: ".continue/config.yaml",
                format: Format::Yaml,
                shape: MCP_SERVERS,
            },
            json(Base::Project, ".continue/mcpServers/mcp.json", MCP_SERVERS),
        ],
        source: "https://docs.continue.dev/customize/deep-dives/mcp",
    },
    Client {
        id: "copilot-cli",
        name: "GitHub Copilot CLI",
        locations: &[json(Base::Home, ".copilot/mcp-config.json", MCP_SERVERS)],
        source: "https://docs.github.com/en/copilot/how-tos/copilot-cli/customize-copilot/add-mcp-servers",
    },
];

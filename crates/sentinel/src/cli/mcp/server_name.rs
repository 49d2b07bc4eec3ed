//! A name for a server that has none.

/// The longest name of an upstream.
const LONGEST: usize = 32;
/// Programs that run a server, and say nothing about it.
const RUNNERS: [&str; 14] = [
    "npx", "npm", "pnpm", "bunx", "bun", "uvx", "uv", "pipx", "node", "deno", "python", "python3",
    "docker", "env",
];
/// Words that runners take before the server.
const WORDS: [&str; 5] = ["run", "exec", "tool", "dlx", "x"];
/// What names of servers begin or end with, and what says nothing about them.
const AFFIXES: [&str; 5] = ["mcp-server-", "server-", "mcp-", "-mcp-server", "-mcp"];

/// A name for what a client calls `text`: lower-case letters, digits and single hyphens.
pub(crate) fn of_text(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            'a'..='z' | '0'..='9' => name.push(c),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
        if name.len() == LONGEST {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "server".to_owned() } else { name.to_owned() }
}

/// A name for the server that a command starts: that of its package or file.
pub(crate) fn of_command(command: &[String]) -> String {
    let says_something = |word: &&String| {
        let program = word.rsplit('/').next().unwrap_or_default();
        !word.starts_with('-') && !RUNNERS.contains(&program) && !WORDS.contains(&word.as_str())
    };
    let word = command.iter().find(says_something).or(command.first());
    let word = word.map(String::as_str).unwrap_or_default();
    let file = word.rsplit('/').next().unwrap_or_default();
    // A version comes after `@`, the name of a file before its ending.
    let file = file.split('@').find(|part| !part.is_empty()).unwrap_or_default();
    let stem = file.split('.').find(|part| !part.is_empty()).unwrap_or_default();
    of_text(strip(stem))
}

fn strip(name: &str) -> &str {
    let mut name = name;
    for affix in AFFIXES {
        let shorter = name.strip_prefix(affix).or_else(|| name.strip_suffix(affix));
        name = shorter.filter(|shorter| !shorter.is_empty()).unwrap_or(name);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(command: &str) -> String {
        of_command(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_command_is_named_after_its_package_or_file() {
        assert_eq!(named("npx -y @modelcontextprotocol/server-filesystem /home/u"), "filesystem");
        assert_eq!(named("npx -y @upstash/context7-mcp@latest"), "context7");
        assert_eq!(named("uvx mcp-server-git --repository ."), "git");
        assert_eq!(named("python3 -m mcp_server_time"), "mcp-server-time");
        assert_eq!(named("/usr/bin/python3 /opt/My_Server.py"), "my-server");
        assert_eq!(named("docker run -i --rm ghcr.io/github/github-mcp-server"), "github");
        assert_eq!(named("./srv"), "srv");
        assert_eq!(named("node"), "node");
        assert_eq!(named("../.."), "server");
    }

    #[test]
    fn every_text_becomes_a_name() {
        assert_eq!(of_text("GitHub (prod)__2"), "github-prod-2");
        assert_eq!(of_text("é"), "server");
        assert_eq!(of_text(&"a-".repeat(50)), "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a");
        assert_eq!(of_text("--x--"), "x");
        assert_eq!(of_text("my-server"), "my-server");
    }
}

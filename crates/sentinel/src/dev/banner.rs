//! What `sentinel dev` prints once it is ready.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use jiff::Timestamp;
use sentinel_core::policy::PolicyStatus;
use serde_json::json;

use super::data_dir::DataDir;
use super::keys::DevKeys;
use crate::failure::Outcome;
use crate::output::{self, BOLD, DIM, RED, styled};

/// What is printed.
pub(crate) struct Ready<'a> {
    pub(crate) address: SocketAddr,
    /// Where Envoy asks; `None` serves none.
    pub(crate) ext_authz: Option<SocketAddr>,
    pub(crate) data_dir: &'a DataDir,
    pub(crate) policy_dir: &'a Path,
    pub(crate) policy: &'a PolicyStatus,
    /// Files of the shipped policies that the user has changed.
    pub(crate) policies_kept: usize,
    /// Names of the sample tools that were registered just now.
    pub(crate) seeded: &'a [String],
    /// `None` without authentication.
    pub(crate) keys: Option<&'a DevKeys>,
}

impl Ready<'_> {
    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One line for programs. It repeats no key.
    pub(crate) fn json(&self, now: Timestamp) -> Outcome {
        let keys_file = self.keys.map(|_| self.data_dir.keys());
        let line = json!({
            "event": "server.ready",
            "url": self.url(),
            "timestamp": now,
            "metadata": {
                "mode": "dev",
                "version": env!("CARGO_PKG_VERSION"),
                "pid": std::process::id(),
                "ext_authz": self.ext_authz,
                "data_dir": self.data_dir.path(),
                "keys_file": keys_file,
                "keys_created": self.keys.is_some_and(|keys| !keys.new.is_empty()),
                "policy_dir": self.policy_dir,
                "policy_revision": self.policy.revision,
                "policy_error": self.policy.error,
                "tools_seeded": self.seeded,
            },
        });
        output::line(&output::escape_json(&line.to_string()))
    }

    /// A page for people.
    pub(crate) fn text(&self) -> Outcome {
        output::line(&self.render())
    }

    fn render(&self) -> String {
        let url = self.url();
        let mut out = String::new();
        let title = styled(BOLD, concat!("Sentinel MCP ", env!("CARGO_PKG_VERSION")));
        let dim = |text: &str| styled(DIM, text);
        let facts = [
            ("API", url.clone()),
            ("Docs", format!("{url}/docs")),
            ("Data", self.data_dir.path().display().to_string()),
            ("Policies", self.policies()),
            ("Tools", self.tools()),
        ];
        // Writing to a string cannot fail.
        let _ = write!(out, "\n  {title}  {}\n\n", dim("dev, this machine only"));
        for (name, value) in facts {
            let _ = writeln!(out, "  {name:<10}{value}");
        }
        if let Some(address) = self.ext_authz {
            let _ = writeln!(out, "  {:<10}{address} (gRPC, ext_authz)", "Envoy");
        }
        self.keys(&mut out);
        let _ = write!(out, "\n  Try it\n\n{}\n", self.example());
        let pid = std::process::id();
        let hint = format!("Ctrl-C stops it; kill -HUP {pid} loads the policies again.");
        let _ = write!(out, "\n  {}\n", dim(&hint));
        out
    }

    fn policies(&self) -> String {
        let dir = self.policy_dir.display();
        let kept = match self.policies_kept {
            0 => String::new(),
            n => format!(", {n} changed by you and left as they are"),
        };
        match &self.policy.revision {
            Some(revision) => format!("{dir}  revision {revision}{kept}"),
            None => {
                let warning = styled(RED, "refused, so every check is denied; the log says why");
                format!("{dir}  {warning}")
            }
        }
    }

    fn tools(&self) -> String {
        match self.seeded {
            [] => "the sample tools are there already".to_owned(),
            new => format!("sample tools registered: {}", new.join(", ")),
        }
    }

    fn keys(&self, out: &mut String) {
        let path = self.data_dir.keys();
        let path = path.display();
        let Some(keys) = self.keys else {
            let _ = writeln!(out, "  {:<10}none needed (--no-auth)", "Keys");
            return;
        };
        if keys.new.is_empty() {
            let _ = writeln!(out, "  {:<10}{path}", "Keys");
            return;
        }
        let _ = write!(out, "\n  API keys, shown this once and kept in {path}\n\n");
        for (role, secret) in keys.all.iter().filter(|(role, _)| keys.new.contains(role)) {
            let _ = writeln!(out, "    {:<9} {secret}", role.as_str());
        }
    }

    /// A command to paste. It reads the key from its file, so it holds no secret.
    fn example(&self) -> String {
        let key = self.keys.map_or_else(String::new, |_| {
            let path = shell_quoted(&self.data_dir.keys().display().to_string());
            format!(
                "      -H \"Authorization: Bearer $(sed -n 's/.*\"agent\": \"\\(.*\\)\".*/\\1/p' \
                 {path})\" \\\n"
            )
        });
        format!(
            "    curl -s {}/policy/check \\\n{key}      -H 'Content-Type: application/json' \\\n      \
             -d '{{\"tenant_slug\":\"platform-eng\",\"tool_name\":\"langsmith-docs-search\",\
             \"action\":\"invoke\",\"purpose\":\"documentation_lookup\"}}'",
            self.url()
        )
    }
}

/// A word of a shell command.
fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

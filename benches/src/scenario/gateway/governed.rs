//! Starts the gateway as its users do, `sentinel serve` with a configuration, on a real disk.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::Target;
use crate::{
    load::RequestHead,
    mcp::{self, Calls, ECHO, Era, client::Client, upstream},
    scenario::fleet::make_key,
    sentinel::{Product, ready_address},
    server::Server,
};

const TENANT: &str = "bench";
/// The upstream whose tool is called.
const UPSTREAM: &str = "up";
/// Calls a day that may be made: more than a run makes, so that what is measured is an allow that
/// was counted.
const QUOTA: &str = r#"{"limit": 1000000000, "window": "1d"}"#;

/// What policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// A tool on the tenant's allowlist, whose definition says that it only reads, with arguments of
    /// bounded size.
    Usual,
    /// Every call.
    Constant,
}

/// A gateway, as far as it differs from the usual one.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    /// Of its folder.
    pub(super) name: String,
    pub(super) policy: Policy,
    pub(super) quota: bool,
    /// Where it writes; `None` is the scratch folder of all.
    pub(super) folder: Option<PathBuf>,
    /// Further lines of the configuration.
    pub(super) lines: String,
}

impl Setup {
    /// With everything on.
    pub(super) fn usual(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            policy: Policy::Usual,
            quota: true,
            folder: None,
            lines: String::new(),
        }
    }
}

/// A configuration with an empty data folder.
#[derive(Debug)]
pub(super) struct Place {
    binary: PathBuf,
    config: PathBuf,
    key: String,
}

/// A running gateway.
#[derive(Debug)]
pub(super) struct Governed {
    pub(super) server: Server,
    pub(super) address: SocketAddr,
    key: String,
}

impl Place {
    pub(super) fn new(
        product: &Product,
        setup: &Setup,
        upstreams: &[(String, SocketAddr)],
    ) -> anyhow::Result<Self> {
        let parent = setup.folder.as_deref().unwrap_or(&product.scratch);
        let folder = std::path::absolute(parent.join(format!("gateway-{}", setup.name)))?;
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let policies = folder.join("policies");
        write_policy(&policies, setup)?;
        let signing_key = folder.join("signing-key.pem");
        make_key(&signing_key)?;
        let config = folder.join("sentinel.yaml");
        let upstreams: Vec<_> = upstreams
            .iter()
            .map(|(name, address)| {
                let url = format!("http://{address}{}", upstream::PATH);
                json!({ "tenant": TENANT, "name": name, "transport": { "http": { "url": url } } })
            })
            .collect();
        let text = format!(
            "listen: 127.0.0.1:0\ndatabase_url: sqlite://{folder}/sentinel.db\n\
             policy_dir: {policies}\nsigning_key_file: {key}\nlog_format: json\n\
             gateway_networks: public_and_private\ngateway_upstreams: {upstreams}\n{lines}\n",
            folder = folder.display(),
            policies = policies.display(),
            key = signing_key.display(),
            upstreams = json!(upstreams),
            lines = setup.lines,
        );
        fs::write(&config, text)?;
        let mut place = Self { binary: product.binary.clone(), config, key: String::new() };
        place.sentinel(&["migrate"])?;
        place.key = place.sentinel(&["key", "create", "--role=admin", "--name=bench"])?;
        Ok(place)
    }

    /// Runs a command on the configuration; returns what it prints.
    fn sentinel(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.binary);
        let output = command.args(args).arg("--config").arg(&self.config).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`sentinel {}`: {errors}", args.join(" "));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Starts the server. It has connected no upstream yet.
    pub(super) fn start(&self) -> anyhow::Result<Governed> {
        let mut command = Command::new(&self.binary);
        command.args(["serve", "--config"]).arg(&self.config).stderr(Stdio::inherit());
        let (server, address) = Server::start(command, ready_address)?;
        Ok(Governed { server, address, key: self.key.clone() })
    }
}

impl Governed {
    /// Starts one in front of one upstream, which has been connected and whose tools are pinned.
    pub(super) fn start(
        product: &Product,
        setup: &Setup,
        upstream: SocketAddr,
    ) -> anyhow::Result<Self> {
        let place = Place::new(product, setup, &[(UPSTREAM.to_owned(), upstream)])?;
        let governed = place.start()?;
        let listed = governed.list()?;
        ensure!(listed.contains(&Self::tool()), "the tool is not listed: {listed}");
        Ok(governed)
    }

    fn path() -> String {
        format!("/mcp/{TENANT}")
    }

    pub(super) fn authorized(&self, head: RequestHead) -> RequestHead {
        head.header("authorization", &format!("Bearer {}", self.key))
    }

    /// The head of a request without a session.
    pub(super) fn head(&self, era: Era) -> RequestHead {
        self.authorized(mcp::head(self.address, &Self::path(), era))
    }

    /// The head of a call without a session.
    pub(super) fn call_head(&self) -> RequestHead {
        self.authorized(mcp::call_head(self.address, &Self::path(), Era::Modern, &Self::tool()))
    }

    /// The tool as clients of the gateway see it.
    pub(super) fn tool() -> String {
        format!("{UPSTREAM}__{ECHO}")
    }

    /// Asks for the list of tools once, on a connection of its own.
    pub(super) fn list(&self) -> anyhow::Result<String> {
        let head = self.head(Era::Modern).header("mcp-method", "tools/list");
        let mut client = Client::connect(self.address)?;
        Ok(client.succeed(&head, &mcp::plain_request("tools/list", Era::Modern))?.body)
    }

    /// Begins a session of the legacy era; returns its id.
    pub(super) fn begin_session(&self, client: &mut Client) -> anyhow::Result<String> {
        let head = self.head(Era::Legacy);
        let begun = client.succeed(&head, &mcp::initialize_request())?;
        let id = begun.header("mcp-session-id").context("no session id")?.to_owned();
        client.succeed(&self.in_session(&id), mcp::INITIALIZED)?;
        Ok(id)
    }

    /// The head of a request of a session.
    pub(super) fn in_session(&self, id: &str) -> RequestHead {
        self.head(Era::Legacy).header("mcp-session-id", id)
    }

    /// The head of the request for the stream of a session.
    pub(super) fn stream_head(&self, id: &str) -> RequestHead {
        let head = RequestHead::new("GET", &Self::path(), &self.address.to_string())
            .header("accept", "text/event-stream")
            .header("mcp-session-id", id);
        self.authorized(head)
    }

    /// Calls of the tool, in the legacy era in so many sessions.
    pub(super) fn calls(&self, era: Era, sessions: usize) -> anyhow::Result<Calls> {
        let heads = match era {
            Era::Modern => vec![self.call_head()],
            Era::Legacy => {
                let mut client = Client::connect(self.address)?;
                let begin = |_| Ok(self.in_session(&self.begin_session(&mut client)?));
                (0..sessions).map(begin).collect::<anyhow::Result<_>>()?
            }
        };
        Ok(Calls { heads, era, tool: Self::tool() })
    }

    pub(super) fn target(&self, label: &str, era: Era) -> anyhow::Result<Target> {
        let (address, pid) = (self.address, self.server.pid());
        let calls = self.calls(era, super::FEW)?;
        Ok(Target { label: label.to_owned(), address, pid, calls })
    }
}

fn write_policy(folder: &Path, setup: &Setup) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let quota = if setup.quota { format!(r#", "quota": {QUOTA}"#) } else { String::new() };
    let allow = format!(r#"{{"allow": true{quota}}}"#);
    let rules = match setup.policy {
        Policy::Constant => format!("decision := {allow}\n"),
        Policy::Usual => format!(
            r#"default decision := {{"allow": false, "reasons": []}}

decision := {{"allow": true}} if input.action == "list"

decision := {allow} if {{
	input.action == "call"
	data.allowlist[input.tenant][input.tool] == true
	input.tool_record.metadata.mcp.annotations.readOnlyHint == true
	count(input.arguments.text) < 1000
}}
"#
        ),
    };
    fs::write(
        folder.join("policy.rego"),
        format!("package sentinel.policy\n\nimport rego.v1\n\n{rules}"),
    )?;
    let data = json!({ "allowlist": { TENANT: { Governed::tool(): true } } });
    Ok(fs::write(folder.join("data.json"), data.to_string())?)
}

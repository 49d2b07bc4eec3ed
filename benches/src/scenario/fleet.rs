//! Replicas on one PostgreSQL: what a fleet does, and what the next replica adds.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use sentinel_testkit::postgres;

use super::{Times, allowed_or_not};
use crate::{
    CHECK_BODY,
    echo::Baseline,
    load::{self, LoadPlan, LoadResult, Mode, RequestHead},
    report::{LOAD_COLUMNS, Row, Table},
    sentinel::{Product, ready_address},
    server::Server,
};

const REPLICAS: [usize; 2] = [1, 3];

/// What docs/scaling.md advises to replicas that share a few cores with their database.
const SHARING: [(&str, &str); 1] = [("TOKIO_WORKER_THREADS", "1")];
pub(super) const DATABASE: &str = "bench";
/// The steady rate at which latency is promised, per second.
pub(super) const STEADY: f64 = 1000.0;

/// Loads one replica, then three, on a PostgreSQL of its own that waits for the disk.
pub(crate) fn measure(
    product: &Product,
    times: Times,
    baseline: &Baseline,
) -> anyhow::Result<Table> {
    let database = postgres::Server::new();
    let deployment = Deployment::on(product, &database)?;
    let mut table = Table::new("replicas on PostgreSQL", LOAD_COLUMNS);
    for (settings, note) in [(&[][..], ""), (&SHARING[..], " that share")] {
        for count in REPLICAS {
            let fleet = deployment.start_with(count, settings)?;
            let name = format!("{}{note}", replicas(count));
            for echo in &baseline.loads {
                let result = fleet.load(times, echo.connections, Mode::Closed)?;
                let label = format!("{name}, {} connections", echo.connections);
                table.push(Row::load(label, &result, Some(echo))?);
            }
            let result = fleet.load(times, 128, Mode::Open { per_second: STEADY })?;
            table.push(Row::load(format!("{name}, steady 1,000/s"), &result, None)?);
        }
    }
    Ok(table)
}

fn replicas(count: usize) -> String {
    if count == 1 { "1 replica".to_owned() } else { format!("{count} replicas") }
}

/// A configuration, migrated and with one tool.
pub(super) struct Deployment {
    binary: PathBuf,
    config: PathBuf,
    key: String,
}

impl Deployment {
    /// In an empty database of this server.
    pub(super) fn on(product: &Product, database: &postgres::Server) -> anyhow::Result<Self> {
        database.create_database(DATABASE, "template0");
        Self::new(product, &database.url(DATABASE), "")
    }

    /// With these `lines` in the configuration, besides what is in every one.
    pub(super) fn new(product: &Product, database_url: &str, lines: &str) -> anyhow::Result<Self> {
        let folder = std::path::absolute(product.scratch.join("fleet"))?;
        fs::create_dir_all(&folder)?;
        let policies = std::path::absolute(product.policies_with_room()?)?;
        let signing_key = folder.join("signing-key.pem");
        make_key(&signing_key)?;
        let config = folder.join("sentinel.yaml");
        fs::write(
            &config,
            format!(
                "listen: 127.0.0.1:0\ndatabase_url: {database_url}\npolicy_dir: {}\n\
                 signing_key_file: {}\nlog_format: json\n{lines}\n",
                policies.display(),
                signing_key.display()
            ),
        )?;
        let mut deployment = Self { binary: product.binary.clone(), config, key: String::new() };
        deployment.sentinel(&["migrate"])?;
        deployment.key = deployment.sentinel(&["key", "create", "--role=admin", "--name=bench"])?;
        deployment.register()?;
        Ok(deployment)
    }

    /// Runs a command on the configuration; returns what it prints.
    fn sentinel(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.binary);
        let output = command.args(args).arg("--config").arg(&self.config).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`sentinel {}`: {errors}", args.join(" "));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn register(&self) -> anyhow::Result<()> {
        let fleet = self.start(1)?;
        let address = fleet.addresses.first().context("no replica")?;
        let mut command = Command::new(&self.binary);
        command.args(["tools", "register", "--tenant=platform-eng", "--owner=bench"]);
        command.args(["--tool=langsmith-docs-search", "--tool-url=https://tool.example/mcp"]);
        command.arg(format!("--url=http://{address}")).arg(format!("--key={}", self.key));
        let output = command.output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the tool cannot be registered: {errors}");
        Ok(())
    }

    pub(super) fn start(&self, count: usize) -> anyhow::Result<Fleet> {
        self.start_with(count, &[])
    }

    /// Replicas with these variables in their environment.
    fn start_with(&self, count: usize, settings: &[(&str, &str)]) -> anyhow::Result<Fleet> {
        let mut fleet = Fleet { servers: Vec::new(), addresses: Vec::new(), key: self.key.clone() };
        for _ in 0..count {
            let mut command = Command::new(&self.binary);
            command.args(["serve", "--config"]).arg(&self.config).stderr(Stdio::inherit());
            command.envs(settings.iter().copied());
            let (server, address) = Server::start(command, ready_address)?;
            fleet.servers.push(server);
            fleet.addresses.push(address);
        }
        Ok(fleet)
    }
}

pub(super) fn make_key(path: &Path) -> anyhow::Result<()> {
    let mut openssl = Command::new("openssl");
    openssl.args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"]);
    ensure!(openssl.arg(path).stderr(Stdio::null()).status()?.success(), "openssl made no key");
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

/// Replicas that run until this is dropped.
pub(super) struct Fleet {
    pub(super) servers: Vec<Server>,
    pub(super) addresses: Vec<std::net::SocketAddr>,
    key: String,
}

impl Fleet {
    /// The head of a request to any of them.
    pub(super) fn request(&self, method: &str, path: &str) -> RequestHead {
        RequestHead::new(method, path, "localhost")
            .header("content-type", "application/json")
            .header("authorization", &format!("Bearer {}", self.key))
    }

    pub(super) fn load(
        &self,
        times: Times,
        connections: usize,
        mode: Mode,
    ) -> anyhow::Result<LoadResult> {
        let request = self.request("POST", "/policy/check").request(CHECK_BODY.as_bytes());
        let plan = LoadPlan {
            addresses: self.addresses.clone(),
            connections,
            mode,
            warm_up: times.warm_up,
            measured: times.measured,
            // One process of several, and the database, would say little.
            server_pid: None,
        };
        load::run(
            &plan,
            &|_, buffer: &mut Vec<u8>| buffer.extend_from_slice(&request),
            &allowed_or_not,
        )
    }
}

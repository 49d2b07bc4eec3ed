//! The system under test: a PostgreSQL, a Redis and three replicas, each behind its own proxies.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sentinel_client::api::{Address, RegisterRequest};
use sentinel_core::id::ToolId;
use sentinel_testkit::postgres::Server as Postgres;
use sentinel_testkit::redis::RedisServer;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::client::Client;
use crate::disk::Disk;
use crate::fleet::Fleet;
use crate::observation::Journal;
use crate::proxy::Proxy;
use crate::random::Random;
use crate::replica::{Build, Program, Replica};
use crate::world;

const DATABASE: &str = "sentinel";

/// How to build a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) sentinel: PathBuf,
    /// Replicas run this program with that fault instead of `sentinel`.
    pub(crate) planted: Option<String>,
    pub(crate) replicas: usize,
    /// Whether the database is on a small file system of its own, which can be filled.
    pub(crate) small_disk: bool,
    /// Whether the last replica runs under a clock that can be set.
    pub(crate) own_clock: bool,
    /// How long a replica serves on when it is asked to end; otherwise the default.
    pub(crate) drain_seconds: Option<u64>,
}

/// Everything that runs. It ends when this is dropped, or with the process.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) replicas: Vec<Mutex<Replica>>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) redis: Mutex<RedisServer>,
    pub(crate) postgres: Arc<Postgres>,
    /// Where PostgreSQL keeps everything but, with a small disk, the tables.
    pub(crate) data: PathBuf,
    pub(crate) disk: Option<Disk>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) tool_ids: HashMap<&'static str, ToolId>,
    pub(crate) agent_key: String,
    pub(crate) operator_key: String,
    _folder: TempDir,
}

impl Cluster {
    pub(crate) async fn start(plan: &Plan) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let disk = plan.small_disk.then(|| Disk::mount(folder.path())).transpose()?;
        let postgres = Arc::new(tokio::task::spawn_blocking(Postgres::new).await?);
        create_database(&postgres, disk.as_ref());
        let data = postgres.query("postgres", "SHOW data_directory").into();
        let redis = RedisServer::start();
        sign_key(folder.path()).await?;

        let mut replicas = Vec::new();
        for index in 0..plan.replicas {
            let proxies = (
                Proxy::start(port_of(&postgres.url(DATABASE))?).await?,
                Proxy::start(port_of(&redis.url())?).await?,
            );
            let home = folder.path().join(format!("replica-{index}"));
            let listen = free_port()?;
            let config = write_replica(&home, listen, &proxies, folder.path(), plan.drain_seconds)?;
            let program = Program {
                sentinel: plan.sentinel.clone(),
                build: plan.planted.clone().map_or(Build::Product, Build::Planted),
                config,
                own_clock: plan.own_clock && index + 1 == plan.replicas,
            };
            replicas.push(Replica::new(index, listen, home, program, proxies)?);
        }
        let first = replicas.first().context("no replicas")?.program.clone();
        run(first.cli(&["migrate"])).await?;
        let admin_key = create_key(&first, "admin").await?;
        let agent_key = create_key(&first, "agent").await?;
        let operator_key = create_key(&first, "operator").await?;
        for replica in &mut replicas {
            replica.start().await?;
        }
        let fleet = Arc::new(Fleet::new(replicas.iter().map(|each| each.url.clone())));
        let journal = Arc::new(Journal::new());
        let admin = Client::new(u16::MAX, &fleet, &admin_key, Duration::from_secs(10), &journal)?;
        let tool_ids = register(&admin).await?;
        Ok(Self {
            replicas: replicas.into_iter().map(Mutex::new).collect(),
            fleet,
            redis: Mutex::new(redis),
            postgres,
            data,
            disk,
            journal,
            tool_ids,
            agent_key,
            operator_key,
            _folder: folder,
        })
    }

    pub(crate) fn client(&self, id: u16, key: &str, timeout: Duration) -> Result<Client> {
        Client::new(id, &self.fleet, key, timeout, &self.journal)
    }

    /// Past the proxies.
    pub(crate) fn database_url(&self) -> String {
        self.postgres.url(DATABASE)
    }
}

fn create_database(postgres: &Postgres, disk: Option<&Disk>) {
    if let Some(disk) = disk {
        let location = disk.tables.display();
        postgres.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{location}'"));
        postgres.sql("postgres", &format!("CREATE DATABASE {DATABASE} TABLESPACE small"));
    } else {
        postgres.create_database(DATABASE, "template0");
    }
}

async fn sign_key(folder: &Path) -> Result<()> {
    let key = folder.join("key.pem");
    let mut openssl = Command::new("openssl");
    openssl.args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"]);
    openssl.arg(&key);
    run(openssl).await?;
    Ok(fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?)
}

/// Writes the configuration and the policy of a replica; returns the path of the configuration.
fn write_replica(
    home: &Path,
    listen: u16,
    (database, redis): &(Proxy, Proxy),
    shared: &Path,
    drain_seconds: Option<u64>,
) -> Result<PathBuf> {
    let policies = home.join("policies");
    fs::create_dir_all(&policies)?;
    fs::write(policies.join("policy.rego"), world::policy())?;
    let config = home.join("config.yaml");
    let text = format!(
        "listen: 127.0.0.1:{listen}\ndatabase_url: postgres://sentinel@127.0.0.1:{}/{DATABASE}\n\
         redis_url: redis://127.0.0.1:{}/0\npolicy_dir: {}\nsigning_key_file: {}\n\
         log_format: json\nlog_checks: false\nhealth_checks: false\n",
        database.port,
        redis.port,
        policies.display(),
        shared.join("key.pem").display(),
    );
    let drain = drain_seconds.map(|seconds| format!("drain_seconds: {seconds}\n"));
    fs::write(&config, text + &drain.unwrap_or_default())?;
    Ok(config)
}

async fn create_key(program: &Program, role: &str) -> Result<String> {
    let name = format!("chaos {role}");
    let key = run(program.cli(&["key", "create", "--role", role, "--name", &name])).await?;
    Ok(key.trim().to_owned())
}

async fn register(admin: &Client) -> Result<HashMap<&'static str, ToolId>> {
    let mut ids = HashMap::new();
    for (tenant, tool) in world::tools() {
        let request = RegisterRequest {
            tenant_slug: tenant.parse()?,
            name: tool.parse()?,
            url: Address("https://tools.example.com/mcp".parse()?),
            owner: "chaos@example.com".parse()?,
            scopes: None,
            metadata: None,
            healthcheck: None,
        };
        ids.insert(tool, admin.register(&request).await?.id);
    }
    Ok(ids)
}

async fn run(mut command: Command) -> Result<String> {
    let output = command.output().await.with_context(|| format!("{command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// A port that stays free while a replica is away: outside the range from which connections get
/// theirs.
fn free_port() -> Result<u16> {
    let seed = uuid::Uuid::new_v4().as_u64_pair().0;
    let mut random = Random::new(seed);
    for _ in 0..200 {
        let port = 15_000 + u16::try_from(random.below(15_000))?;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no port is free")
}

fn port_of(url: &str) -> Result<u16> {
    let (_, rest) = url.rsplit_once(':').context("an address without a port")?;
    let digits = rest.split('/').next().unwrap_or_default();
    Ok(digits.parse()?)
}

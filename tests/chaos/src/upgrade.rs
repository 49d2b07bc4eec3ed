//! The rehearsal of an upgrade: expand, replace the replicas one by one, migrate the data,
//! contract, all of it under load. See "Upgrading a fleet" in docs/scaling.md.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use sentinel_store_postgres::{PostgresStore, Step};
use sqlx::{Connection as _, PgConnection, query_scalar, raw_sql};
use tokio::time::{sleep, timeout};

use crate::checker::{self, History, Least};
use crate::client::Client;
use crate::cluster::{Cluster, Plan};
use crate::fleet::Balancer;
use crate::load::Load;
use crate::observation::Trace;
use crate::random::Random;
use crate::replica::Build;
use crate::rows::Rows;
use crate::{report, run};

/// The schema of the next version (`crates/store-postgres/src/rehearsal.rs`) before and after
/// contraction.
const EXPANDED: u32 = 102;
const CONTRACTED: u32 = 105;
const PROBER: u16 = 200;
/// How long each stage lasts at least, so that there is load on it.
const STAGE: Duration = Duration::from_millis(800);
/// How long a replica goes on after SIGTERM: longer than the balancer takes to notice, with what
/// was under way.
const DRAIN_SECONDS: u64 = 1;
const LEAST: Least = Least { allows: 100, denies: 100, kills: 5, manifests: 20, replays: 5 };
/// Decisions that lack what the next version writes.
const INCOMPLETE: &str = "SELECT count(*) FROM policy_logs
    WHERE principal_digest IS DISTINCT FROM sha256(convert_to(principal, 'UTF8'))";

/// What is done wrong, to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mistake {
    /// The schema is contracted while replicas of the old version serve.
    ContractEarly,
    /// Replicas end at once when they are told to.
    NoDrain,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary of the old version.
    #[arg(long, default_value = "target/release/sentinel")]
    sentinel: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Concurrent clients.
    #[arg(long, default_value_t = 12)]
    clients: u16,
    /// Make this mistake: the checker must find it.
    #[arg(long)]
    mistake: Option<Mistake>,
}

/// Returns whether no request was lost, and every guarantee held.
pub(crate) async fn run(args: &Args) -> Result<bool> {
    ensure!(args.sentinel.exists(), "there is no `{}`; build it", args.sentinel.display());
    let drain = if args.mistake == Some(Mistake::NoDrain) { 0 } else { DRAIN_SECONDS };
    let plan = Plan {
        sentinel: std::path::absolute(&args.sentinel)?,
        planted: None,
        replicas: 3,
        small_disk: false,
        own_clock: false,
        drain_seconds: Some(drain),
    };
    println!("seed {}", args.seed);
    let cluster = Cluster::start(&plan).await?;
    let _balancer = Balancer::start(&cluster.fleet)?;
    let random = Random::new(args.seed);
    let load = Load::start(&cluster, args.clients, &random)?;
    let prober = cluster.client(PROBER, &cluster.agent_key, Duration::from_secs(3))?;
    let mut upgrade = Upgrade { cluster: &cluster, prober, recoveries: Vec::new() };
    let ended = upgrade.go_on(args.mistake).await;
    let recoveries = upgrade.recoveries;
    let stopped = load.stop().await;
    let (observations, events) = cluster.journal.take();
    ended?;
    if args.mistake.is_none() {
        stopped?;
    }
    let rows = Rows::read(&cluster.database_url()).await?;
    let history = History { observations, events, recoveries, rows };
    let mut violations = checker::check(&history, &LEAST);
    violations.extend(checker::lost_requests(&history));
    println!("{}", report::summary(&history));
    let slowest = history.observations.iter().map(|each| each.ended - each.sent).max();
    println!("the slowest request took {} ms", slowest.unwrap_or(0) / 1000);
    print!("{}", report::violations(&history, &violations));
    if violations.is_empty() {
        println!("no request was lost, and every guarantee held");
    }
    Ok(violations.is_empty())
}

struct Upgrade<'a> {
    cluster: &'a Cluster,
    prober: Client,
    recoveries: Vec<checker::Recovery>,
}

impl Upgrade<'_> {
    async fn go_on(&mut self, mistake: Option<Mistake>) -> Result<()> {
        self.stage("the old version", async { Ok(()) }).await?;
        self.stage("expand", self.migrate(Step::Expand, EXPANDED)).await?;
        // A replica of the old version may start again in the middle of an upgrade.
        self.stage("restart of replica 0", self.replace(0, Build::Product)).await?;
        let refused = self.migrate(Step::Contract, CONTRACTED).await;
        let refused = format!("{:#}", refused.err().context("contracted under old replicas")?);
        ensure!(refused.contains("end those first"), "{refused}");
        if mistake == Some(Mistake::ContractEarly) {
            return self.stage("contract, too early", self.contract_heedlessly()).await;
        }
        self.stage("replacement of replica 0", self.replace(0, Build::Next)).await?;
        if mistake == Some(Mistake::NoDrain) {
            // Two replicas have ended by now.
            return Ok(());
        }
        // Until the contraction the upgrade can be given up.
        self.stage("return of replica 0", self.replace(0, Build::Product)).await?;
        self.stage("replacement of replica 0", self.replace(0, Build::Next)).await?;
        let rest = async {
            tokio::try_join!(self.migrate(Step::Backfill, EXPANDED), async {
                self.replace(1, Build::Next).await?;
                self.replace(2, Build::Next).await
            })
        };
        self.stage("replacement of the others, and backfill", async { rest.await.map(drop) })
            .await?;
        self.stage("contract", self.migrate(Step::Contract, CONTRACTED)).await?;
        self.stage("refusal of the old version", self.old_is_refused()).await?;
        let incomplete = self.count(INCOMPLETE).await?;
        ensure!(incomplete == 0, "{incomplete} decisions lack what the next version writes");
        let pings = self.count("SELECT count FROM pings").await?;
        ensure!(pings > 0, "no replica of the next version was ever ready");
        let journal = &self.cluster.journal;
        run::recover(&self.prober, journal, "the upgrade", &mut self.recoveries).await;
        Ok(())
    }

    /// Does `work`, and leaves the load some time with what it led to.
    async fn stage(&self, name: &str, work: impl Future<Output = Result<()>>) -> Result<()> {
        let from = self.cluster.journal.now();
        work.await.with_context(|| name.to_owned())?;
        let took = (self.cluster.journal.now() - from) / 1000;
        println!("  {name}: {took} ms");
        self.cluster.journal.happened(from, name.to_owned(), Trace::None);
        sleep(STAGE).await;
        Ok(())
    }

    /// Migrates as the next version does.
    async fn migrate(&self, step: Step, expected: u32) -> Result<()> {
        let url = self.cluster.database_url();
        let tell = |text: &str| println!("    migrate: {text}");
        let reached = PostgresStore::migrate_next(&url, step, &tell).await?;
        ensure!(reached == expected, "the schema is at {reached}");
        Ok(())
    }

    async fn contract_heedlessly(&self) -> Result<()> {
        let mut connection = PgConnection::connect(&self.cluster.database_url()).await?;
        raw_sql(PostgresStore::next_contraction()).execute(&mut connection).await?;
        Ok(())
    }

    async fn replace(&self, index: usize, build: Build) -> Result<()> {
        let mut replica = self.cluster.replicas.get(index).context("no replica")?.lock().await;
        replica.terminate().await?;
        replica.program.build = build;
        replica.start().await?;
        // The next one goes when the balancer has this one back.
        let serves = async {
            while self.cluster.fleet.route(index) != index {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(10), serves).await.context("it does not become ready")
    }

    async fn old_is_refused(&self) -> Result<()> {
        let replica = self.cluster.replicas.first().context("no replica")?.lock().await;
        let mut command = replica.program.cli(&["serve"]);
        // Only what comes before the database could fail for another reason.
        command.env("SENTINEL_LISTEN", "127.0.0.1:0").kill_on_drop(true);
        let output = timeout(Duration::from_secs(20), command.output()).await?;
        let output = output.context("the old version goes on serving")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        println!("    the old version says: {}", errors.lines().next().unwrap_or_default());
        let clear = errors.contains(&format!("has schema {CONTRACTED}, this version knows "))
            && errors.contains(": use a newer sentinel");
        if output.status.success() || !clear {
            bail!("{}: {errors}", output.status);
        }
        Ok(())
    }

    async fn count(&self, sql: &'static str) -> Result<i64> {
        let mut connection = PgConnection::connect(&self.cluster.database_url()).await?;
        Ok(query_scalar(sql).fetch_one(&mut connection).await?)
    }
}

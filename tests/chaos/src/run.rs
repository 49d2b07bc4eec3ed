//! One run: a cluster, a load, faults one after the other, and the verdict.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;
use tokio::time::{sleep, timeout};

use crate::checker::{self, History, Least, RECOVERY, Recovery};
use crate::client::Client;
use crate::cluster::{Cluster, Plan};
use crate::fault::{self, Kind};
use crate::load::{self, Load};
use crate::observation::Journal;
use crate::planted::Planted;
use crate::random::Random;
use crate::report;
use crate::rows::Rows;

/// Said to the process that has its own mount namespace.
pub(crate) const INSIDE: &str = "--inside-namespace";
/// The client that probes, and kills everything now and then.
const PROBER: u16 = 200;
/// What even the shortest run brings about.
const LEAST: Least = Least { allows: 100, denies: 100, kills: 5, manifests: 20, replays: 5 };

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary under test.
    #[arg(long, default_value = "target/release/sentinel")]
    sentinel: PathBuf,
    /// Decides the load and the order of the faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on, in random order and two at a time, for this time at least; otherwise each fault comes
    /// once.
    #[arg(long)]
    seconds: Option<u64>,
    /// The faults; `none` for the load alone.
    #[arg(long, value_delimiter = ',', default_value = "all")]
    only: Vec<String>,
    /// Run replicas of this program with this fault in their store: the checker must find it.
    #[arg(long = "fault")]
    planted: Option<Planted>,
    /// Concurrent clients.
    #[arg(long, default_value_t = 24)]
    clients: u16,
    #[arg(long, default_value_t = 3)]
    replicas: usize,
    /// Do without a full disk, where no file system can be mounted.
    #[arg(long)]
    no_disk: bool,
    /// Keep the logs of the replicas.
    #[arg(long)]
    keep: Option<PathBuf>,
    #[arg(long, hide = true)]
    inside_namespace: bool,
}

impl Args {
    pub(crate) fn needs_namespace(&self) -> bool {
        !self.inside_namespace && self.kinds().is_ok_and(|kinds| kinds.contains(&Kind::DiskFull))
    }

    fn kinds(&self) -> Result<Vec<Kind>> {
        let mut kinds = Vec::new();
        for name in &self.only {
            match name.as_str() {
                "all" => kinds.extend(Kind::value_variants()),
                "none" => {}
                name => kinds.push(Kind::from_str(name, true).map_err(anyhow::Error::msg)?),
            }
        }
        kinds.retain(|kind| !(self.no_disk && *kind == Kind::DiskFull));
        Ok(kinds)
    }
}

/// Returns whether every guarantee held.
pub(crate) async fn run(args: &Args) -> Result<bool> {
    let kinds = args.kinds()?;
    ensure!(args.sentinel.exists(), "there is no `{}`; build it", args.sentinel.display());
    let planted = args.planted.and_then(|planted| planted.to_possible_value());
    let plan = Plan {
        sentinel: std::path::absolute(&args.sentinel)?,
        planted: planted.map(|planted| planted.get_name().to_owned()),
        replicas: args.replicas,
        small_disk: kinds.contains(&Kind::DiskFull),
        own_clock: kinds.contains(&Kind::ClockJump),
        drain_seconds: None,
    };
    println!("seed {}", args.seed);
    let cluster = Cluster::start(&plan).await?;
    let mut chaos = Chaos::begin(args, &cluster, kinds)?;
    let ended = chaos.go_on(args.seconds.map(Duration::from_secs)).await;
    let Chaos { load, recoveries, .. } = chaos;
    let stopped = load.stop().await;
    let (observations, events) = cluster.journal.take();
    if let Some(folder) = &args.keep {
        keep_logs(&cluster, folder).await?;
    }
    ended.and(stopped)?;
    let rows = Rows::read(&cluster.database_url()).await?;
    let history = History { observations, events, recoveries, rows };
    let violations = checker::check(&history, &LEAST);
    println!("{}", report::summary(&history));
    print!("{}", report::violations(&history, &violations));
    if violations.is_empty() {
        println!("every guarantee held");
    } else {
        println!("\n{} violations; seed {}", violations.len(), args.seed);
    }
    Ok(violations.is_empty())
}

/// A load, and faults that come over it.
struct Chaos<'a> {
    cluster: &'a Cluster,
    kinds: Vec<Kind>,
    load: Load,
    prober: Client,
    random: Random,
    recoveries: Vec<Recovery>,
}

impl<'a> Chaos<'a> {
    fn begin(args: &Args, cluster: &'a Cluster, kinds: Vec<Kind>) -> Result<Self> {
        let random = Random::new(args.seed);
        let load = Load::start(cluster, args.clients, &random)?;
        let prober = cluster.client(PROBER, &cluster.agent_key, Duration::from_secs(3))?;
        let random = random.part(u64::from(PROBER));
        Ok(Self { cluster, kinds, load, prober, random, recoveries: Vec::new() })
    }

    async fn go_on(&mut self, at_least: Option<Duration>) -> Result<()> {
        let began = Instant::now();
        sleep(Duration::from_secs(1)).await;
        self.recover("the start").await;
        match at_least {
            None => {
                for kind in self.kinds.clone() {
                    self.break_and_mend(&[kind], Duration::ZERO).await?;
                }
            }
            Some(at_least) if self.kinds.is_empty() => sleep(at_least).await,
            Some(at_least) => {
                while began.elapsed() < at_least {
                    self.random_round().await?;
                }
            }
        }
        sleep(Duration::from_millis(500)).await;
        self.recover("everything").await;
        Ok(())
    }

    /// Each fault once, some of them two at a time.
    async fn random_round(&mut self) -> Result<()> {
        let mut kinds = self.kinds.clone();
        self.random.shuffle(&mut kinds);
        while let Some(kind) = kinds.pop() {
            let mut together = vec![kind];
            let other =
                kinds.iter().position(|other| other.is_of_replica() != kind.is_of_replica());
            if let (true, Some(other)) = (self.random.percent(35), other) {
                together.push(kinds.remove(other));
            }
            self.break_and_mend(&together, Duration::from_secs(3)).await?;
            sleep(self.random.millis(200, 1500)).await;
        }
        Ok(())
    }

    async fn break_and_mend(&mut self, kinds: &[Kind], stretch: Duration) -> Result<()> {
        self.load.next_quota();
        let name = kinds.iter().map(|kind| format!("{kind:?}")).collect::<Vec<_>>().join(" and ");
        let (mut first, mut second) = (self.random.part(1), self.random.part(2));
        self.random.next();
        match *kinds {
            [one] => fault::inflict(one, self.cluster, &mut first, stretch).await,
            [one, other] => {
                let one = fault::inflict(one, self.cluster, &mut first, stretch);
                let other = fault::inflict(other, self.cluster, &mut second, stretch);
                tokio::try_join!(one, other).map(|_| ())
            }
            _ => Ok(()),
        }
        .with_context(|| name.clone())?;
        self.recover(&name).await;
        let operator =
            self.cluster.client(PROBER + 1, &self.cluster.operator_key, Duration::from_secs(9))?;
        load::kill_everything(&operator, &mut self.random).await
    }

    async fn recover(&mut self, after: &str) {
        recover(&self.prober, &self.cluster.journal, after, &mut self.recoveries).await;
    }
}

/// Waits until every replica allows again.
pub(crate) async fn recover(
    prober: &Client,
    journal: &Journal,
    after: &str,
    recoveries: &mut Vec<Recovery>,
) {
    let began = journal.now();
    for replica in 0..prober.replicas() {
        let limit = Duration::from_micros(RECOVERY * 2);
        let allowed = async {
            while !prober.check(replica, load::probe()).await.is_ok_and(|seen| seen.allows()) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let allowed = timeout(limit, allowed).await;
        let took = allowed.ok().map(|()| journal.now() - began);
        let slow = took.map_or_else(|| "never".to_owned(), |took| format!("{} ms", took / 1000));
        println!("  after {after}: replica {replica} allows again: {slow}");
        recoveries.push(Recovery { after: after.to_owned(), replica, took });
    }
}

async fn keep_logs(cluster: &Cluster, folder: &std::path::Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for replica in &cluster.replicas {
        let replica = replica.lock().await;
        let name = format!("replica-{}.log", replica.index);
        std::fs::copy(replica.log(), folder.join(name))?;
    }
    Ok(())
}

//! A replica that is this program, put together as `sentinel serve` is, with a fault in its store
//! or of the next version.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::serve::ListenerExt as _;
use clap::ValueEnum;
use jiff::Timestamp;
use sentinel_core::clock::Clock;
use sentinel_core::epoch::Epoch;
use sentinel_policy::{EmbeddedConfig, EmbeddedEngine, Vetter};
use sentinel_provenance::EcdsaP256Signer;
use sentinel_redis::{
    EventSettings, OnRedisLoss, RateSettings, RedisEvents, RedisRates, RedisTarget,
};
use sentinel_service::bus::InProcessBus;
use sentinel_service::control::Control;
use sentinel_service::signing::Signing;
use sentinel_service::{Ports, Services, Settings, Shared};
use sentinel_store_postgres::{Fault, Options, PostgresStore};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

/// What is wrong with the replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Planted {
    /// Nothing: the control of the experiment.
    Nothing,
    /// A commit does not read the epoch.
    SkipEpochRead,
    /// Each replica counts quotas for itself.
    CountQuotasLocally,
    /// Decisions are answered before they are committed.
    AnswerBeforeCommit,
}

impl Planted {
    const fn fault(self) -> Option<Fault> {
        match self {
            Self::Nothing => None,
            Self::SkipEpochRead => Some(Fault::SkipEpochRead),
            Self::CountQuotasLocally => Some(Fault::CountQuotasLocally),
            Self::AnswerBeforeCommit => Some(Fault::AnswerBeforeCommit),
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    config: PathBuf,
    #[arg(long, value_enum, default_value_t = Planted::Nothing)]
    planted: Planted,
    /// Be of the next version.
    #[arg(long)]
    next: bool,
    /// Vets the policy.
    #[arg(long)]
    sentinel: PathBuf,
}

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn uptime(&self) -> std::time::Duration {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }

    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

/// Serves until it is told to end.
pub(crate) async fn run(args: Args) -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let config = Config::read(&args.config)?;
    let url = config.field("database_url")?;
    let store = match args.planted.fault() {
        _ if args.next => PostgresStore::open_next(url, Options::default()).await?,
        Some(fault) => PostgresStore::open_with_fault(url, Options::default(), fault).await?,
        None => PostgresStore::open(url, Options::default()).await?,
    };
    let store = Arc::new(store);
    let target = RedisTarget::new(config.field("redis_url")?, None)?;
    let events = Arc::new(InProcessBus::default());
    let carrier = RedisEvents::start(&target, EventSettings::default(), events.foreign())?;
    let carrier = Arc::new(carrier);
    let rates = RateSettings { on_loss: OnRedisLoss::Deny, ..RateSettings::default() };
    let rates = Arc::new(RedisRates::start(&target, rates)?);
    let vetter = Vetter {
        command: args.sentinel,
        args: vec!["policy".into(), "vet-child".into()],
        timeout: Duration::from_secs(10),
    };
    let vetter = Some(vetter);
    let policy = Arc::new(EmbeddedEngine::new(EmbeddedConfig { vetter, ..Default::default() }));
    let (loading, directory) = (Arc::clone(&policy), PathBuf::from(config.field("policy_dir")?));
    tokio::task::spawn_blocking(move || loading.load(&directory, SystemClock.now())).await??;
    let pem = std::fs::read_to_string(config.field("signing_key_file")?)?;
    let signer =
        EcdsaP256Signer::from_pkcs8_pem(&pem).map_err(|error| anyhow::anyhow!("{error}"))?;
    let signer = Arc::new(signer);
    let shared = Shared { events, others: Some(carrier), rates: Some(rates) };
    let ports = Ports {
        store: store.clone(),
        log: store.clone(),
        payloads: store.clone(),
        key_wrapper: None,
        policy,
        signing: Signing::Direct(signer),
        retired_keys: Vec::new(),
        checkpoints: vec![
            sentinel_service::log::kept_signer(store.as_ref(), "log.localhost").await?,
        ],
        clock: Arc::new(SystemClock),
    };
    let services = Arc::new(Services::start_shared(ports, Settings::default(), shared).await?);
    // A replica with a fault is not told about changes: it looks each second, and whatever must
    // hold before is left to the commit.
    let (_silent, silent) = watch::channel(Epoch::default());
    let epochs = if args.next { store.epochs() } else { silent };
    tokio::spawn(Control::follow(Arc::downgrade(&services.control), epochs));
    let (stopping, shutdown) = watch::channel(false);
    let options = sentinel_ingress::Options {
        shutdown: Some(shutdown),
        ..sentinel_ingress::Options::default()
    };
    let door = Arc::new(sentinel_ingress::FrontDoor::new(services, options));
    let router = sentinel_http::router(door, sentinel_http::Options::default());
    let drain = config.field("drain_seconds").map_or(Ok(0), str::parse)?;
    let mut terminated = signal(SignalKind::terminate())?;
    let stopped = async move {
        terminated.recv().await;
        stopping.send_replace(true);
        sleep(Duration::from_secs(drain)).await;
    };
    let listener = TcpListener::bind(config.field("listen")?).await?;
    println!("{{\"event\":\"server.ready\"}}");
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, router).with_graceful_shutdown(stopped).await?)
}

/// The configuration that [`crate::cluster`] writes: one field in each line.
struct Config(String);

impl Config {
    fn read(path: &std::path::Path) -> Result<Self> {
        Ok(Self(std::fs::read_to_string(path)?))
    }

    fn field(&self, name: &str) -> Result<&str> {
        let mut fields = self.0.lines().filter_map(|line| line.split_once(": "));
        let field = fields.find(|(known, _)| *known == name);
        field.map(|(_, value)| value).with_context(|| format!("`{name}` is missing"))
    }
}

//! One running control plane: its parts put together, served, reloaded and stopped.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use sentinel_core::clock::Clock;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::Bus;
use sentinel_core::rate::RateLimiter;
use sentinel_core::store::{Store, StoreError};
use sentinel_policy::EmbeddedConfig;
use sentinel_provenance::PublicKey;
use sentinel_redis::RedisEvents;
use sentinel_service::bus::InProcessBus;
use sentinel_service::health::{HealthChecker, Networks};
use sentinel_service::housekeeping::Housekeeper;
use sentinel_service::log::{CheckpointSigner, CheckpointSigners, TransparencyLog, kept_signer};
use sentinel_service::payloads::KeyWrapper;
use sentinel_service::rate::{SharedRates, UncountedRates};
use sentinel_service::self_test;
use sentinel_service::signing::Signing;
use sentinel_service::{Ports, ServiceError, Services, Settings, Shared};
use sentinel_signers::KeySource;
use sentinel_store_postgres::{PostgresEvents, PostgresStore};
use sentinel_transparency::{Destinations, Outlets};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::failure::{Failure, OrFail as _, Outcome};
use crate::parts::archiving::Archiving;
use crate::parts::database::{Database, Opened};
use crate::parts::fleet::{FLUSH, Fleet, Joined};
use crate::parts::payload_key;
use crate::parts::policy_engine::{Engine, First, Policy, Reloaded, Reloader};
use crate::parts::signing_key::{self, Prepared, SigningKeyError, Source};
use crate::runtime::clock::SystemClock;
use crate::runtime::event_log::{EventLog, EventLogOptions};
use crate::runtime::server;

/// How often partitions are looked after.
pub(crate) const HOUSEKEEPING: Duration = Duration::from_secs(600);
/// How often the lead of the log is taken or kept, well below the time that it holds.
const LEAD: Duration = Duration::from_secs(1);
/// Pause after a change of policy could not be recorded.
const RECORD_AGAIN: Duration = Duration::from_secs(2);
/// Time that WebSockets get to be closed once all else has ended.
const FAREWELL: Duration = Duration::from_secs(2);
/// Time the event log gets to write what is left.
const LOG_GRACE: Duration = Duration::from_secs(1);

/// A control plane with everything in memory, not serving yet.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) services: Arc<Services>,
    policy: Policy,
    /// Changes after each load of the policy; none when OPA loads it.
    loads: Option<watch::Receiver<()>>,
    /// What the source had brought by the last of them that was recorded.
    brought: Option<String>,
    signing: Signing,
    clock: Arc<dyn Clock>,
    postgres: Option<Arc<PostgresStore>>,
    carrier: Option<Arc<RedisEvents>>,
    /// What tells of changes that other servers made; none when there can be no others.
    epochs: Vec<watch::Receiver<Epoch>>,
    /// What its parts count.
    sources: Vec<sentinel_http::Source>,
}

/// What a control plane is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) database: Database,
    pub(crate) fleet: Option<Fleet>,
    pub(crate) engine: Engine,
    /// How the embedded engine evaluates.
    pub(crate) evaluation: EmbeddedConfig,
    pub(crate) signing_key: Source,
    /// The key that wraps payload keys; `None` keeps no payloads.
    pub(crate) payload_key: Option<payload_key::Source>,
    /// Keys that signed or certified before, and are trusted still.
    pub(crate) retired_keys: Vec<PublicKey>,
    /// Name of the transparency log.
    pub(crate) log_origin: String,
    /// Key of the log; `None` leaves it to the store.
    pub(crate) log_key: Option<KeySource>,
    /// Key that the log had under its earlier name; `None` leaves that to the store.
    pub(crate) previous_log_key: Option<KeySource>,
    /// How many servers there are, if somebody has said.
    pub(crate) replicas: Option<u32>,
    pub(crate) settings: Settings,
}

/// How a control plane is served.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) listener: TcpListener,
    /// Where gateways ask; `None` serves none.
    pub(crate) ext_authz: Option<TcpListener>,
    /// Where operators and administrators are served, and no other caller.
    pub(crate) admin: Option<TcpListener>,
    pub(crate) auth: sentinel_http::AuthMode,
    /// Host names by which clients may address the server; `None` allows any.
    pub(crate) allowed_hosts: Option<Vec<String>>,
    pub(crate) limits: server::Limits,
    pub(crate) max_event_streams: usize,
    /// What one party may take.
    pub(crate) parties: sentinel_http::Limits,
    /// Whether the transparency log can be read without a key.
    pub(crate) public_log: bool,
    /// Which networks health checks dial, and how often; `None` polls none.
    pub(crate) health_checks: Option<(Networks, Duration)>,
    pub(crate) event_log: EventLogOptions,
    /// Where past months of decisions go; `None` keeps them all.
    pub(crate) archiving: Option<Archiving>,
    /// Where the transparency log is sent.
    pub(crate) destinations: Destinations,
    /// How often the server proves to itself that kills work.
    pub(crate) self_test: Duration,
}

impl Node {
    /// Opens the store, loads the policy and reads or makes the signing key, all at once. Without a policy that can be loaded
    /// everything is denied, and the log says so: a replica that starts with a broken policy must
    /// still answer kills, audits and health, and takes a mended one on SIGHUP.
    ///
    /// # Errors
    /// When the store cannot be opened, or there is no signing key.
    pub(crate) async fn start(parts: Parts) -> Outcome<Self> {
        let Parts { database, fleet, engine, evaluation, settings, .. } = parts;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let policy = Policy::new(&engine, evaluation)?;
        let loading = {
            let (reloader, now) = (policy.reloader(), clock.now());
            tokio::spawn(async move { reloader.first(now).await })
        };
        let log_key = open_log_key(parts.log_key, parts.log_origin.clone());
        let keys = async { tokio::try_join!(parts.signing_key.prepare(), log_key) };
        let keys = tokio::spawn(keys);
        let opened = database.open().await.map_err(|error| open_failure(&error))?;
        let keys = keys.await.or_fail(|| "cannot read the signing key".to_owned())?;
        let settle = |(signing, log): (Prepared, _)| Ok((signing.settle()?, log));
        let (signing, log_key) = keys.and_then(settle).map_err(|error| key_failure(&error))?;
        let joined = fleet.map(|fleet| fleet.join()).transpose();
        let joined = joined.or_fail(|| "cannot use Redis".to_owned())?;
        let mut sources: Vec<_> =
            opened.postgres.iter().cloned().map(crate::parts::metrics::of_postgres).collect();
        let (shared, carrier) = match (joined, &opened.postgres) {
            (Some(Joined { shared, carrier, rates }), _) => {
                sources.push(crate::parts::metrics::of_redis_events(Arc::clone(&carrier)));
                sources.push(crate::parts::metrics::of_redis_rates(rates));
                (shared, Some(carrier))
            }
            (None, Some(postgres)) => {
                let (shared, carrier) = by_notify(postgres, parts.replicas);
                sources.push(crate::parts::metrics::of_notify(carrier));
                (shared, None)
            }
            (None, None) => (Shared::default(), None),
        };
        let mut epochs: Vec<_> = opened.epochs().into_iter().collect();
        epochs.extend(carrier.iter().map(|carrier| carrier.epochs()));
        let log_key = log_signer(log_key, opened.store.as_ref(), &parts.log_origin).await?;
        let checkpoints = with_previous(log_key, parts.previous_log_key, &opened).await?;
        let ports = Ports {
            store: opened.store,
            log: opened.log,
            payloads: opened.payloads,
            key_wrapper: parts.payload_key.as_ref().map(key_wrapper).transpose()?,
            checkpoints,
            policy: Arc::clone(&policy.port),
            signing: signing.clone(),
            retired_keys: parts.retired_keys,
            clock: Arc::clone(&clock),
        };
        let services = Services::start_shared(ports, settings, shared).await;
        let services = Arc::new(services.map_err(|error| start_failure(&error))?);
        let loaded = loading.await.or_fail(|| "cannot load the policy".to_owned())?;
        policy.look(clock.now()).await;
        sources.extend(policy.sources());
        if let Err(error) = &loaded {
            tell_of_no_policy(&policy, error);
        }
        // Subscribed before the first look, so that no load is missed.
        let mut loads = policy.reloader().loads();
        // Of what was kept nobody knows whether the source has something else by now.
        let kept = loaded == Ok(First::Kept);
        let mut brought = services.policy.status().digest.filter(|_| kept);
        if let Err(error) = note_source(&services, &policy.reloader(), &mut brought).await {
            tracing::error!(%error, "a change of policy could not be recorded; trying again");
            loads.iter_mut().for_each(watch::Receiver::mark_changed);
        }
        if let Err(error) = services.rollouts.catch_up().await {
            tracing::error!(%error, "a candidate policy could not be loaded; trying again");
        }
        let postgres = opened.postgres;
        Ok(Self {
            services,
            policy,
            loads,
            brought,
            signing,
            clock,
            postgres,
            carrier,
            epochs,
            sources,
        })
    }

    /// Serves until the process is told to stop; `ready` is called once requests are answered.
    ///
    /// # Errors
    /// When the signals or the log cannot be set up, or `ready` fails.
    pub(crate) async fn serve(
        self,
        serving: Serving,
        ready: impl FnOnce(SocketAddr) -> Outcome,
    ) -> Outcome {
        let setup = || "cannot set up the server".to_owned();
        let address = serving.listener.local_addr().or_fail(setup)?;
        let mut stop = Stop::new().or_fail(setup)?;
        let hangup = signal(SignalKind::hangup()).or_fail(setup)?;
        let (stopping, shutdown) = watch::channel(false);
        let also_trusted = also_trusted(&serving.destinations);
        let outlets = Outlets::new(Arc::clone(self.services.log.store()), serving.destinations);
        let mut sources = self.sources.clone();
        sources.push(crate::parts::metrics::of_outlets(outlets.counts()));
        let interfaces = sentinel_http::interfaces(
            Arc::clone(&self.services),
            sentinel_http::Options {
                auth: serving.auth,
                allowed_hosts: serving.allowed_hosts,
                max_subscribers: serving.max_event_streams,
                limits: serving.parties,
                shutdown: Some(shutdown),
                public_log: serving.public_log,
                also_trusted,
                sources,
                ..sentinel_http::Options::default()
            },
        );
        ready(address)?;
        let log =
            EventLog::start(&self.services.events, Arc::clone(&self.clock), serving.event_log)
                .or_fail(setup)?;
        let mut tasks = JoinSet::new();
        tasks.spawn_blocking(warm_up(self.signing.clone()));
        self.keep_policy(&mut tasks, hangup);
        tasks.spawn(self_test::follow(Arc::downgrade(&self.services), serving.self_test));
        self.keep_house(&mut tasks, serving.archiving);
        self.send_log(&mut tasks, outlets);
        for epochs in &self.epochs {
            // Ends with the services.
            drop(self.services.follow(epochs.clone()));
        }
        if let Some((networks, interval)) = serving.health_checks {
            let (store, clock) = (Arc::clone(&self.services.store), Arc::clone(&self.clock));
            tasks.spawn(poll_health(store, clock, networks, interval));
        }
        let limits = serving.limits;
        let drain = limits.drain;
        let stopped = async {
            let signal = stop.told().await;
            // Event streams end, and readiness is over, at once; nothing else is cut.
            stopping.send_replace(true);
            tracing::info!(signal, "stopping: what was accepted is finished first");
            if signal == SIGTERM {
                // A second signal ends the wait.
                drop(tokio::time::timeout(drain, stop.told()).await);
            }
        };
        let stopped = stopped.shared();
        let gateways = async {
            let Some(listener) = serving.ext_authz else { return 0 };
            let connect = server::http2(interfaces.ext_authz);
            server::serve(listener, connect, limits.clone(), stopped.clone()).await
        };
        let operators = async {
            let Some(listener) = serving.admin else { return 0 };
            let connect = server::http1(interfaces.http.clone());
            server::serve(listener, connect, limits.of_operators(), stopped.clone()).await
        };
        let connect = server::http1(interfaces.http.clone());
        let clients = server::serve(serving.listener, connect, limits.clone(), stopped.clone());
        let (clients, gateways, operators) = tokio::join!(clients, gateways, operators);
        tell_cut(clients + gateways + operators);
        // WebSockets are no connections of the server's any more. Each holds a receiver until its
        // client has been told; the router, which holds another, goes first.
        drop(interfaces.http);
        drop(tokio::time::timeout(FAREWELL, stopping.closed()).await);
        if let Some(carrier) = &self.carrier {
            // Late events are of no use to anybody when Redis is away.
            drop(tokio::time::timeout(FLUSH, carrier.flush()).await);
        }
        tasks.shutdown().await;
        // So that another replica goes on with the log at once; else it waits for the lease to end.
        drop(tokio::time::timeout(FLUSH, self.services.log.resign()).await);
        // The bus goes with the services, and the log with the bus.
        drop(self);
        log.finish(LOG_GRACE);
        tracing::info!("stopped");
        Ok(())
    }

    /// Deletes what has expired, and moves past months of decisions where that is configured.
    fn keep_house(&self, tasks: &mut JoinSet<()>, archiving: Option<Archiving>) {
        let (store, clock) = (Arc::clone(&self.services.store), Arc::clone(&self.clock));
        tasks.spawn(Housekeeper::new(store, clock).run());
        let Some(postgres) = &self.postgres else { return };
        tasks.spawn(keep_partitions(Arc::clone(postgres), Arc::clone(&self.clock)));
        if let Some(archiving) = archiving {
            tasks.spawn(archiving.run(Arc::clone(postgres), Arc::clone(&self.clock)));
        }
    }

    /// Sends the transparency log on, while this server leads.
    fn send_log(&self, tasks: &mut JoinSet<()>, outlets: Outlets) {
        if let Some(shard) = self.services.log.shards().last() {
            // Whoever is to witness or verify the log asks for it.
            tracing::info!(verifier_key = %shard.key, "the key of the transparency log");
        }
        if outlets.counts().is_empty() {
            return;
        }
        let (leads, led) = watch::channel(false);
        tasks.spawn(keep_lead(Arc::clone(&self.services.log), leads));
        tasks.spawn(outlets.run(led));
    }

    /// Keeps the policy current, and the record of its changes.
    fn keep_policy(&self, tasks: &mut JoinSet<()>, hangup: Signal) {
        let services = Arc::downgrade(&self.services);
        tasks.spawn(sentinel_service::rollouts::follow(Weak::clone(&services)));
        let (reloader, clock) = (self.policy.reloader(), Arc::clone(&self.clock));
        if let Some(loads) = self.loads.clone() {
            tasks.spawn(note_loads(loads, services, reloader.clone(), self.brought.clone()));
        }
        tasks.spawn(reload_on(hangup, reloader, clock));
        if let Some(watch) = self.policy.watch(&self.clock) {
            tasks.spawn(watch);
        }
        if let Some(supply) = self.policy.supply(&self.clock) {
            tasks.spawn(supply);
        }
    }
}

fn tell_cut(connections: usize) {
    if connections > 0 {
        tracing::warn!(connections, "connections were cut that did not end in time");
    }
}

/// Who signs the log: the key that was given, or the one that the store keeps.
async fn log_signer(
    given: Option<Arc<dyn CheckpointSigner>>,
    store: &dyn Store,
    origin: &str,
) -> Outcome<Arc<dyn CheckpointSigner>> {
    let signer = match given {
        Some(signer) => Ok(signer),
        None => kept_signer(store, origin).await,
    };
    signer.or_fail(|| "cannot use the transparency log".to_owned())
}

/// The signers of the log: `current`, and who ends the log that has another key, if one is open.
async fn with_previous(
    current: Arc<dyn CheckpointSigner>,
    previous: Option<KeySource>,
    opened: &Opened,
) -> Outcome<CheckpointSigners> {
    let doing = || "cannot use the transparency log".to_owned();
    let shards = opened.log.log_shards().await.or_fail(doing)?;
    let key = current.verifier_key().to_string();
    let mut signers = vec![current];
    if let Some(open) = shards.last().filter(|open| open.verifier_key != key) {
        let given = open_log_key(previous, open.origin.clone()).await;
        let given = given.map_err(|error| key_failure(&error))?;
        signers.push(log_signer(given, opened.store.as_ref(), &open.origin).await?);
    }
    Ok(signers)
}

fn key_wrapper(key: &payload_key::Source) -> Outcome<Arc<dyn KeyWrapper>> {
    let wrapper = key.wrapper();
    let wrapper = wrapper.map_err(|error| Failure::new(error.to_string()).help(error.mend()))?;
    Ok(Arc::new(wrapper))
}

/// The failure to start, with how to mend it where that is known.
fn start_failure(error: &ServiceError) -> Failure {
    let failure = Failure::new(format!("cannot start: {error}"));
    match error.code() {
        "payload_key_missing" => failure
            .help("set `payload_key_file` to the file with the key that was used before")
            .help("without that key, nothing that was kept can be read"),
        _ => failure,
    }
}

/// Whose entries and timestamps the bundles will have.
fn also_trusted(destinations: &Destinations) -> sentinel_http::AlsoTrusted {
    sentinel_http::AlsoTrusted {
        logs: destinations.trusted_logs(),
        authorities: destinations.trusted_authorities(),
    }
}

/// Nothing is in force, which whoever runs the server has to mend.
fn tell_of_no_policy(policy: &Policy, error: &str) {
    match policy.reloader().dir() {
        Some(dir) => tracing::error!(
            %error,
            policy_dir = %dir.display(),
            "the policy was refused: EVERY CHECK IS DENIED until a policy is loaded; mend \
             it, try it with `sentinel policy check`, and send SIGHUP"
        ),
        None => tracing::error!(
            %error,
            "there is no policy: EVERY CHECK IS DENIED until a bundle is loaded; its source \
             is asked again, and at once after SIGHUP"
        ),
    }
}

/// Without Redis, the database carries control events, and each server counts its share of rate
/// limits.
fn by_notify(postgres: &PostgresStore, replicas: Option<u32>) -> (Shared, Arc<PostgresEvents>) {
    let events = Arc::new(InProcessBus::default());
    let carrier = Arc::new(postgres.carry_events(events.foreign()));
    let others: Arc<dyn Bus> = carrier.clone();
    let rates: Arc<dyn RateLimiter> = match replicas {
        Some(replicas) => Arc::new(SharedRates::new(replicas)),
        None => {
            tracing::warn!(
                "calls with rate limits that policy states are denied: each server counts alone, \
                 and `replicas` does not say how many there are"
            );
            Arc::new(UncountedRates)
        }
    };
    (Shared { events, others: Some(others), rates: Some(rates) }, carrier)
}

/// Whether the database cannot be opened because another process has it open.
pub(crate) fn is_held(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(detail) if detail.starts_with("another process"))
}

/// The failure to open a store, with how to mend it where that is known.
pub(crate) fn open_failure(error: &StoreError) -> Failure {
    let failure = Failure::new(error.to_string());
    if is_held(error) {
        failure.help("stop the other one, or give each its own database")
    } else {
        failure
    }
}

/// The signal of a supervisor, behind which there may be a load balancer; the other is a person's.
const SIGTERM: &str = "SIGTERM";

/// SIGINT and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn told(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => SIGTERM,
        }
    }
}

/// Makes a signature that nobody needs. The first one takes some 70 ms, since the generator of
/// AWS-LC is seeded for it; no caller has to wait for that. A key that was just made has done so.
fn warm_up(signing: Signing) -> impl FnOnce() + Send + 'static {
    move || {
        let Signing::Direct(signer) = signing else { return };
        if let Err(error) = signer.sign(b"") {
            tracing::error!(%error, "the signing key cannot sign");
        }
    }
}

/// The key of the log that the configuration names, if it does.
async fn open_log_key(
    source: Option<KeySource>,
    origin: String,
) -> Result<Option<Arc<dyn CheckpointSigner>>, SigningKeyError> {
    let Some(source) = source else { return Ok(None) };
    signing_key::open_log_key(&source, &origin).await.map(Some)
}

fn key_failure(error: &SigningKeyError) -> Failure {
    let failure = Failure::new(error.to_string());
    error.mend().into_iter().fold(failure, Failure::help)
}

/// Records what was loaded, or refused, last. When the source has brought something else than what
/// it had `brought`, ends what was promoted over something else: a replica whose source is behind,
/// and says so again, must not end what was promoted over what the others have.
async fn note_source(
    services: &Services,
    reloader: &Reloader,
    brought: &mut Option<String>,
) -> Result<(), ServiceError> {
    let Some(source) = reloader.origin() else { return Ok(()) };
    services.policy_log.note_source(&source).await?;
    let digest = services.policy.status().digest;
    if digest != *brought {
        services.rollouts.source_brought(&source).await?;
        *brought = digest;
    }
    Ok(())
}

/// Does so after each load, whoever asked for it, as long as there are services. That the store is
/// away changes nothing of what is in force here.
async fn note_loads(
    mut loads: watch::Receiver<()>,
    services: Weak<Services>,
    reloader: Reloader,
    mut brought: Option<String>,
) {
    while loads.changed().await.is_ok() {
        let Some(services) = services.upgrade() else { return };
        let noted = note_source(&services, &reloader, &mut brought).await;
        drop(services);
        if let Err(error) = noted {
            tracing::error!(%error, "a change of policy could not be recorded; trying again");
            tokio::time::sleep(RECORD_AGAIN).await;
            loads.mark_changed();
        }
    }
}

async fn reload_on(mut hangup: Signal, reloader: Reloader, clock: Arc<dyn Clock>) {
    while hangup.recv().await.is_some() {
        let (reloader, now) = (reloader.clone(), clock.now());
        match tokio::task::spawn_blocking(move || reloader.load(now)).await {
            Ok(Ok(Reloaded::Revision(revision))) => {
                tracing::info!(%revision, "the policy was loaded anew");
            }
            Ok(Ok(Reloaded::Asking)) => tracing::info!("the source of the policy is asked"),
            Ok(Ok(Reloaded::Nothing)) => {
                tracing::info!("nothing to load: OPA decides, by what it loads itself");
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the policy was refused; the one before stays in force");
            }
            Err(error) => tracing::error!(%error, "the policy could not be loaded"),
        }
    }
}

async fn keep_partitions(store: Arc<PostgresStore>, clock: Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    loop {
        ticks.tick().await;
        match store.ensure_partitions(clock.now(), PostgresStore::MONTHS_AHEAD).await {
            Ok(0) => {}
            Ok(made) => tracing::info!(made, "partitions of the audit log were made"),
            Err(error) => tracing::warn!(%error, "partitions were not made; nothing is lost"),
        }
    }
}

/// Takes the lead of the log, or keeps it, and says who has it: one server at a time sends the log on.
async fn keep_lead(log: Arc<TransparencyLog>, leads: watch::Sender<bool>) {
    let mut ticks = tokio::time::interval(LEAD);
    loop {
        ticks.tick().await;
        // Without the store nobody leads, and nothing could be read.
        let now = matches!(log.lead().await, Ok(Some(_)));
        leads.send_if_modified(|leads| std::mem::replace(leads, now) != now);
    }
}

async fn poll_health(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    networks: Networks,
    interval: Duration,
) {
    match HealthChecker::new(store, clock, networks) {
        Ok(checker) => checker.run(interval).await,
        Err(error) => tracing::error!(%error, "health checks could not be started"),
    }
}

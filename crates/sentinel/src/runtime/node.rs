//! One running control plane: its parts put together, served, and stopped.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use sentinel_core::clock::Clock;
use sentinel_gateway::server::Gateway;
use sentinel_http::AlsoTrusted;
use sentinel_ingress::FrontDoor;
use sentinel_service::housekeeping::Housekeeper;
use sentinel_service::payloads::KeyWrapper;
use sentinel_service::signing::Signing;
use sentinel_service::{Ports, ServiceError, Services, Settings, rollouts, self_test};
use sentinel_telemetry::Source;
use sentinel_transparency::{Destinations, Outlets};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::{Failure, OrFail as _, Outcome};
use crate::parts::archiving::Archiving;
use crate::parts::carrier::Carrier;
use crate::parts::database::{Database, Opened, open_failure};
use crate::parts::fleet::{Fleet, Joined};
use crate::parts::keys::{Keys, Signers};
use crate::parts::policy_engine::{Decider, Policy};
use crate::parts::task::{Task, work};
use crate::parts::{metrics, payload_key};
use crate::runtime::clock::SystemClock;
use crate::runtime::event_log::{EventLog, EventLogOptions};
use crate::runtime::listeners::{Addresses, Interfaces, Listeners};
use crate::runtime::policy_record::{PolicyRecorder, ReloadOnHangup};
use crate::runtime::signals::Stop;
use crate::runtime::tasks::{HealthChecks, LogLead, Tasks, warm_up};

/// Time that WebSockets get to be closed once all else has ended.
const FAREWELL: Duration = Duration::from_secs(2);
/// Time that the last events get to leave a server that stops, its tasks to end, and the lead of
/// the log to be given up.
const FLUSH: Duration = Duration::from_secs(1);
/// Time that the event log gets to write what is left.
const LOG_GRACE: Duration = Duration::from_secs(1);

/// What a control plane is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) database: Database,
    /// Where past months of decisions go; `None` keeps them all.
    pub(crate) archiving: Option<Archiving>,
    pub(crate) fleet: Fleet,
    pub(crate) decider: Decider,
    pub(crate) keys: Keys,
    /// The key that wraps payload keys; `None` keeps no payloads.
    pub(crate) payload_key: Option<payload_key::Source>,
    pub(crate) settings: Settings,
}

/// How a control plane is served.
#[derive(Debug)]
pub(crate) struct Serving {
    /// What each listener may hold.
    pub(crate) limits: sentinel_listener::Limits,
    /// Time after SIGTERM in which everything goes on but readiness.
    pub(crate) drain: Duration,
    /// The front door. The node fills in when it stops.
    pub(crate) door: sentinel_ingress::Options,
    /// The HTTP interface. The node fills in what it counts, and which logs are trusted besides.
    pub(crate) interface: sentinel_http::Options,
    /// The MCP gateway. The node fills in how long calls may go on when it stops.
    pub(crate) gateway: sentinel_gateway::server::Options,
    /// `None` polls no health checks.
    pub(crate) health_checks: Option<HealthChecks>,
    pub(crate) event_log: EventLogOptions,
    /// Where the transparency log is sent.
    pub(crate) destinations: Destinations,
    /// Time between two self-tests of the kill switch.
    pub(crate) self_test: Duration,
}

/// A control plane with everything in memory, not serving yet.
pub(crate) struct Node {
    pub(crate) services: Arc<Services>,
    policy: Policy,
    recorder: PolicyRecorder,
    signing: Signing,
    clock: Arc<dyn Clock>,
    /// The tasks that keep the store in order.
    maintenance: Vec<Box<dyn Task>>,
    carrier: Option<Arc<dyn Carrier>>,
    /// What the parts count.
    sources: Vec<Source>,
}

impl Node {
    /// Opens the store, loads the policy and reads or makes the signing key, all at once. Without a
    /// policy that can be loaded, everything is denied, and the log says so.
    ///
    /// # Errors
    /// When the store cannot be opened, or there is no signing key.
    pub(crate) async fn start(parts: Parts) -> Outcome<Self> {
        let Parts { database, archiving, fleet, decider, keys, payload_key, settings } = parts;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let policy = Policy::new(decider)?;
        let (reloader, now) = (policy.reloader(), clock.now());
        let loading = tokio::spawn(async move { reloader.first(now).await });
        let opening = tokio::spawn(keys.open());

        let database = database.open().await.map_err(|error| open_failure(&error))?;
        let keys = opening.await.or_fail(|| "cannot read the signing key".to_owned())?;
        let keys = keys.map_err(|error| error.failure())?.settle(&database).await?;
        let signing = keys.signing.clone();
        let joined = fleet.join(database.backend.as_ref());
        let Joined { shared, carrier, mut sources } =
            joined.or_fail(|| "cannot use Redis".to_owned())?;
        let ports = ports(&database, keys, payload_key.as_ref(), &policy, &clock)?;
        let services = Services::start_shared(ports, settings, shared).await;
        let services = Arc::new(services.map_err(|error| start_failure(&error))?);
        follow(&services, &database, carrier.as_deref());

        let first = loading.await.or_fail(|| "cannot load the policy".to_owned())?;
        policy.look(clock.now()).await;
        let recorder = PolicyRecorder::begin(&services, &policy, &first).await;
        if let Err(error) = services.rollouts.catch_up().await {
            tracing::error!(%error, "a candidate policy could not be loaded; trying again");
        }
        sources.extend(Arc::clone(&database.backend).sources());
        sources.extend(policy.sources());
        let maintenance = database.backend.maintenance(archiving, &clock);
        Ok(Self { services, policy, recorder, signing, clock, maintenance, carrier, sources })
    }

    /// Serves until the process is told to stop; `ready` is called with the addresses once requests
    /// are answered there.
    ///
    /// # Errors
    /// When the signals or the log cannot be set up, or `ready` fails.
    pub(crate) async fn serve(
        self,
        listeners: Listeners,
        serving: Serving,
        ready: impl FnOnce(Addresses) -> Outcome,
    ) -> Outcome {
        let setup = || "cannot set up the server".to_owned();
        let Serving { limits, door, interface, health_checks, event_log, .. } = serving;
        let Serving { destinations, self_test, drain, gateway, .. } = serving;
        let addresses = listeners.addresses()?;
        let limits = limits.within_open_files();
        let stop = Stop::new().or_fail(setup)?;
        let hangup = signal(SignalKind::hangup()).or_fail(setup)?;
        let (stopping, shutdown) = watch::channel(false);
        let also_trusted = also_trusted(&destinations);
        let outlets = Outlets::new(Arc::clone(self.services.log.store()), destinations);
        let door = sentinel_ingress::Options { shutdown: Some(shutdown), ..door };
        let door = Arc::new(FrontDoor::new(Arc::clone(&self.services), door));
        let gateway = Gateway::open(Arc::clone(&door), gateway.within(limits.grace)).await;
        let gateway = gateway.map_err(|error| start_failure(&error))?;
        let mut sources = self.sources_with(&outlets);
        sources.push(gateway.source());
        let interface = sentinel_http::Options { also_trusted, sources, ..interface };
        let interfaces = Interfaces::new(door, interface, &gateway);
        ready(addresses)?;
        let log = EventLog::start(&self.services.events, Arc::clone(&self.clock), event_log);
        let log = log.or_fail(setup)?;
        let (services, carrier) = (Arc::clone(&self.services), self.carrier.clone());
        let reload = ReloadOnHangup {
            hangup,
            reloader: self.policy.reloader(),
            clock: Arc::clone(&self.clock),
        };
        let mut tasks = self.tasks(outlets, health_checks, self_test);
        tasks.push(Box::new(reload));
        tasks.push(work("gateway", gateway.watch()));
        let tasks = Tasks::start(tasks);

        let stopped = stop.requested(&stopping, drain).shared();
        let cut = listeners.serve(interfaces, &limits, stopped).await;
        if cut > 0 {
            tracing::warn!(connections = cut, "connections were cut that did not end in time");
        }
        gateway.close().await;
        // WebSockets do not belong to the listeners any more. Each holds a receiver until its
        // client has been closed.
        drop(tokio::time::timeout(FAREWELL, stopping.closed()).await);
        leave(services, carrier, tasks).await;
        log.finish(LOG_GRACE);
        tracing::info!("stopped");
        Ok(())
    }

    /// What the parts and the outlets of the log count.
    fn sources_with(&self, outlets: &Outlets) -> Vec<Source> {
        let outlets = metrics::of_outlets(outlets.counts());
        self.sources.iter().cloned().chain([outlets]).collect()
    }

    /// Everything that goes on beside requests.
    fn tasks(
        self,
        outlets: Outlets,
        health_checks: Option<HealthChecks>,
        self_test: Duration,
    ) -> Vec<Box<dyn Task>> {
        let Self { services, policy, recorder, signing, clock, maintenance, .. } = self;
        let (weak, store) = (Arc::downgrade(&services), Arc::clone(&services.store));
        let mut tasks: Vec<Box<dyn Task>> = vec![
            work("warm-up", warm_up(signing)),
            Box::new(recorder),
            work("rollouts", rollouts::follow(weak.clone())),
            work("self-test", self_test::follow(weak, self_test)),
            work("housekeeping", Housekeeper::new(store.clone(), Arc::clone(&clock)).run()),
        ];
        tasks.extend(maintenance);
        tasks.extend(policy.watch(&clock).map(|watch| work("opa", watch)));
        tasks.extend(policy.supply(&clock).map(|supply| work("policy source", supply)));
        tasks.extend(health_checks.map(|checks| work("health checks", checks.poll(store, clock))));
        tasks.extend(send_log(&services, outlets));
        tasks
    }
}

/// What the use cases are built on.
fn ports(
    database: &Opened,
    keys: Signers,
    payload_key: Option<&payload_key::Source>,
    policy: &Policy,
    clock: &Arc<dyn Clock>,
) -> Outcome<Ports> {
    let key_wrapper = match payload_key.map(payload_key::Source::wrapper).transpose() {
        Ok(wrapper) => wrapper.map(|wrapper| -> Arc<dyn KeyWrapper> { Arc::new(wrapper) }),
        Err(error) => return Err(error.failure()),
    };
    Ok(Ports {
        store: Arc::clone(&database.store),
        log: Arc::clone(&database.log),
        payloads: Arc::clone(&database.payloads),
        key_wrapper,
        checkpoints: keys.checkpoints,
        policy: Arc::clone(&policy.port),
        signing: keys.signing,
        retired_keys: keys.retired,
        clock: Arc::clone(clock),
    })
}

/// Keeps the control state in step with other servers, by whatever reports their changes. Ends with
/// the services.
fn follow(services: &Services, database: &Opened, carrier: Option<&dyn Carrier>) {
    let epochs = [database.backend.epochs(), carrier.and_then(|carrier| carrier.epochs())];
    for epochs in epochs.into_iter().flatten() {
        drop(services.follow(epochs));
    }
}

/// Sends the transparency log on, while this server leads.
fn send_log(services: &Services, outlets: Outlets) -> Vec<Box<dyn Task>> {
    if let Some(shard) = services.log.shards().last() {
        // Witnesses and verifiers of the log are configured with it.
        tracing::info!(verifier_key = %shard.key, "the key of the transparency log");
    }
    if outlets.counts().is_empty() {
        return Vec::new();
    }
    let (leads, led) = watch::channel(false);
    let lead = LogLead { log: Arc::clone(&services.log), leads };
    vec![Box::new(lead), work("log outlets", outlets.run(led))]
}

/// Hands over to other servers, and ends the tasks and the services.
async fn leave(services: Arc<Services>, carrier: Option<Arc<dyn Carrier>>, tasks: Tasks) {
    if let Some(carrier) = carrier {
        // Late events are of no use to anyone when Redis is away.
        drop(tokio::time::timeout(FLUSH, carrier.flush()).await);
    }
    tasks.stop(FLUSH).await;
    // So that another server goes on with the log at once; otherwise it waits for the lease to end.
    drop(tokio::time::timeout(FLUSH, services.log.resign()).await);
}

/// The failure to start, with its fix where that is known.
fn start_failure(error: &ServiceError) -> Failure {
    let failure = Failure::new(format!("cannot start: {error}"));
    match error {
        ServiceError::PayloadKey(_) => failure
            .help("set `payload_key_file` to the file with the key that was used before")
            .help("without that key, no payload that was kept can be read"),
        _ => failure,
    }
}

/// The logs and authorities whose entries and timestamps the bundles will have.
fn also_trusted(destinations: &Destinations) -> AlsoTrusted {
    AlsoTrusted {
        logs: destinations.trusted_logs(),
        authorities: destinations.trusted_authorities(),
    }
}

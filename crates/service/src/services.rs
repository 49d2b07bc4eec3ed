//! Wires the use cases to their ports.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::check::Arguments;
use sentinel_core::clock::Clock;
use sentinel_core::commit::Batch;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::Bus;
use sentinel_core::id::DecisionId;
use sentinel_core::page::Page;
use sentinel_core::policy::PolicyEngine;
use sentinel_core::ports::{LogStore, PayloadStore, QuotaStore};
use sentinel_core::principal::Principal;
use sentinel_core::quota::Counter;
use sentinel_core::rate::{RateLimiter, RateRule};
use sentinel_core::store::Store;
use sentinel_provenance::PublicKey;
use sentinel_provenance::log::WitnessPolicy;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ServiceError;
use crate::announce::Announcer;
use crate::attest::{Attest, Attestor};
use crate::audit::Audit;
use crate::bus::{FanOut, InProcessBus};
use crate::calls::{CallInFlight, Calls};
use crate::check::{Checked, Checker};
use crate::commit::DecisionWriter;
use crate::control::Control;
use crate::elsewhere::Elsewhere;
use crate::group::{Delay, Group, Grouping};
use crate::judge::Judge;
use crate::keys::{Keys, random_bytes};
use crate::kill::{KillSwitch, keep_turning};
use crate::lifetimes::Lifetimes;
use crate::log::{self, CheckpointSigners, TransparencyLog};
use crate::outstanding::Outstanding;
use crate::payloads::{self, Foundations, KeyWrapper, Payloads};
use crate::permit::PermitSeal;
use crate::policy_data::PolicyDocuments;
use crate::policy_log::PolicyLog;
use crate::provenance::{ManifestWriter, Provenance};
use crate::quotas::Quotas;
use crate::rate::{LocalRates, RateCounts, RateGuard};
use crate::redeem::Redeemer;
use crate::registry::Registry;
use crate::rollouts::Rollouts;
use crate::self_test::SelfTests;
use crate::signing::{self, Signing, SigningKeys};
use crate::upstreams::{UpstreamRules, Upstreams};
use crate::usage::UsageCache;

/// What the use cases need.
#[derive(Debug, Clone)]
pub struct Ports {
    pub store: Arc<dyn Store>,
    pub log: Arc<dyn LogStore>,
    pub payloads: Arc<dyn PayloadStore>,
    /// Wraps the payload keys of tenants; `None` keeps no payloads.
    pub key_wrapper: Option<Arc<dyn KeyWrapper>>,
    pub policy: Arc<dyn PolicyEngine>,
    pub signing: Signing,
    /// Keys that signed or certified before, and are trusted still.
    pub retired_keys: Vec<PublicKey>,
    pub checkpoints: CheckpointSigners,
    pub clock: Arc<dyn Clock>,
}

/// What replicas have in common; by default there is only this one.
#[derive(Debug, Default)]
pub struct Shared {
    /// Events for this replica's subscribers, foreign ones included.
    pub events: Arc<InProcessBus>,
    /// Takes this replica's events to the others.
    pub others: Option<Arc<dyn Bus>>,
    /// Counts for all replicas; `None` counts in this process.
    pub rates: Option<Arc<dyn RateLimiter>>,
}

/// How much may wait, and how fast calls may come.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Checks under way, and manifests that wait to be written, before more are refused.
    pub queue: usize,
    /// How long decisions that are to be committed wait for others under load.
    pub commit_delay: Delay,
    /// Rate limits of every call, besides those that policy states.
    pub rate_limits: Vec<RateRule>,
    /// Which decisions are signed.
    pub attest: Attest,
    /// Witnesses that must have cosigned the log for a manifest to be verified; `None` needs none.
    pub witnesses: Option<WitnessPolicy>,
    /// Whether a call that names no agent is denied.
    pub require_agent: bool,
    pub upstreams: UpstreamRules,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue: 2048,
            commit_delay: Delay::Adaptive,
            rate_limits: Vec::new(),
            attest: Attest::default(),
            witnesses: None,
            require_agent: false,
            upstreams: UpstreamRules::default(),
        }
    }
}

/// Every use case, ready to be called.
#[derive(Debug)]
pub struct Services {
    pub checker: Arc<Checker>,
    pub redeemer: Redeemer,
    pub registry: Registry,
    pub upstreams: Arc<Upstreams>,
    pub kills: Arc<KillSwitch>,
    /// Calls that this process forwards.
    pub calls: Arc<Calls>,
    pub self_tests: SelfTests,
    pub keys: Keys,
    pub provenance: Arc<Provenance>,
    pub log: Arc<TransparencyLog>,
    pub payloads: Arc<Payloads>,
    pub audit: Audit,
    pub quotas: Quotas,
    pub policy_log: PolicyLog,
    pub policy_data: PolicyDocuments,
    pub rollouts: Rollouts,
    pub events: Arc<InProcessBus>,
    pub control: Arc<Control>,
    pub policy: Arc<dyn PolicyEngine>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
}

impl Services {
    /// Starts the only replica; see [`Services::start_shared`].
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(ports: Ports, settings: Settings) -> Result<Self, ServiceError> {
        Self::start_shared(ports, settings, Shared::default()).await
    }

    /// Loads what must be in memory and starts the writers. Call it within a tokio runtime.
    ///
    /// # Errors
    /// When the store cannot be read.
    #[expect(clippy::too_many_lines, reason = "a list of parts, without a decision")]
    pub async fn start_shared(
        ports: Ports,
        settings: Settings,
        shared: Shared,
    ) -> Result<Self, ServiceError> {
        let Ports { store, log, payloads, key_wrapper, .. } = ports;
        let Ports { policy, signing, retired_keys, checkpoints, clock, .. } = ports;
        let keys = SigningKeys::new(signing, retired_keys, Arc::clone(&log), Arc::clone(&clock));
        let keys = Arc::new(keys);
        let (statements, now) = (Arc::clone(&keys), Arc::clone(&clock));
        let log = Arc::new(TransparencyLog::open(log, checkpoints, statements, now).await?);
        keys.renew().await?;
        tokio::spawn(signing::follow(Arc::downgrade(&keys)));
        tokio::spawn(log::follow(Arc::downgrade(&log)));
        let Shared { events, others, rates } = shared;
        let bus = bus(&events, others);
        let (own, local) = (Arc::clone(&bus), Arc::clone(&events));
        let announcer = Announcer::new(own, local, Arc::clone(&clock));
        let calls = Arc::new(Calls::new(Arc::clone(&clock)));
        let control = Control::load(store.clone()).await?.announcing(announcer);
        let control = Arc::new(control.cutting(Arc::clone(&calls)));
        let outstanding = Arc::new(Outstanding::default());
        let elsewhere = Arc::new(Elsewhere::default());
        let payloads = Foundations {
            store: payloads,
            wrapper: key_wrapper,
            control: Arc::clone(&control),
            log: Arc::clone(&log),
            keys: Arc::clone(&keys),
            clock: Arc::clone(&clock),
        };
        let payloads = Arc::new(Payloads::open(payloads).await?);
        tokio::spawn(payloads::follow(Arc::downgrade(&payloads)));
        let seal = PermitSeal::new(&store.secret("permit", random_bytes()?).await?);
        let counters = counters(store.as_ref(), clock.as_ref()).await?;
        let usage = Arc::new(UsageCache::from_counters(&counters));
        let judge = Arc::new(Judge { policy: Arc::clone(&policy), usage: Arc::clone(&usage) });
        let rates = rates.unwrap_or_else(|| Arc::new(LocalRates::default()));
        let decisions = DecisionWriter {
            store: store.clone(),
            control: Arc::clone(&control),
            usage: Arc::clone(&usage),
            bus: Arc::clone(&bus),
            clock: Arc::clone(&clock),
            outstanding: Arc::clone(&outstanding),
        };
        let policy_log = PolicyLog {
            engine: Arc::clone(&policy),
            store: store.clone(),
            bus: Arc::clone(&bus),
            clock: Arc::clone(&clock),
        };
        let policy_data =
            PolicyDocuments { control: Arc::clone(&control), log: policy_log.clone() };
        let rollouts = Rollouts {
            control: Arc::clone(&control),
            log: policy_log.clone(),
            changing: Arc::default(),
        };
        let manifests = ManifestWriter { store: store.clone(), log: Arc::clone(&log) };
        let provenance = Arc::new(Provenance {
            control: Arc::clone(&control),
            manifests: store.clone(),
            decisions: store.clone(),
            bus: Arc::clone(&bus),
            clock: Arc::clone(&clock),
            keys,
            log: Arc::clone(&log),
            witnesses: settings.witnesses,
            payloads: Arc::clone(&payloads),
            elsewhere: Arc::clone(&elsewhere),
            writes: Group::start(
                Arc::new(manifests),
                settings.queue,
                Grouping { most: MANIFEST_GROUP, delay: Delay::Fixed(Duration::ZERO) },
            ),
        });
        let kills = Arc::new(KillSwitch {
            control: Arc::clone(&control),
            store: store.clone(),
            events: Arc::clone(&events),
            outstanding: Arc::clone(&outstanding),
            clock: Arc::clone(&clock),
            elsewhere: Arc::clone(&elsewhere),
            lifetimes: Lifetimes::default(),
            calls: Arc::clone(&calls),
        });
        tokio::spawn(keep_turning(Arc::downgrade(&kills)));
        let checker = Arc::new(Checker {
            control: Arc::clone(&control),
            judge: Arc::clone(&judge),
            rates: RateGuard {
                limiter: rates,
                rules: settings.rate_limits,
                counts: RateCounts::default(),
            },
            commits: Group::start(
                Arc::new(decisions),
                settings.queue,
                Grouping { most: Batch::MAX, delay: settings.commit_delay },
            ),
            places: Semaphore::new(settings.queue.min(Semaphore::MAX_PERMITS)),
            seal: seal.clone(),
            clock: Arc::clone(&clock),
            attestor: Attestor { which: settings.attest, provenance: Arc::clone(&provenance) },
            require_agent: settings.require_agent,
        });
        let upstreams = Arc::new(Upstreams::new(
            Arc::clone(&control),
            store.clone(),
            Arc::clone(&bus),
            Arc::clone(&clock),
            Arc::clone(&checker),
            settings.upstreams,
        ));
        Ok(Self {
            checker,
            upstreams,
            redeemer: Redeemer {
                seal,
                judge,
                control: Arc::clone(&control),
                store: store.clone(),
                clock: Arc::clone(&clock),
                outstanding,
                elsewhere,
            },
            registry: Registry {
                control: Arc::clone(&control),
                store: store.clone(),
                bus: Arc::clone(&bus),
                clock: Arc::clone(&clock),
            },
            kills,
            calls,
            self_tests: SelfTests::default(),
            keys: Keys {
                control: Arc::clone(&control),
                store: store.clone(),
                bus: Arc::clone(&bus),
                clock: Arc::clone(&clock),
            },
            provenance,
            log,
            payloads,
            audit: Audit { control: Arc::clone(&control), store: store.clone() },
            quotas: Quotas {
                control: Arc::clone(&control),
                store: store.clone(),
                clock: Arc::clone(&clock),
            },
            policy_log,
            policy_data,
            rollouts,
            events,
            control,
            policy,
            store,
            clock,
        })
    }

    /// Enters an allowed call of `principal` among those in flight, so that a kill cuts it. The
    /// permit is used up; `None` when the decision denies.
    ///
    /// # Errors
    /// When a kill covers the call by now, or too many calls are in flight.
    pub fn open_call(
        &self,
        principal: Principal,
        checked: Checked,
    ) -> Result<Option<CallInFlight>, ServiceError> {
        let Checked { decision, permit, .. } = checked;
        permit
            .map(|permit| self.calls.open(&self.control, principal, &decision, permit))
            .transpose()
    }

    /// Goes on with an allowed call of `principal` after its client was asked something: policy and
    /// control state are asked again, and the quota is not. `round` counts how often it went on; each
    /// is used up once, on whichever replica. Without one nothing may be sent.
    ///
    /// # Errors
    /// As [`Redeemer::resume`] and [`Services::open_call`].
    pub async fn resume_call(
        &self,
        principal: Principal,
        decision: DecisionId,
        arguments: &Arguments,
        round: Option<NonZeroU32>,
    ) -> Result<CallInFlight, ServiceError> {
        let resumed = self.redeemer.resume(&principal, decision, arguments, round).await;
        let (record, permit) = resumed?;
        self.calls.open(&self.control, principal, &record, permit)
    }

    /// Starts the task that keeps the control state up with the other replicas, as
    /// [`Control::follow`] describes. It ends when the services are dropped.
    pub fn follow(&self, epochs: watch::Receiver<Epoch>) -> JoinHandle<()> {
        tokio::spawn(Control::follow(Arc::downgrade(&self.control), epochs))
    }
}

fn bus(events: &Arc<InProcessBus>, others: Option<Arc<dyn Bus>>) -> Arc<dyn Bus> {
    match others {
        None => events.clone(),
        Some(others) => Arc::new(FanOut { local: Arc::clone(events), others }),
    }
}

/// Manifests that one write stores at most.
const MANIFEST_GROUP: usize = 1024;

async fn counters(store: &dyn QuotaStore, clock: &dyn Clock) -> Result<Vec<Counter>, ServiceError> {
    let mut all = Vec::new();
    let mut page = Page::first(Page::MAX_LIMIT);
    loop {
        let found = store.counters(None, clock.now(), page.clone()).await?;
        all.extend(found.items);
        match found.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(all),
        }
    }
}

//! Which engine decides, and how it is kept current.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sentinel_core::clock::Clock;
use sentinel_core::policy::PolicyEngine;
use sentinel_policy::{
    EmbeddedConfig, EmbeddedEngine, LoadError, OpaConfig, OpaEngine, ShadowEngine, Vetter,
};
use sentinel_policy_analysis::{PolicySource, SourceLimits};
use sentinel_policy_bundles::SupplyError;
use sentinel_policy_bundles::supply::{self, Access, Keeper, KeeperConfig};
use tokio::sync::watch;
use tokio::task::JoinError;

use crate::environment;
use crate::failure::{OrFail as _, Outcome};
use crate::parts::metrics;

/// What decides, as configured.
#[derive(Debug, Clone)]
pub(crate) struct Decider {
    pub(crate) engine: Engine,
    /// How the embedded engine evaluates.
    pub(crate) evaluation: EmbeddedConfig,
}

/// The engine that decides.
#[derive(Debug, Clone)]
pub(crate) enum Engine {
    /// The embedded one.
    Embedded(Origin),
    /// An OPA, by whatever it runs.
    Opa(OpaConfig),
    /// The embedded one; an OPA is compared with it.
    Shadow(Origin, OpaConfig),
}

/// Where the policies of the embedded engine come from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// Loaded again on demand and, if it is watched, when a file in it changes.
    Directory {
        dir: PathBuf,
        watched: bool,
    },
    Bundle(Box<Supply>),
}

/// A source of bundles that can be used, as far as that can be seen without asking it.
#[derive(Debug, Clone)]
pub(crate) struct Supply {
    pub(crate) address: String,
    pub(crate) access: Access,
    pub(crate) keeper: KeeperConfig,
}

/// What loads the policies of the embedded engine.
#[derive(Debug, Clone)]
enum Loader {
    /// `seen` is the fingerprint of the directory before it was loaded; none when it is not
    /// watched.
    Directory {
        engine: Arc<EmbeddedEngine>,
        dir: PathBuf,
        seen: Option<String>,
    },
    Bundle {
        engine: Arc<EmbeddedEngine>,
        keeper: Arc<Keeper>,
        address: String,
    },
}

/// Time that a source has to give a policy before the server starts without one.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// Time between two looks at a directory.
const WATCH: Duration = Duration::from_secs(1);

/// The engine that decides, and what is behind it.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) port: Arc<dyn PolicyEngine>,
    /// Loads the policies of the embedded engine.
    loader: Option<Loader>,
    opa: Option<Arc<OpaEngine>>,
    shadow: Option<Arc<ShadowEngine>>,
}

/// Loads the policy again.
#[derive(Debug, Clone)]
pub(crate) struct Reloader {
    loader: Option<Loader>,
}

/// Where the policy of a start came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// The source, as it is now.
    Brought,
    /// What was in force when this server ran last; the source has not been asked.
    Kept,
}

/// The result of loading, when nothing went wrong.
#[derive(Debug)]
pub(crate) enum Reloaded {
    Revision(Arc<str>),
    /// The source of bundles is asked at once.
    Asking,
    /// OPA decides, by what it loads itself.
    Nothing,
}

/// Why no policy was loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPolicy {
    #[error(transparent)]
    Refused(#[from] SupplyError),
    /// What the source brought was refused.
    #[error(transparent)]
    Unsound(#[from] Arc<SupplyError>),
    #[error("the source of the policy has none yet")]
    NoneYet,
    #[error("the source of the policy has not answered yet")]
    NoAnswer,
    #[error(transparent)]
    Panicked(#[from] JoinError),
}

impl Policy {
    /// Builds the engine; nothing is loaded yet.
    ///
    /// # Errors
    /// When this program or OPA cannot be used at all. Whether OPA answers is seen later.
    pub(crate) fn new(decider: Decider) -> Outcome<Self> {
        let Decider { engine, evaluation } = decider;
        let opa = match &engine {
            Engine::Embedded(_) => None,
            Engine::Opa(config) | Engine::Shadow(_, config) => {
                let opa = OpaEngine::new(config);
                Some(Arc::new(opa.or_fail(|| "cannot use OPA".to_owned())?))
            }
        };
        let embedded = match &engine {
            Engine::Opa(_) => None,
            Engine::Embedded(origin) | Engine::Shadow(origin, _) => {
                Some((Arc::new(embedded(evaluation)?), origin))
            }
        };
        let shadow = match (&embedded, &opa) {
            (Some((embedded, _)), Some(opa)) => {
                Some(Arc::new(ShadowEngine::start(embedded.clone(), opa)))
            }
            _ => None,
        };
        let port: Option<Arc<dyn PolicyEngine>> = match (&shadow, &embedded, &opa) {
            (Some(shadow), ..) => Some(shadow.clone()),
            (None, Some((embedded, _)), _) => Some(embedded.clone()),
            (None, None, opa) => opa.clone().map(|opa| opa as Arc<dyn PolicyEngine>),
        };
        // Every `Engine` has one of them; an engine without policy denies.
        let port = port.unwrap_or_else(|| Arc::new(EmbeddedEngine::new(EmbeddedConfig::default())));
        let loader = embedded.map(|(engine, origin)| Loader::new(engine, origin)).transpose()?;
        Ok(Self { port, loader, opa, shadow })
    }

    pub(crate) fn reloader(&self) -> Reloader {
        Reloader { loader: self.loader.clone() }
    }

    /// Keeps the policy in step with its source, as long as it is polled.
    pub(crate) fn supply(
        &self,
        clock: &Arc<dyn Clock>,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let loader = self.loader.clone()?;
        if matches!(loader, Loader::Directory { seen: None, .. }) {
            return None;
        }
        let clock = Arc::clone(clock);
        Some(async move {
            match loader {
                Loader::Bundle { keeper, .. } => keeper.run(|| clock.now()).await,
                Loader::Directory { engine, dir, seen } => watch(engine, dir, seen, clock).await,
            }
        })
    }

    /// Keeps the health of OPA known, as long as it is polled.
    pub(crate) fn watch(&self, clock: &Arc<dyn Clock>) -> Option<impl Future<Output = ()> + use<>> {
        let (opa, clock) = (self.opa.clone()?, Arc::clone(clock));
        Some(async move { opa.watch(|| clock.now()).await })
    }

    /// Asks OPA for its state once, so that it is known at the start.
    pub(crate) async fn look(&self, now: Timestamp) {
        if let Some(opa) = &self.opa {
            opa.look(now).await;
        }
    }

    /// Why OPA did not decide when it was looked at last; `None` when it did, or when none is
    /// asked.
    pub(crate) fn opa_error(&self) -> Option<String> {
        let status = self.opa.as_ref()?.status();
        match (status.error, status.revision) {
            (Some(error), _) => Some(error),
            (None, Some(_)) => None,
            (None, None) => Some("it has no policy".to_owned()),
        }
    }

    /// What it counts.
    pub(crate) fn sources(&self) -> Vec<sentinel_telemetry::Source> {
        let opa = self.opa.iter().cloned().map(metrics::of_opa);
        let shadow = self.shadow.iter().cloned().map(metrics::of_shadow);
        let embedded = match &self.loader {
            Some(Loader::Directory { engine, .. } | Loader::Bundle { engine, .. }) => {
                Some(metrics::of_embedded(Arc::clone(engine)))
            }
            None => None,
        };
        let supply = match &self.loader {
            Some(Loader::Bundle { engine, keeper, .. }) => {
                Some(metrics::of_supply(Arc::clone(keeper), Arc::clone(engine)))
            }
            _ => None,
        };
        opa.chain(shadow).chain(embedded).chain(supply).collect()
    }
}

/// Loads a directory again when a file in it has changed and none changes any more: of files that
/// are copied one by one, the first few may be another policy by themselves.
async fn watch(
    engine: Arc<EmbeddedEngine>,
    dir: PathBuf,
    mut loaded: Option<String>,
    clock: Arc<dyn Clock>,
) {
    let mut before = loaded.clone();
    let mut ticks = tokio::time::interval(WATCH);
    loop {
        ticks.tick().await;
        let (engine, now) = (Arc::clone(&engine), clock.now());
        let (looked, last, earlier) = (dir.clone(), loaded.clone(), before.clone());
        let looking = tokio::task::spawn_blocking(move || {
            let found = fingerprint(&looked);
            if found.is_none() || found == last || found != earlier {
                return (last, found);
            }
            match engine.load(&looked, now) {
                Ok(revision) => tracing::info!(%revision, "the policy was loaded again"),
                Err(error) => {
                    tracing::error!(%error, "the policy was refused; the one before stays in force");
                }
            }
            (found.clone(), found)
        });
        match looking.await {
            Ok(found) => (loaded, before) = found,
            Err(error) => {
                tracing::error!(%error, "the policy directory is not watched any more");
                return;
            }
        }
    }
}

fn fingerprint(dir: &Path) -> Option<String> {
    PolicySource::fingerprint(dir, &SourceLimits::default()).ok()
}

impl Loader {
    fn new(engine: Arc<EmbeddedEngine>, origin: &Origin) -> Outcome<Self> {
        Ok(match origin {
            Origin::Directory { dir, watched } => {
                let seen = watched.then(|| fingerprint(dir).unwrap_or_default());
                Self::Directory { engine, dir: dir.clone(), seen }
            }
            Origin::Bundle(supply) => {
                let source =
                    supply::open(&supply.address, &supply.access, environment::variables());
                let source = source.or_fail(|| "cannot use `policy_bundle`".to_owned())?;
                let keeper = Keeper::new(Arc::clone(&engine), source, supply.keeper.clone());
                let address = supply.address.clone();
                Self::Bundle { engine, keeper: Arc::new(keeper), address }
            }
        })
    }
}

impl Reloader {
    /// Loads the policy of a start: the bundle that was in force last, and without one what the
    /// source has, if it answers soon.
    ///
    /// # Errors
    /// When the policy is refused, or there is none.
    pub(crate) async fn first(&self, now: Timestamp) -> Result<First, NoPolicy> {
        let reloader = self.clone();
        let loading = tokio::task::spawn_blocking(move || match reloader.loader {
            Some(Loader::Bundle { keeper, .. }) => {
                keeper.restore(now).map(|restored| restored.map(|_| First::Kept))
            }
            _ => Ok(reloader.load(now).map(|_| Some(First::Brought))?),
        });
        let refused = match loading.await? {
            Ok(Some(first)) => return Ok(first),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let Some(Loader::Bundle { keeper, .. }) = &self.loader else {
            return refused.map_or(Ok(First::Brought), |error| Err(error.into()));
        };
        if let Some(error) = refused {
            tracing::error!(%error, "the bundle that was in force last cannot be loaded");
        }
        match tokio::time::timeout(FIRST_ANSWER, keeper.poll(now)).await {
            Ok(Ok(Some(_))) => Ok(First::Brought),
            Ok(Ok(None)) => Err(NoPolicy::NoneYet),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(NoPolicy::NoAnswer),
        }
    }

    /// Loads the directory, which blocks while it is vetted, or has the source of bundles asked.
    ///
    /// # Errors
    /// When the policy is refused; what was in force stays in force.
    pub(crate) fn load(&self, now: Timestamp) -> Result<Reloaded, LoadError> {
        match &self.loader {
            Some(Loader::Directory { engine, dir, .. }) => {
                engine.load(dir, now).map(Reloaded::Revision)
            }
            Some(Loader::Bundle { keeper, .. }) => {
                keeper.wake();
                Ok(Reloaded::Asking)
            }
            None => Ok(Reloaded::Nothing),
        }
    }

    /// Loads what is on this machine, and asks no source: a bundle is the one that was in force
    /// last. `None` when there is nothing.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn on_this_machine(
        &self,
        now: Timestamp,
    ) -> Result<Option<Arc<str>>, NoPolicy> {
        let loader = self.loader.clone();
        let loading = tokio::task::spawn_blocking(move || match loader {
            Some(Loader::Directory { engine, dir, .. }) => Ok(engine.load(&dir, now).map(Some)?),
            Some(Loader::Bundle { keeper, .. }) => keeper.restore(now),
            None => Ok::<_, SupplyError>(None),
        });
        Ok(loading.await??)
    }

    /// The source of the policy, as the record of its changes names it: without a query, which may
    /// hold a signature or a token, since many may read the record.
    pub(crate) fn origin(&self) -> Option<String> {
        match self.loader.as_ref()? {
            Loader::Directory { dir, .. } => Some(dir.display().to_string()),
            Loader::Bundle { address, .. } => address.split('?').next().map(str::to_owned),
        }
    }

    /// Changes after each load.
    pub(crate) fn loads(&self) -> Option<watch::Receiver<()>> {
        let (Loader::Directory { engine, .. } | Loader::Bundle { engine, .. }) =
            self.loader.as_ref()?;
        Some(engine.loads())
    }

    /// The directory that is loaded, for those who have to correct it.
    pub(crate) fn dir(&self) -> Option<&PathBuf> {
        match &self.loader {
            Some(Loader::Directory { dir, .. }) => Some(dir),
            _ => None,
        }
    }
}

/// An engine that vets with this program; nothing is loaded.
pub(crate) fn embedded(mut config: EmbeddedConfig) -> Outcome<EmbeddedEngine> {
    config.vetter = Some(Vetter::own().or_fail(|| "cannot find this program".to_owned())?);
    Ok(EmbeddedEngine::new(config))
}

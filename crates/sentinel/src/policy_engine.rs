//! Which engine decides, and how it is kept current.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use sentinel_core::clock::Clock;
use sentinel_core::policy::PolicyEngine;
use sentinel_policy::{
    EmbeddedConfig, EmbeddedEngine, LoadError, OpaConfig, OpaEngine, ShadowEngine, Vetter,
};

use crate::failure::{OrFail as _, Outcome};

/// What decides, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Engine {
    /// The embedded one, by the policies of a directory.
    Embedded(PathBuf),
    /// An OPA, by whatever it runs.
    Opa(OpaConfig),
    /// The embedded one; an OPA is compared with it.
    Shadow(PathBuf, OpaConfig),
}

/// The engine that decides, and what is behind it.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) port: Arc<dyn PolicyEngine>,
    /// The embedded engine, with the directory that it loads.
    embedded: Option<(Arc<EmbeddedEngine>, PathBuf)>,
    opa: Option<Arc<OpaEngine>>,
    shadow: Option<Arc<ShadowEngine>>,
}

/// Loads the policy directory anew; blocks while it is vetted.
#[derive(Debug, Clone)]
pub(crate) struct Reloader {
    embedded: Option<(Arc<EmbeddedEngine>, PathBuf)>,
}

impl Policy {
    /// # Errors
    /// When this program or OPA cannot be used at all; whether they answer is seen later.
    pub(crate) fn new(engine: &Engine) -> Outcome<Self> {
        let opa = match engine {
            Engine::Embedded(_) => None,
            Engine::Opa(config) | Engine::Shadow(_, config) => {
                let opa = OpaEngine::new(config);
                Some(Arc::new(opa.or_fail(|| "cannot use OPA".to_owned())?))
            }
        };
        let embedded = match engine {
            Engine::Opa(_) => None,
            Engine::Embedded(dir) | Engine::Shadow(dir, _) => {
                Some((Arc::new(embedded()?), dir.clone()))
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
        // One of them is there for every `Engine`; an engine without policy denies.
        let port = port.unwrap_or_else(|| Arc::new(EmbeddedEngine::new(EmbeddedConfig::default())));
        Ok(Self { port, embedded, opa, shadow })
    }

    pub(crate) fn reloader(&self) -> Reloader {
        Reloader { embedded: self.embedded.clone() }
    }

    /// Keeps the health of OPA known, as long as it is polled.
    pub(crate) fn watch(&self, clock: &Arc<dyn Clock>) -> Option<impl Future<Output = ()> + use<>> {
        let (opa, clock) = (self.opa.clone()?, Arc::clone(clock));
        Some(async move { opa.watch(|| clock.now()).await })
    }

    /// Looks at OPA once, so that what is said at the start is known.
    pub(crate) async fn look(&self, now: Timestamp) {
        if let Some(opa) = &self.opa {
            opa.look(now).await;
        }
    }

    /// What it counts.
    pub(crate) fn sources(&self) -> Vec<sentinel_http::Source> {
        let opa = self.opa.iter().cloned().map(crate::metrics::of_opa);
        let shadow = self.shadow.iter().cloned().map(crate::metrics::of_shadow);
        opa.chain(shadow).collect()
    }
}

impl Reloader {
    /// Answers the revision; `None` when there is no directory, since OPA decides.
    ///
    /// # Errors
    /// When the policy is refused; what was in force stays in force.
    pub(crate) fn load(&self, now: Timestamp) -> Result<Option<Arc<str>>, LoadError> {
        self.embedded.as_ref().map(|(engine, dir)| engine.load(dir, now)).transpose()
    }

    pub(crate) fn dir(&self) -> Option<&PathBuf> {
        self.embedded.as_ref().map(|(_, dir)| dir)
    }
}

/// An engine that vets with this program; nothing is loaded.
pub(crate) fn embedded() -> Outcome<EmbeddedEngine> {
    let vetter = Vetter::own().or_fail(|| "cannot find this program".to_owned())?;
    Ok(EmbeddedEngine::new(EmbeddedConfig { vetter: Some(vetter), ..EmbeddedConfig::default() }))
}

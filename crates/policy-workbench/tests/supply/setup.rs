//! A server that is supplied from one source.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::policy::{PolicyEngine as _, PolicyError};
use sentinel_policy::EmbeddedEngine;
use sentinel_policy_bundles::supply::{self, Access, Keeper, KeeperConfig, Pace};
use sentinel_policy_bundles::{BundleLimits, SupplyError, Trust, VerificationKey};

use crate::support::{engine, now, usual};

/// A server as it is configured; `Keeper`s of it come and go, as the process does.
pub(crate) struct Setup {
    pub(crate) address: String,
    pub(crate) access: Access,
    pub(crate) config: KeeperConfig,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) dir: tempfile::TempDir,
}

/// A server that runs.
pub(crate) struct Running {
    pub(crate) engine: Arc<EmbeddedEngine>,
    pub(crate) keeper: Arc<Keeper>,
}

impl Setup {
    pub(crate) fn of(address: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        let limits = BundleLimits::default();
        Self {
            address: address.to_owned(),
            access: Access {
                work_dir: Some(kept.clone()),
                max_bytes: limits.max_compressed,
                ..Access::default()
            },
            config: KeeperConfig {
                address: address.to_owned(),
                trust: None,
                limits,
                dir: Some(kept),
                allow_rollback: false,
                pace: Pace {
                    min_delay: Duration::from_millis(20),
                    max_delay: Duration::from_millis(40),
                    random: || 0.5,
                },
            },
            environment: Vec::new(),
            dir,
        }
    }

    pub(crate) fn trusting(mut self, public: &str) -> Self {
        let keys = VerificationKey::read(public.as_bytes(), None).unwrap();
        self.config.trust = Some(Trust { keys, scope: None });
        self
    }

    pub(crate) fn start(&self) -> Running {
        let engine = Arc::new(engine());
        let source = supply::open(&self.address, &self.access, self.environment.clone()).unwrap();
        let keeper = Arc::new(Keeper::new(Arc::clone(&engine), source, self.config.clone()));
        Running { engine, keeper }
    }
}

impl Running {
    pub(crate) async fn poll(&self) -> Result<Option<String>, Arc<SupplyError>> {
        self.keeper.poll(now()).await.map(|revision| revision.map(|name| name.to_string()))
    }

    pub(crate) async fn refused(&self) -> String {
        self.poll().await.expect_err("nothing is loaded").to_string()
    }

    pub(crate) fn allows(&self) -> Result<bool, PolicyError> {
        usual().decide(&self.engine).map(|decision| decision.allow)
    }

    pub(crate) fn revision(&self) -> Option<String> {
        self.engine.status().revision
    }
}

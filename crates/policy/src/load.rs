//! Loading a policy directory: read, vet, build, swap. Any failure keeps what is in force.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use sentinel_policy_analysis::{Finding, PolicySource};

use crate::embedded::EmbeddedEngine;
use crate::error::LoadError;

impl EmbeddedEngine {
    /// Loads a directory and puts it in force, and returns its revision. Blocks while it is
    /// vetted, for tens of milliseconds as a rule.
    ///
    /// # Errors
    /// Says what is wrong, with file and line where there is one. What was in force stays in
    /// force, and [`status`](sentinel_core::policy::PolicyEngine::status) reports the error until
    /// a load succeeds.
    pub fn load(&self, dir: &Path, now: Timestamp) -> Result<Arc<str>, LoadError> {
        let _one_at_a_time = self.loading();
        let loaded = self.try_load(dir, now);
        self.remember(&loaded, now);
        loaded
    }

    /// Puts a policy in force that is in no directory; otherwise as [`load`](Self::load). `keep` is
    /// called once nothing else refuses it, and may still do so.
    ///
    /// # Errors
    /// As [`load`](Self::load), and those of `keep`.
    pub fn load_source<E: From<LoadError> + Display>(
        &self,
        source: PolicySource,
        now: Timestamp,
        keep: impl FnOnce() -> Result<(), E>,
    ) -> Result<Arc<str>, E> {
        let _one_at_a_time = self.loading();
        let vetter = self.config.vetter.as_ref().ok_or(LoadError::NoVetter);
        let vetted = vetter.and_then(|vetter| vetter.vet_source(source)).map_err(E::from);
        let loaded = vetted.and_then(|policy| {
            let revision = self.try_install(&policy, now, keep)?;
            log(policy.warnings());
            Ok(revision)
        });
        self.remember(&loaded, now);
        loaded
    }

    /// A policy in the version of Rego that this engine takes it in, where it states none.
    #[must_use]
    pub fn as_read(&self, source: PolicySource) -> PolicySource {
        if self.config.limits.v0_compatible { source.v0_compatible() } else { source }
    }

    /// Remembers why a newer policy was refused, for the status. What is in force stays in force.
    pub fn refuse(&self, error: &impl Display, now: Timestamp) {
        self.set_error(Some(error.to_string()), false, now);
    }

    /// Remembers why the source gave no policy, for the status. What is in force stays in force.
    pub fn miss(&self, error: &impl Display, now: Timestamp) {
        self.set_error(Some(error.to_string()), true, now);
    }

    /// Forgets why: what is in force is what the source has.
    pub fn confirm(&self, now: Timestamp) {
        self.set_error(None, false, now);
    }

    fn try_load(&self, dir: &Path, now: Timestamp) -> Result<Arc<str>, LoadError> {
        let vetter = self.config.vetter.as_ref().ok_or(LoadError::NoVetter)?;
        let policy = vetter.vet(dir, &self.config.limits)?;
        let revision = self.try_install(&policy, now, || Ok::<_, LoadError>(()))?;
        log(policy.warnings());
        Ok(revision)
    }
}

/// Logs what vetting reported of a policy that is in force all the same.
fn log(warnings: &[Finding]) {
    for found in warnings {
        // With file, line and column in front.
        tracing::warn!(code = found.lint.code(), "the policy has a flaw: {found}");
    }
}

//! Loading a policy directory: read, vet, build, swap. Any failure keeps what is in force.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::embedded::EmbeddedEngine;
use crate::error::LoadError;

impl EmbeddedEngine {
    /// Loads a directory and puts it in force, and returns its revision. Blocks while it is
    /// vetted, for tens of milliseconds as a rule.
    ///
    /// # Errors
    /// Says what is wrong, with file and line where there is one. What was in force stays in
    /// force, and [`status`](sentinel_core::policy::PolicyEngine::status) tells of the error until
    /// a load succeeds.
    pub fn load(&self, dir: &Path, now: Timestamp) -> Result<Arc<str>, LoadError> {
        let _one_at_a_time = self.loading();
        let loaded = self.try_load(dir, now);
        self.remember(&loaded, now);
        loaded
    }

    fn try_load(&self, dir: &Path, now: Timestamp) -> Result<Arc<str>, LoadError> {
        let vetter = self.config.vetter.as_ref().ok_or(LoadError::NoVetter)?;
        let policy = vetter.vet(dir, &self.config.limits)?;
        self.try_install(&policy, now)
    }
}

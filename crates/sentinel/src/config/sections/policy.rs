//! What decides, and by which policies.

mod bundle;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use sentinel_policy::{EmbeddedConfig, OpaConfig};
use sentinel_policy_analysis::SourceLimits;
use serde::{Deserialize, Serialize};

use crate::config::problems::{Problem, Problems};
use crate::config::section::Section;
use crate::parts::policy_engine::{Decider, Engine, Origin};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Policy {
    /// Directory with the policies (`*.rego`) and their data (`data.json`, `data.yaml`). This or
    /// `policy_bundle` is required unless `policy_engine` is `opa`.
    pub(crate) policy_dir: Option<PathBuf>,
    /// Whether `policy_dir` is loaded again when a file in it has changed and none changes for a
    /// second; without it only on SIGHUP.
    pub(crate) policy_dir_watched: bool,
    /// Whether policy that states no version of Rego (`import rego.v1`, or `rego_version` in its
    /// manifest) is v0 in place of v1.
    pub(crate) policy_v0_compatible: bool,
    /// Where a bundle with the policies is, in place of `policy_dir`: `file:///path/bundle.tar.gz`,
    /// `https://…`, `s3://bucket/key` with credentials in the usual `AWS_…` variables, or a
    /// directory of a Git repository, `git+https://…`, `git+ssh://…` or `git+file:///…`, with
    /// `#branch`, `#tag` or `#branch:directory` behind it (`#main` by default).
    pub(crate) policy_bundle: Option<String>,
    /// Public keys in PEM, of which one must have signed the bundle; for `HS256` and its like the
    /// secret. Without it only unsigned bundles are taken.
    pub(crate) policy_bundle_key_file: Option<PathBuf>,
    /// Algorithm of those keys, such as `PS256` or `HS256`; by default `RS256`, `ES256`, `ES384`,
    /// `ES512` or `EdDSA`, by their type.
    pub(crate) policy_bundle_algorithm: Option<String>,
    /// Scope that the signature of the bundle must state.
    pub(crate) policy_bundle_scope: Option<String>,
    /// File with the token that is sent to the server of the bundle or the repository; read again
    /// each time.
    pub(crate) policy_bundle_token_file: Option<PathBuf>,
    /// Directory, of this server alone, in which the last good bundle is kept for a start without
    /// its source, and what was in force before, so that it cannot be brought back. Required with
    /// `policy_bundle`.
    pub(crate) policy_bundle_dir: Option<PathBuf>,
    /// Least seconds between two requests for a new bundle. A file is looked at every 2 seconds.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) policy_bundle_min_delay_seconds: u64,
    /// Most seconds between two requests for a new bundle, also after failures.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) policy_bundle_max_delay_seconds: u64,
    /// Seconds that a server may hold a request until there is a new bundle (long polling), if it
    /// can; 0 asks without waiting.
    #[schemars(range(max = 3600))]
    pub(crate) policy_bundle_long_poll_seconds: u64,
    /// Lets a bundle come into force that is older than one that was in force.
    pub(crate) policy_bundle_allow_rollback: bool,
    /// Who may sign commits, in the form of `ssh-keygen` (`name ssh-ed25519 AAAA…`); with it,
    /// commits that none of them signed by SSH key are refused. For `git+…` only.
    pub(crate) policy_git_allowed_signers: Option<PathBuf>,
    /// What decides: the embedded engine, an OPA, or the embedded engine with an OPA that is
    /// compared with it.
    pub(crate) policy_engine: PolicyEngine,
    /// Milliseconds that one evaluation of the embedded engine may take, whatever the policy does,
    /// before the check is denied with `policy_timeout` and its thread counts as stuck. (Between
    /// two steps of the interpreter, a rule is ended after 5 ms.)
    #[schemars(range(min = 20, max = 10_000))]
    pub(crate) policy_hard_limit_ms: u64,
    /// Stuck threads that are replaced at one time. With one more the server is not ready
    /// (`policy_stuck`) and denies whatever has to be evaluated with `policy_timeout`, until one of
    /// them has come back; kills and everything else go on.
    #[schemars(range(max = 64))]
    pub(crate) policy_stuck_threads: usize,
    /// Where the API of that OPA is: `http://127.0.0.1:8181`, or `https://…` on another machine.
    /// Required when `policy_engine` is `opa` or `shadow`.
    pub(crate) opa_url: Option<String>,
    /// Milliseconds that OPA may take for one decision before the check is denied with
    /// `policy_timeout`.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) opa_timeout_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            policy_dir: None,
            policy_dir_watched: false,
            policy_v0_compatible: false,
            policy_bundle: None,
            policy_bundle_key_file: None,
            policy_bundle_algorithm: None,
            policy_bundle_scope: None,
            policy_bundle_token_file: None,
            policy_bundle_dir: None,
            policy_bundle_min_delay_seconds: 30,
            policy_bundle_max_delay_seconds: 60,
            policy_bundle_long_poll_seconds: 0,
            policy_bundle_allow_rollback: false,
            policy_git_allowed_signers: None,
            policy_engine: PolicyEngine::default(),
            policy_hard_limit_ms: 250,
            policy_stuck_threads: 4,
            opa_url: None,
            opa_timeout_ms: 100,
        }
    }
}

/// What decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PolicyEngine {
    /// The engine in this program, by the policies in `policy_dir` or `policy_bundle`.
    #[default]
    Embedded,
    /// The OPA at `opa_url`, by whatever it runs; when it does not answer, everything is denied.
    Opa,
    /// The embedded engine; the OPA at `opa_url` is asked too, without influence, and
    /// disagreements are recorded.
    Shadow,
}

impl Section for Policy {
    type Built = Decider;

    fn check(&self, problems: &mut Problems) {
        let (min, max) =
            (self.policy_bundle_min_delay_seconds, self.policy_bundle_max_delay_seconds);
        if min > max {
            problems.add(
                format!("`policy_bundle_max_delay_seconds: {max}` is less than the least delay"),
                format!("set it to {min} (`policy_bundle_min_delay_seconds`) or more"),
            );
        }
    }

    fn build(&self, problems: &mut Problems) -> Option<Decider> {
        let engine = self.engine(problems)?;
        let limits =
            SourceLimits { v0_compatible: self.policy_v0_compatible, ..SourceLimits::default() };
        let evaluation = EmbeddedConfig {
            hard_limit: Duration::from_millis(self.policy_hard_limit_ms),
            stuck_threads: self.policy_stuck_threads,
            limits,
            ..EmbeddedConfig::default()
        };
        Some(Decider { engine, evaluation })
    }
}

impl Policy {
    /// What decides; each part that is missing or unsafe is a problem of its own.
    fn engine(&self, problems: &mut Problems) -> Option<Engine> {
        let engine = self.policy_engine;
        if engine == PolicyEngine::Embedded {
            if self.opa_url.is_some() {
                problems.add(
                    "`opa_url` is set, and `policy_engine: embedded` asks no OPA",
                    "set `policy_engine: opa` or `policy_engine: shadow`, or remove `opa_url`",
                );
            }
            return problems.keep(self.origin()).map(Engine::Embedded);
        }
        let opa = problems.keep(self.opa());
        if engine == PolicyEngine::Opa {
            return opa.map(Engine::Opa);
        }
        let origin = problems.keep(self.origin());
        origin.zip(opa).map(|(origin, opa)| Engine::Shadow(origin, opa))
    }

    fn opa(&self) -> Result<OpaConfig, Problem> {
        let fix = "set `opa_url: http://127.0.0.1:8181` (or SENTINEL_OPA_URL) to an OPA beside this \
                   server, or `https://opa.example.com` to one on another machine";
        let Some(url) = &self.opa_url else {
            return Err(Problem::new(
                "`policy_engine` needs an OPA, and `opa_url` is missing",
                fix,
            ));
        };
        // The address may contain a password, so it is not repeated.
        OpaConfig::new(url, Duration::from_millis(self.opa_timeout_ms))
            .map_err(|error| Problem::new(format!("`opa_url` cannot be used: {error}"), fix))
    }

    /// Where the policies of the embedded engine come from.
    fn origin(&self) -> Result<Origin, Problem> {
        match (&self.policy_bundle, &self.policy_dir) {
            (Some(_), Some(_)) => Err(Problem::new(
                "`policy_dir` and `policy_bundle` are both set, and one of them must decide",
                "remove one of them",
            )),
            (Some(address), None) => bundle::source(self, address).map(Origin::Bundle),
            (None, _) => {
                bundle::refuse_without_bundle(self)?;
                let watched = self.policy_dir_watched;
                self.directory().map(|dir| Origin::Directory { dir, watched })
            }
        }
    }

    fn directory(&self) -> Result<PathBuf, Problem> {
        let Some(dir) = &self.policy_dir else {
            let fix = "set `policy_dir` (or SENTINEL_POLICY_DIR) to a directory with *.rego files, \
                       or `policy_bundle` to a bundle";
            return Err(Problem::new("`policy_dir` is missing", fix));
        };
        if dir.is_dir() {
            return Ok(dir.clone());
        }
        let what = format!("the policy directory `{}` does not exist", dir.display());
        Err(Problem::new(what, "create it, or correct `policy_dir`; without policy all is denied"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opa_is_named_where_one_is_asked_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let of = |policy_engine, with_dir: bool, opa_url: Option<&str>| {
            let mut problems = Problems::default();
            let policy = Policy {
                policy_engine,
                policy_dir: with_dir.then(|| dir.path().to_owned()),
                opa_url: opa_url.map(str::to_owned),
                ..Policy::default()
            };
            let found = policy.engine(&mut problems);
            assert_eq!(found.is_none(), !problems.is_empty(), "{problems:?}");
            found.ok_or_else(|| format!("{problems:?}"))
        };
        let url = Some("http://127.0.0.1:8181");
        let (embedded, opa, shadow) =
            (PolicyEngine::Embedded, PolicyEngine::Opa, PolicyEngine::Shadow);
        assert!(matches!(of(embedded, true, None), Ok(Engine::Embedded(_))));
        assert!(matches!(of(opa, false, url), Ok(Engine::Opa(_))));
        assert!(matches!(of(shadow, true, url), Ok(Engine::Shadow(..))));
        assert!(of(embedded, false, None).unwrap_err().contains("`policy_dir` is missing"));
        assert!(of(opa, true, None).unwrap_err().contains("`opa_url` is missing"));
        let both = of(shadow, false, None).unwrap_err();
        assert!(both.contains("`opa_url`") && both.contains("`policy_dir`"), "{both}");
        let clear = of(opa, false, Some("http://opa.example:8181")).unwrap_err();
        assert!(clear.contains("to another machine"), "{clear}");
        let secret = of(opa, false, Some("https://u:hunter2@opa.example")).unwrap_err();
        assert!(secret.contains("has a user") && !secret.contains("hunter2"), "{secret}");
    }
}

//! The configuration of `sentinel serve`: one YAML file, every field also an environment variable.

mod document;
pub(crate) mod keys;
mod kind;
pub(crate) mod load;
pub(crate) mod log_level;
pub(crate) mod problems;
#[cfg(test)]
mod reference;
mod supply;
mod transparency;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use sentinel_policy::{EmbeddedConfig, SourceLimits};
use sentinel_service::attest::Attest;
use serde::{Deserialize, Serialize};

pub(crate) use self::document::nearest;
use crate::runtime::logging::LogFormat;

/// Configuration of `sentinel serve`. Every field can also be given as an environment variable,
/// `SENTINEL_` followed by the field's name in capitals; the variable wins over the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Sentinel MCP configuration")]
pub(crate) struct Config {
    /// Address and port to listen on. An address other than loopback also needs
    /// `tls_terminated_upstream` and `allowed_hosts`.
    #[serde(default = "default_listen")]
    pub(crate) listen: SocketAddr,
    /// Address and port where operators and administrators are served, and no other caller, beside
    /// `listen`: with 256 connections of its own, so that nothing that happens there keeps them out.
    /// An address other than loopback also needs `tls_terminated_upstream`.
    #[serde(default)]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Address and port where Envoy asks by gRPC (`ext_authz`), without TLS; nowhere unless stated.
    /// An address other than loopback also needs `tls_terminated_upstream`.
    #[serde(default)]
    pub(crate) ext_authz_listen: Option<SocketAddr>,
    /// Where decisions, manifests and the registry are kept: `sqlite:///absolute/path` for one
    /// server, `postgres://user:password@host/database?sslmode=verify-full` for one or more.
    /// Required.
    #[serde(default)]
    pub(crate) database_url: Option<String>,
    /// A read replica of the PostgreSQL database, for the audit and other listings. What it
    /// answers may lag behind.
    #[serde(default)]
    pub(crate) database_read_url: Option<String>,
    /// Connections to PostgreSQL that listings and changes of this server share, for each of the two
    /// addresses. Up to seven more have tasks of their own: commits, kills and readiness, listening.
    #[serde(default = "default_database_connections")]
    #[schemars(range(min = 4, max = 1000))]
    pub(crate) database_connections: u32,
    /// Milliseconds that one statement may take in PostgreSQL before it fails, and the check that
    /// waits for it is denied.
    #[serde(default = "default_statement_timeout")]
    #[schemars(range(min = 100, max = 60_000))]
    pub(crate) database_statement_timeout_ms: u64,
    /// Where past months of decisions are archived: `file:///absolute/directory` that all servers
    /// share, or `s3://bucket/folder` with credentials in the usual `AWS_…` variables. A month is
    /// removed from PostgreSQL only after its archive was read back and compared. Without it every
    /// decision stays in the database.
    #[serde(default)]
    pub(crate) audit_archive_url: Option<String>,
    /// Months of decisions that stay in PostgreSQL besides the current one when
    /// `audit_archive_url` is set; 12 unless stated.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1200))]
    pub(crate) audit_keep_months: Option<u32>,
    /// A Redis that all servers share, `redis://host:6379` or `rediss://…` with TLS: carries events
    /// between them and counts rate limits for all of them. No guarantee rests on it.
    #[serde(default)]
    pub(crate) redis_url: Option<String>,
    /// What all keys in Redis begin with; deployments that share one need one each.
    #[serde(default = "default_redis_prefix")]
    pub(crate) redis_prefix: String,
    /// Whether events of decisions and manifests travel between servers through Redis, or only
    /// kills, restores and changes of the registry.
    #[serde(default = "yes")]
    pub(crate) redis_decision_events: bool,
    /// What becomes of calls with rate limits while Redis does not answer.
    #[serde(default)]
    pub(crate) on_redis_loss: OnRedisLoss,
    /// How many servers there are, for their shares of a rate limit while none counts for all of
    /// them: Redis does not answer, or there is none. Required for rate limits on PostgreSQL without
    /// `redis_url`, and for `on_redis_loss: local_share`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) replicas: Option<u32>,
    /// Rate limits of every call, besides those that policy states: `scope:limit/period` or
    /// `scope:limit/period:burst`, the scope being `tenant`, `agent`, `tool` or `agent_tool`
    /// (`agent:100/1s`, `tenant:5000/1m:200`). As an environment variable, separated by commas.
    #[serde(default)]
    pub(crate) rate_limits: Vec<String>,
    /// Whether a call that names no agent is denied, with code `agent_required`. An agent kill covers
    /// a call by the agent that it names, and only keys bound to an agent hold it to its name; policy
    /// can demand the same of some calls, by the obligation `require_agent`.
    #[serde(default)]
    pub(crate) require_agent: bool,
    /// Seconds between two self-tests of the kill switch, in which the server kills an agent of its
    /// own and has to be denied as that. See docs/architecture.md.
    #[serde(default = "default_self_test")]
    #[schemars(range(min = 1, max = 60))]
    pub(crate) kill_self_test_seconds: u64,
    /// Directory with the policies (`*.rego`) and their data (`data.json`, `data.yaml`). This or
    /// `policy_bundle` is required unless `policy_engine` is `opa`.
    #[serde(default)]
    pub(crate) policy_dir: Option<PathBuf>,
    /// Whether `policy_dir` is loaded anew when a file in it has changed and none changes for a
    /// second; without it only on SIGHUP.
    #[serde(default)]
    pub(crate) policy_dir_watched: bool,
    /// Whether policy that states no version of Rego (`import rego.v1`, or `rego_version` in its
    /// manifest) is v0 in place of v1.
    #[serde(default)]
    pub(crate) policy_v0_compatible: bool,
    /// Where a bundle with the policies is, in place of `policy_dir`: `file:///path/bundle.tar.gz`,
    /// `https://…`, `s3://bucket/key` with credentials in the usual `AWS_…` variables, or a
    /// directory of a Git repository, `git+https://…`, `git+ssh://…` or `git+file:///…`, with
    /// `#branch`, `#tag` or `#branch:directory` behind it (`#main` unless stated).
    #[serde(default)]
    pub(crate) policy_bundle: Option<String>,
    /// Public keys in PEM, of which one must have signed the bundle; for `HS256` and its like the
    /// secret. Without it only unsigned bundles are taken.
    #[serde(default)]
    pub(crate) policy_bundle_key_file: Option<PathBuf>,
    /// Algorithm of those keys, such as `PS256` or `HS256`; unless stated `RS256`, `ES256`, `ES384`,
    /// `ES512` or `EdDSA`, by their type.
    #[serde(default)]
    pub(crate) policy_bundle_algorithm: Option<String>,
    /// Scope that the signature of the bundle must state.
    #[serde(default)]
    pub(crate) policy_bundle_scope: Option<String>,
    /// File with the token that is sent to the server of the bundle or the repository; read anew
    /// each time.
    #[serde(default)]
    pub(crate) policy_bundle_token_file: Option<PathBuf>,
    /// Directory, of this server alone, in which the last good bundle is kept for a start without
    /// its source, and what was in force before, so that it cannot be brought back. Required with
    /// `policy_bundle`.
    #[serde(default)]
    pub(crate) policy_bundle_dir: Option<PathBuf>,
    /// Least seconds between two questions for a new bundle. A file is looked at every 2 seconds.
    #[serde(default = "default_min_delay")]
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) policy_bundle_min_delay_seconds: u64,
    /// Most seconds between two questions for a new bundle, also after failures.
    #[serde(default = "default_max_delay")]
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) policy_bundle_max_delay_seconds: u64,
    /// Seconds that a server may keep a question until there is a new bundle (long polling), if it
    /// can; 0 asks without waiting.
    #[serde(default)]
    #[schemars(range(max = 3600))]
    pub(crate) policy_bundle_long_poll_seconds: u64,
    /// Lets a bundle come into force that is older than one that was in force.
    #[serde(default)]
    pub(crate) policy_bundle_allow_rollback: bool,
    /// Who may sign commits, in the form of `ssh-keygen` (`name ssh-ed25519 AAAA…`); with it, commits
    /// that none of them signed by SSH key are refused. For `git+…` only.
    #[serde(default)]
    pub(crate) policy_git_allowed_signers: Option<PathBuf>,
    /// What decides: the embedded engine, an OPA, or the embedded engine with an OPA that is
    /// compared with it.
    #[serde(default)]
    pub(crate) policy_engine: PolicyEngine,
    /// Milliseconds that one evaluation of the embedded engine may take, whatever the policy does,
    /// before the check is denied with `policy_timeout` and its thread counts as stuck. (Between
    /// two steps of the interpreter, a rule is ended after 5 ms.)
    #[serde(default = "default_policy_hard_limit")]
    #[schemars(range(min = 20, max = 10_000))]
    pub(crate) policy_hard_limit_ms: u64,
    /// Stuck threads that are replaced at one time. With one more the server is not ready
    /// (`policy_stuck`) and denies whatever has to be evaluated with `policy_timeout`, until one of
    /// them has come back; kills and everything else go on.
    #[serde(default = "default_policy_stuck_threads")]
    #[schemars(range(max = 64))]
    pub(crate) policy_stuck_threads: usize,
    /// Where the API of that OPA is: `http://127.0.0.1:8181`, or `https://…` on another machine.
    /// Required when `policy_engine` is `opa` or `shadow`.
    #[serde(default)]
    pub(crate) opa_url: Option<String>,
    /// Milliseconds that OPA may take for one decision before the check is denied with
    /// `policy_timeout`.
    #[serde(default = "default_opa_timeout")]
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) opa_timeout_ms: u64,
    /// ECDSA P-256 private key that signs manifests, as a PKCS#8 PEM file that only its owner can
    /// read, encrypted or not. This, `signing_key_env` or `signing_key_service` is required.
    #[serde(default)]
    pub(crate) signing_key_file: Option<PathBuf>,
    /// Which decisions are signed and logged before they are answered, besides being recorded:
    /// `off`, `denials` or `all`. Each costs a signature and some 3 KB.
    #[serde(default)]
    pub(crate) attest_decisions: AttestDecisions,
    /// Name of the environment variable that holds that key, as PEM.
    #[serde(default)]
    pub(crate) signing_key_env: Option<String>,
    /// Service that holds that key and signs with it: `vault://host:8200/transit/key`,
    /// `awskms:///alias/key` or `gcpkms://projects/…/cryptoKeyVersions/1`; see docs/signing-keys.md.
    #[serde(default)]
    pub(crate) signing_key_service: Option<String>,
    /// File with the passphrase of an encrypted signing key, which only its owner can read.
    #[serde(default)]
    pub(crate) signing_key_passphrase_file: Option<PathBuf>,
    /// Name of the environment variable that holds that passphrase.
    #[serde(default)]
    pub(crate) signing_key_passphrase_env: Option<String>,
    /// Hours for which each server has a key of its own certified by the signing key, replaced at
    /// half of that time: manifests are signed in memory. 24 for a key with a service; unless stated
    /// a key in a file signs manifests itself.
    #[serde(default)]
    #[schemars(range(min = 1, max = 8760))]
    pub(crate) replica_key_hours: Option<u32>,
    /// Public keys, in PEM, that signed or certified before: what they vouch for stays verified.
    #[serde(default)]
    pub(crate) retired_key_files: Vec<PathBuf>,
    /// Ed25519 private key that signs the checkpoints of the transparency log, as a PKCS#8 PEM file
    /// that only its owner can read, encrypted or not. Unless this, `log_key_env` or
    /// `log_key_service` is set, the database keeps a key.
    #[serde(default)]
    pub(crate) log_key_file: Option<PathBuf>,
    /// Name of the environment variable that holds that key, as PEM.
    #[serde(default)]
    pub(crate) log_key_env: Option<String>,
    /// Service that holds that key and signs with it, in the forms of `signing_key_service`.
    #[serde(default)]
    pub(crate) log_key_service: Option<String>,
    /// Key that the log had under its earlier name, a file like `log_key_file` without a passphrase:
    /// ends that log. Needed until it is ended, and only for a key that the database does not keep.
    #[serde(default)]
    pub(crate) log_previous_key_file: Option<PathBuf>,
    /// File with the passphrase of an encrypted log key, which only its owner can read.
    #[serde(default)]
    pub(crate) log_key_passphrase_file: Option<PathBuf>,
    /// Name of the environment variable that holds that passphrase.
    #[serde(default)]
    pub(crate) log_key_passphrase_env: Option<String>,
    /// File with the token for Vault or for Google's KMS, read anew each time. Without it, Vault's is
    /// that of VAULT_TOKEN, and Google's that of the usual credentials.
    #[serde(default)]
    pub(crate) key_service_token_file: Option<PathBuf>,
    /// 32 random bytes in hexadecimal or base64 (`openssl rand -hex 32`), in a file that only its owner
    /// can read: wraps the keys with which the payloads of tenants are kept. Without it none are kept.
    /// Whoever loses it has lost them.
    #[serde(default)]
    pub(crate) payload_key_file: Option<PathBuf>,
    /// Name of the transparency log: a host name of yours that stands for it, without port and path
    /// (`log.example.com`). Nothing is fetched from there; verifiers know the log by it. With another
    /// name than before, the log is ended and goes on as a new one.
    #[serde(default = "default_log_origin")]
    pub(crate) log_origin: String,
    /// Lets everybody read the transparency log and its trusted root, without a key. It holds hashes,
    /// signatures and public keys, and shows how much is signed and when.
    #[serde(default)]
    pub(crate) public_log: bool,
    /// Where the transparency log is copied to, for others to read: `file:///absolute/directory`
    /// that exists, or `s3://bucket/folder` with credentials in the usual `AWS_…` variables. See
    /// docs/transparency.md.
    #[serde(default)]
    pub(crate) log_mirror_url: Option<String>,
    /// Witnesses that are asked to cosign checkpoints, each as its address and its key:
    /// `https://witness.example witness.example/w+1f9c…+BAf…`. As an environment variable, separated
    /// by commas.
    #[serde(default)]
    pub(crate) log_witnesses: Vec<String>,
    /// How many of the witnesses must have cosigned a checkpoint before bundles carry it. Required
    /// with `log_witnesses`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64))]
    pub(crate) log_witness_quorum: Option<u32>,
    /// A Rekor v2 into which every leaf of the log is entered too, such as
    /// `https://log2025-1.rekor.sigstore.dev`. It learns hashes, signatures and public keys.
    #[serde(default)]
    pub(crate) rekor_url: Option<String>,
    /// File with a Sigstore trusted root in which that Rekor's key is. Required with `rekor_url`.
    #[serde(default)]
    pub(crate) rekor_key: Option<PathBuf>,
    /// A timestamp authority (RFC 3161) that is asked for the time of every signature, such as
    /// `https://timestamp.sigstore.dev/api/v1/timestamp`. It learns hashes.
    #[serde(default)]
    pub(crate) timestamp_url: Option<String>,
    /// File with that authority's certificates in PEM: that which signs first, the root last.
    /// Required with `timestamp_url`.
    #[serde(default)]
    pub(crate) timestamp_trust: Option<PathBuf>,
    /// States that a proxy in front terminates TLS. There is no TLS listener yet, so without it
    /// only loopback addresses are accepted: keys would cross the network in clear text.
    #[serde(default)]
    pub(crate) tls_terminated_upstream: bool,
    /// Host names under which clients reach the server (`sentinel.example.com`); requests for
    /// other hosts are refused. Required unless listening on loopback, where the names of loopback
    /// are the default. As an environment variable, separated by commas.
    #[serde(default)]
    pub(crate) allowed_hosts: Vec<String>,
    /// Whether the health checks of registered tools are polled.
    #[serde(default = "yes")]
    pub(crate) health_checks: bool,
    /// Seconds between two polls of a tool's health check.
    #[serde(default = "default_interval")]
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) health_check_interval_seconds: u64,
    /// Networks in which a tool's health check may lie.
    #[serde(default)]
    pub(crate) health_check_networks: HealthNetworks,
    /// Checks under way, and manifests that wait to be written, before more are refused with 503
    /// `overloaded`.
    #[serde(default = "default_queue")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_waiting: usize,
    /// Microseconds that decisions wait, under load, for others to be committed with them. Without
    /// it: half of what the last commit took, and a millisecond at most.
    #[serde(default)]
    #[schemars(range(max = 100_000))]
    pub(crate) commit_delay_us: Option<u64>,
    /// Connections held at one time, for each of `listen` and `ext_authz_listen`. When there are as
    /// many, those on which nothing is asked give way to new ones; when all are busy, new ones are
    /// served for operators and administrators only, 64 at a time.
    #[serde(default = "default_connections")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_connections: usize,
    /// Connections from one address, those of `trusted_proxies` aside; as many as there are unless
    /// stated, since an address may be that of a proxy.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_connections_per_address: Option<usize>,
    /// Proxies in front of this server, as addresses or networks (`10.0.0.0/8`): of what they send,
    /// the last address in `X-Forwarded-For` that is not one of them counts as the client's. As an
    /// environment variable, separated by commas.
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<String>,
    /// Requests without a valid key that an address may make in a second, and twenty times as many at
    /// once, before it is answered 429; 0 for no limit. Requests with a valid key are not counted.
    #[serde(default = "default_unauthenticated")]
    #[schemars(range(max = 1_000_000))]
    pub(crate) max_unauthenticated_per_second: u32,
    /// Event streams and WebSockets open at one time. One in 16 is for operators and administrators
    /// only; one tenant has half of them at most, as has one address when `trusted_proxies` is set.
    #[serde(default = "default_streams")]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_event_streams: usize,
    /// Event streams and WebSockets of one key.
    #[serde(default = "default_streams_per_key")]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_event_streams_per_key: usize,
    /// Seconds that requests in flight get to finish after SIGTERM.
    #[serde(default = "default_grace")]
    #[schemars(range(max = 3600))]
    pub(crate) shutdown_grace_seconds: u64,
    /// Seconds between SIGTERM and the refusal of new connections, in which `/readyz` answers 503
    /// and everything else goes on: time for a load balancer to look elsewhere.
    #[serde(default = "default_drain")]
    #[schemars(range(max = 3600))]
    pub(crate) drain_seconds: u64,
    /// Form of the logs; by default text on a terminal and JSON elsewhere.
    #[serde(default)]
    pub(crate) log_format: Option<LogFormat>,
    /// Least severe level of the operational log: `off`, `error`, `warn`, `info`, `debug` or `trace`,
    /// and for single modules others: `info,sentinel_policy=debug`.
    #[serde(default = "default_level")]
    pub(crate) log_level: String,
    /// Whether the event log has a line for every check. Kills, registrations and signatures are
    /// always in it, and the audit has every decision in any case.
    #[serde(default = "yes")]
    pub(crate) log_checks: bool,
}

/// Networks that health checks may dial. The metadata addresses of clouds are never dialled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HealthNetworks {
    /// Public addresses only.
    #[default]
    Public,
    /// Private, loopback and link-local addresses too.
    PublicAndPrivate,
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

/// The answer to calls with rate limits that cannot be counted for all servers. Never unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnRedisLoss {
    /// They are denied, with code `rate_limiter_unavailable`.
    #[default]
    Deny,
    /// Each server grants its share: the limit divided by `replicas`.
    LocalShare,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8000))
}

const fn yes() -> bool {
    true
}

const fn default_interval() -> u64 {
    30
}

const fn default_database_connections() -> u32 {
    12
}

const fn default_statement_timeout() -> u64 {
    5000
}

fn default_redis_prefix() -> String {
    "sentinel".to_owned()
}

const fn default_streams() -> usize {
    1000
}

const fn default_streams_per_key() -> usize {
    100
}

const fn default_unauthenticated() -> u32 {
    50
}

const fn default_self_test() -> u64 {
    60
}

const fn default_queue() -> usize {
    2048
}

const fn default_connections() -> usize {
    8192
}

/// Which decisions are signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AttestDecisions {
    #[default]
    Off,
    Denials,
    All,
}

impl From<AttestDecisions> for Attest {
    fn from(which: AttestDecisions) -> Self {
        match which {
            AttestDecisions::Off => Self::Off,
            AttestDecisions::Denials => Self::Denials,
            AttestDecisions::All => Self::All,
        }
    }
}

/// Name of the log of a deployment that has given it none.
pub(crate) const DEFAULT_LOG_ORIGIN: &str = "log.localhost";

fn default_log_origin() -> String {
    DEFAULT_LOG_ORIGIN.to_owned()
}

const fn default_opa_timeout() -> u64 {
    100
}

const fn default_policy_hard_limit() -> u64 {
    250
}

const fn default_policy_stuck_threads() -> usize {
    4
}

const fn default_min_delay() -> u64 {
    30
}

const fn default_max_delay() -> u64 {
    60
}

const fn default_drain() -> u64 {
    3
}

const fn default_grace() -> u64 {
    10
}

fn default_level() -> String {
    "info".to_owned()
}

impl Config {
    /// How the embedded engine loads policy and evaluates it.
    pub(crate) fn evaluation(&self) -> EmbeddedConfig {
        EmbeddedConfig {
            hard_limit: Duration::from_millis(self.policy_hard_limit_ms),
            stuck_threads: self.policy_stuck_threads,
            limits: SourceLimits {
                v0_compatible: self.policy_v0_compatible,
                ..SourceLimits::default()
            },
            ..EmbeddedConfig::default()
        }
    }
}

impl Default for Config {
    #[expect(clippy::too_many_lines, reason = "a line for each field")]
    fn default() -> Self {
        Self {
            listen: default_listen(),
            admin_listen: None,
            ext_authz_listen: None,
            database_url: None,
            database_read_url: None,
            database_connections: default_database_connections(),
            database_statement_timeout_ms: default_statement_timeout(),
            audit_archive_url: None,
            audit_keep_months: None,
            redis_url: None,
            redis_prefix: default_redis_prefix(),
            redis_decision_events: true,
            on_redis_loss: OnRedisLoss::default(),
            replicas: None,
            require_agent: false,
            kill_self_test_seconds: default_self_test(),
            rate_limits: Vec::new(),
            policy_dir: None,
            policy_dir_watched: false,
            policy_v0_compatible: false,
            policy_bundle: None,
            policy_bundle_key_file: None,
            policy_bundle_algorithm: None,
            policy_bundle_scope: None,
            policy_bundle_token_file: None,
            policy_bundle_dir: None,
            policy_bundle_min_delay_seconds: default_min_delay(),
            policy_bundle_max_delay_seconds: default_max_delay(),
            policy_bundle_long_poll_seconds: 0,
            policy_bundle_allow_rollback: false,
            policy_git_allowed_signers: None,
            policy_engine: PolicyEngine::default(),
            policy_hard_limit_ms: default_policy_hard_limit(),
            policy_stuck_threads: default_policy_stuck_threads(),
            opa_url: None,
            opa_timeout_ms: default_opa_timeout(),
            signing_key_file: None,
            attest_decisions: AttestDecisions::default(),
            signing_key_env: None,
            signing_key_service: None,
            signing_key_passphrase_file: None,
            signing_key_passphrase_env: None,
            replica_key_hours: None,
            retired_key_files: Vec::new(),
            log_key_file: None,
            log_key_env: None,
            log_key_service: None,
            log_previous_key_file: None,
            log_key_passphrase_file: None,
            log_key_passphrase_env: None,
            key_service_token_file: None,
            payload_key_file: None,
            log_origin: default_log_origin(),
            public_log: false,
            log_mirror_url: None,
            log_witnesses: Vec::new(),
            log_witness_quorum: None,
            rekor_url: None,
            rekor_key: None,
            timestamp_url: None,
            timestamp_trust: None,
            tls_terminated_upstream: false,
            allowed_hosts: Vec::new(),
            health_checks: true,
            health_check_interval_seconds: default_interval(),
            health_check_networks: HealthNetworks::default(),
            max_waiting: default_queue(),
            commit_delay_us: None,
            max_connections: default_connections(),
            max_connections_per_address: None,
            trusted_proxies: Vec::new(),
            max_unauthenticated_per_second: default_unauthenticated(),
            max_event_streams: default_streams(),
            max_event_streams_per_key: default_streams_per_key(),
            shutdown_grace_seconds: default_grace(),
            drain_seconds: default_drain(),
            log_format: None,
            log_level: default_level(),
            log_checks: true,
        }
    }
}

/// The JSON Schema of the configuration.
pub(crate) fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}

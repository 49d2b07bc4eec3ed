//! What makes a configuration unsafe or incomplete, all at once, and how to mend each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sentinel_core::rate::RateRule;
use sentinel_http::Network;
use sentinel_policy::OpaConfig;
use sentinel_transparency::Destinations;
use url::Url;

use super::keys::{self, GivenKeys};
use super::{Config, OnRedisLoss, PolicyEngine, log_level, supply, transparency};
use crate::parts::archiving::Archiving;
use crate::parts::database::Database;
use crate::parts::fleet::{Fleet, rate_rule};
use crate::parts::payload_key;
use crate::parts::policy_engine::{Engine, Origin};

/// One reason not to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) what: String,
    pub(crate) mend: String,
}

impl Problem {
    pub(crate) fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into() }
    }
}

/// A configuration in which nothing is wrong that can be seen without opening the store.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) database: Database,
    pub(crate) archiving: Option<Archiving>,
    pub(crate) fleet: Option<Fleet>,
    pub(crate) rate_limits: Vec<RateRule>,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) engine: Engine,
    pub(crate) keys: GivenKeys,
    pub(crate) payload_key_file: Option<PathBuf>,
    pub(crate) destinations: Destinations,
}

/// Checks everything that can be checked without opening the store.
///
/// # Errors
/// Every problem found.
pub(crate) fn check(config: &Config) -> Result<Checked, Vec<Problem>> {
    let mut problems = Vec::new();
    let database = or_problem(database(config), &mut problems);
    let engine = engine(config, &mut problems);
    let keys = keys::check(config, &crate::environment::variables().collect(), &mut problems);
    let payload_key_file = or_problem(payload_key_file(config), &mut problems);
    let fleet = or_problem(fleet(config), &mut problems);
    let rate_limits = or_problem(rate_limits(config), &mut problems);
    let archiving = or_problem(archiving(config), &mut problems);
    let trusted_proxies = or_problem(trusted_proxies(config), &mut problems).unwrap_or_default();
    counting(config, &mut problems);
    let destinations = transparency::check(config, &mut problems);
    exposure(config, &mut problems);
    limits(config, &mut problems);
    match (database, archiving, fleet, rate_limits, engine, keys, payload_key_file) {
        (
            Some(database),
            Some(archiving),
            Some(fleet),
            Some(rate_limits),
            Some(engine),
            Some(keys),
            Some(payload_key_file),
        ) if problems.is_empty() => Ok(Checked {
            database,
            archiving,
            fleet,
            rate_limits,
            trusted_proxies,
            engine,
            keys,
            payload_key_file,
            destinations,
        }),
        _ => Err(problems),
    }
}

pub(super) fn or_problem<T>(found: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    found.map_err(|problem| problems.push(problem)).ok()
}

/// The database that `database_url` names.
///
/// # Errors
/// When it names none, or one that cannot be used.
pub(crate) fn database(config: &Config) -> Result<Database, Problem> {
    let example = "set `database_url: sqlite:///var/lib/sentinel/sentinel.db` for one server, or \
                   `database_url: postgres://user@host/database` for several \
                   (or SENTINEL_DATABASE_URL)";
    let Some(url) = &config.database_url else {
        return Err(Problem::new("`database_url` is missing", example));
    };
    match url.split(':').next() {
        Some("postgres" | "postgresql") => postgres(url, config),
        Some("sqlite") => sqlite(url, config, example).map(Database::Sqlite),
        // The address may contain a password, so it is not repeated.
        _ => {
            Err(Problem::new("`database_url` is no `sqlite://` or `postgres://` address", example))
        }
    }
}

fn postgres(url: &str, config: &Config) -> Result<Database, Problem> {
    for (name, url) in
        [("database_url", Some(url)), ("database_read_url", config.database_read_url.as_deref())]
    {
        let Some(url) = url else { continue };
        let parsed = Url::parse(url).map_err(|error| error.to_string());
        let unsafe_mode = match parsed {
            Ok(parsed) => unencrypted(&parsed),
            Err(error) => {
                let what = format!("`{name}` is not a PostgreSQL address: {error}");
                return Err(Problem::new(what, "write postgres://user:password@host/database"));
            }
        };
        if unsafe_mode {
            return Err(Problem::new(
                format!("`{name}` leads to another machine without verified TLS"),
                "add `?sslmode=verify-full&sslrootcert=/path/ca.pem` to it",
            ));
        }
    }
    Ok(Database::postgres(url, config))
}

/// Whether decisions and secrets could be read on their way to the server, or given to another.
/// Of a parameter that is given twice the last counts, as it does when connecting. An address
/// without a host leaves it to the environment where that is, so it is not taken for local.
fn unencrypted(url: &Url) -> bool {
    let parameter = |names: [&str; 2]| {
        let given = url.query_pairs().filter(|(key, _)| names.contains(&&**key)).last();
        given.map(|(_, value)| value.into_owned())
    };
    let host = parameter(["host", "hostaddr"]).or_else(|| url.host_str().map(str::to_owned));
    let local = host.is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host.starts_with('/')
            || host.starts_with("%2F")
            || host == "localhost"
            || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    let mode = parameter(["sslmode", "ssl-mode"]);
    !local && !matches!(mode.as_deref(), Some("verify-full" | "verify-ca"))
}

fn sqlite(url: &str, config: &Config, example: &str) -> Result<PathBuf, Problem> {
    let Some(path) = url.strip_prefix("sqlite://").map(Path::new) else {
        return Err(Problem::new("`database_url` is not a `sqlite://` address", example));
    };
    if !path.is_absolute() {
        return Err(Problem::new("the path in `database_url` is not absolute", example));
    }
    let parent = path.parent().unwrap_or(path);
    if !parent.is_dir() {
        let what = format!("the directory `{}` of the database does not exist", parent.display());
        return Err(Problem::new(what, sentinel_signers::make_directory(parent)));
    }
    if config.database_read_url.is_some() {
        return Err(Problem::new(
            "`database_read_url` is for PostgreSQL, and `database_url` names SQLite",
            "remove `database_read_url`",
        ));
    }
    Ok(path.to_owned())
}

fn archiving(config: &Config) -> Result<Option<Archiving>, Problem> {
    let Some(url) = &config.audit_archive_url else {
        return match config.audit_keep_months {
            None => Ok(None),
            Some(months) => Err(Problem::new(
                format!("`audit_keep_months: {months}` without `audit_archive_url` does nothing"),
                "set `audit_archive_url` to where older months go, or remove `audit_keep_months`",
            )),
        };
    };
    let on_sqlite = config.database_url.as_ref().is_some_and(|url| url.starts_with("sqlite:"));
    if on_sqlite {
        return Err(Problem::new(
            "`audit_archive_url` is for PostgreSQL, and `database_url` names SQLite",
            "remove `audit_archive_url`; `sentinel decisions --export FILE` copies decisions",
        ));
    }
    Archiving::of(url, config.audit_keep_months, crate::environment::variables()).map(Some).map_err(
        |error| {
            Problem::new(
                format!("`audit_archive_url` cannot be used: {error}"),
                "set `audit_archive_url: file:///var/lib/sentinel/archive` to a directory that \
             exists, or `audit_archive_url: s3://bucket/folder`",
            )
        },
    )
}

fn fleet(config: &Config) -> Result<Option<Fleet>, Problem> {
    Fleet::of(config).map_err(|error| {
        Problem::new(
            format!("`redis_url` cannot be used: {error}"),
            "set `redis_url: redis://127.0.0.1:6379`, or `rediss://host:6379` with TLS",
        )
    })
}

fn rate_limits(config: &Config) -> Result<Vec<RateRule>, Problem> {
    let rule = |text: &String| {
        rate_rule(text).map_err(|error| {
            Problem::new(
                format!("`{text}` in `rate_limits` is not a rate limit: {error}"),
                "write `scope:limit/period`, as in `agent:100/1s` or `tenant:5000/1m:200`",
            )
        })
    };
    config.rate_limits.iter().map(rule).collect()
}

/// Servers that count rate limits each for itself must know how many they are: without that, each
/// grants the whole.
fn counting(config: &Config, problems: &mut Vec<Problem>) {
    let several = config.database_url.as_deref().is_some_and(|url| url.starts_with("postgres"));
    if !several || config.replicas.is_some() {
        return;
    }
    let mend = "set `replicas` (or SENTINEL_REPLICAS) to the number of servers, 1 for a single one";
    if config.redis_url.is_none() && !config.rate_limits.is_empty() {
        problems.push(Problem::new(
            "`rate_limits` without `redis_url` are counted by each server for itself, and \
             `replicas` does not say how many there are",
            format!("{mend}; or set `redis_url`, where they count together"),
        ));
    }
    if config.redis_url.is_some() && config.on_redis_loss == OnRedisLoss::LocalShare {
        problems.push(Problem::new(
            "`on_redis_loss: local_share` divides rate limits by `replicas`, which is not set",
            mend,
        ));
    }
}

fn trusted_proxies(config: &Config) -> Result<Vec<Network>, Problem> {
    let network = |text: &String| {
        text.parse().map_err(|_| {
            Problem::new(
                format!("`{text}` in `trusted_proxies` is neither an address nor a network"),
                "write addresses as `10.0.0.7` and networks as `10.0.0.0/8`",
            )
        })
    };
    config.trusted_proxies.iter().map(network).collect()
}

/// What decides; each part that is missing or unsafe is a problem of its own.
pub(crate) fn engine(config: &Config, problems: &mut Vec<Problem>) -> Option<Engine> {
    let engine = config.policy_engine;
    if engine == PolicyEngine::Embedded {
        if config.opa_url.is_some() {
            problems.push(Problem::new(
                "`opa_url` is set, and `policy_engine: embedded` asks no OPA",
                "set `policy_engine: opa` or `policy_engine: shadow`, or remove `opa_url`",
            ));
        }
        return or_problem(origin(config), problems).map(Engine::Embedded);
    }
    let opa = or_problem(opa(config), problems);
    if engine == PolicyEngine::Opa {
        return opa.map(Engine::Opa);
    }
    let origin = or_problem(origin(config), problems);
    origin.zip(opa).map(|(origin, opa)| Engine::Shadow(origin, opa))
}

fn opa(config: &Config) -> Result<OpaConfig, Problem> {
    let mend = "set `opa_url: http://127.0.0.1:8181` (or SENTINEL_OPA_URL) to an OPA beside this \
                server, or `https://opa.example.com` to one on another machine";
    let Some(url) = &config.opa_url else {
        return Err(Problem::new("`policy_engine` needs an OPA, and `opa_url` is missing", mend));
    };
    // The address may contain a password, so it is not repeated.
    OpaConfig::new(url, Duration::from_millis(config.opa_timeout_ms))
        .map_err(|error| Problem::new(format!("`opa_url` cannot be used: {error}"), mend))
}

/// Where the policies of the embedded engine come from.
fn origin(config: &Config) -> Result<Origin, Problem> {
    match (&config.policy_bundle, &config.policy_dir) {
        (Some(_), Some(_)) => Err(Problem::new(
            "`policy_dir` and `policy_bundle` are both set, and one of them must decide",
            "remove one of them",
        )),
        (Some(address), None) => supply::check(config, address).map(Origin::Bundle),
        (None, _) => {
            supply::refuse_without_bundle(config)?;
            let watched = config.policy_dir_watched;
            policy_dir(config).map(|dir| Origin::Directory { dir, watched })
        }
    }
}

fn policy_dir(config: &Config) -> Result<PathBuf, Problem> {
    let Some(dir) = &config.policy_dir else {
        let mend = "set `policy_dir` (or SENTINEL_POLICY_DIR) to a directory with *.rego files, or \
                    `policy_bundle` to a bundle";
        return Err(Problem::new("`policy_dir` is missing", mend));
    };
    if dir.is_dir() {
        return Ok(dir.clone());
    }
    let what = format!("the policy directory `{}` does not exist", dir.display());
    Err(Problem::new(what, "create it, or correct `policy_dir`; without policy all is denied"))
}

fn payload_key_file(config: &Config) -> Result<Option<PathBuf>, Problem> {
    let Some(path) = &config.payload_key_file else { return Ok(None) };
    let loaded = payload_key::load(path);
    loaded.map_err(|error| Problem::new(error.to_string(), error.mend()))?;
    Ok(Some(path.clone()))
}

fn exposure(config: &Config, problems: &mut Vec<Problem>) {
    let listeners = [
        ("listen", Some(config.listen)),
        ("admin_listen", config.admin_listen),
        ("ext_authz_listen", config.ext_authz_listen),
    ];
    for (name, address) in listeners {
        let Some(address) = address.filter(|address| !address.ip().is_loopback()) else { continue };
        if config.tls_terminated_upstream {
            continue;
        }
        problems.push(Problem::new(
            format!("`{name}: {address}` would carry API keys in clear text"),
            "there is no TLS listener yet: listen on loopback, or put a proxy that terminates TLS \
             in front and set `tls_terminated_upstream: true`",
        ));
    }
    if !config.listen.ip().is_loopback() && config.allowed_hosts.is_empty() {
        problems.push(Problem::new(
            format!("`listen: {}` without `allowed_hosts` answers to any host name", config.listen),
            "set `allowed_hosts: [sentinel.example.com]` (or SENTINEL_ALLOWED_HOSTS) to the names \
             that clients use",
        ));
    }
}

fn limits(config: &Config, problems: &mut Vec<Problem>) {
    let bounds = [
        ("health_check_interval_seconds", config.health_check_interval_seconds, 1, 86_400),
        ("max_waiting", config.max_waiting as u64, 1, 1_000_000),
        ("commit_delay_us", config.commit_delay_us.unwrap_or(0), 0, 100_000),
        ("max_connections", config.max_connections as u64, 1, 1_000_000),
        ("shutdown_grace_seconds", config.shutdown_grace_seconds, 0, 3600),
        ("drain_seconds", config.drain_seconds, 0, 3600),
        ("database_connections", config.database_connections.into(), 4, 1000),
        ("database_statement_timeout_ms", config.database_statement_timeout_ms, 100, 60_000),
        ("policy_hard_limit_ms", config.policy_hard_limit_ms, 20, 10_000),
        ("policy_stuck_threads", config.policy_stuck_threads as u64, 0, 64),
        ("opa_timeout_ms", config.opa_timeout_ms, 1, 10_000),
        ("policy_bundle_min_delay_seconds", config.policy_bundle_min_delay_seconds, 1, 86_400),
        (
            "policy_bundle_max_delay_seconds",
            config.policy_bundle_max_delay_seconds,
            config.policy_bundle_min_delay_seconds,
            86_400,
        ),
        ("policy_bundle_long_poll_seconds", config.policy_bundle_long_poll_seconds, 0, 3600),
        (
            "max_connections_per_address",
            config.max_connections_per_address.unwrap_or(1) as u64,
            1,
            1_000_000,
        ),
        (
            "max_unauthenticated_per_second",
            config.max_unauthenticated_per_second.into(),
            0,
            1_000_000,
        ),
        ("max_event_streams", config.max_event_streams as u64, 1, 100_000),
        ("max_event_streams_per_key", config.max_event_streams_per_key as u64, 1, 100_000),
        ("replicas", config.replicas.unwrap_or(1).into(), 1, 10_000),
        ("replica_key_hours", config.replica_key_hours.unwrap_or(1).into(), 1, 8760),
        ("audit_keep_months", config.audit_keep_months.unwrap_or(1).into(), 1, 1200),
    ];
    for (name, value, least, most) in bounds {
        if !(least..=most).contains(&value) {
            let what = format!("`{name}: {value}` is out of range");
            problems.push(Problem::new(what, format!("set it between {least} and {most}")));
        }
    }
    if let Err(error) = log_level::check(&config.log_level) {
        let what = format!("`log_level: {}` cannot be used: {error}", config.log_level);
        problems.push(Problem::new(what, log_level::HELP));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archiving_of(url: Option<&str>, keep: Option<u32>) -> Result<Option<Archiving>, Problem> {
        archiving(&Config {
            database_url: Some("postgres://u@localhost/d".to_owned()),
            audit_archive_url: url.map(str::to_owned),
            audit_keep_months: keep,
            ..Config::default()
        })
    }

    fn counted(config: Config) -> Vec<String> {
        let mut problems = Vec::new();
        let database_url = Some("postgres://u@localhost/d".to_owned());
        counting(&Config { database_url, ..config }, &mut problems);
        problems.into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn servers_that_count_for_themselves_know_how_many_they_are() {
        let limited =
            || Config { rate_limits: vec!["agent:100/1s".to_owned()], ..Config::default() };
        let told = counted(limited());
        assert!(told.len() == 1 && told[0].contains("`rate_limits` without `redis_url`"));
        assert!(counted(Config { replicas: Some(1), ..limited() }).is_empty());
        assert!(counted(Config::default()).is_empty());
        let redis = || Config { redis_url: Some("redis://127.0.0.1".to_owned()), ..limited() };
        assert!(counted(redis()).is_empty());
        let shared = || Config { on_redis_loss: OnRedisLoss::LocalShare, ..redis() };
        let told = counted(shared());
        assert!(told.len() == 1 && told[0].contains("local_share"), "{told:?}");
        assert!(counted(Config { replicas: Some(3), ..shared() }).is_empty());
    }

    #[test]
    fn an_archive_is_somewhere_or_nothing_is_removed() {
        assert!(archiving_of(None, None).unwrap().is_none());
        let dir = tempfile::tempdir().unwrap();
        let url = url::Url::from_directory_path(dir.path()).unwrap().to_string();
        assert_eq!(archiving_of(Some(&url), None).unwrap().unwrap().keep_months, 12);
        assert_eq!(archiving_of(Some("s3://b/f"), Some(1)).unwrap().unwrap().keep_months, 1);
        for (url, keep, why) in [
            (None, Some(3), "without `audit_archive_url` does nothing"),
            (Some("file:///no/such/directory"), None, "`/no/such/directory` does not exist"),
            (Some("file://host/directory"), None, "names a machine"),
            (Some("relative/directory"), None, "no address"),
            (Some("https://b.s3.amazonaws.com/"), None, "neither with `file:///` nor"),
            (Some("s3:///folder"), None, "names no bucket"),
            (Some("s3://key:hunter2@bucket/"), None, "belong into the environment"),
            (Some("s3://bucket/?secret=hunter2"), None, "belong into the environment"),
        ] {
            let problem = archiving_of(url, keep).unwrap_err();
            assert!(problem.what.contains(why), "{problem:?}");
            assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
        }
        let on_sqlite = archiving(&Config {
            database_url: Some("sqlite:///x/y.db".to_owned()),
            audit_archive_url: Some(url),
            ..Config::default()
        });
        assert!(on_sqlite.unwrap_err().what.contains("names SQLite"));
        let mut problems = Vec::new();
        limits(&Config { audit_keep_months: Some(0), ..Config::default() }, &mut problems);
        assert_eq!(problems.len(), 1, "{problems:?}");
    }

    #[test]
    fn an_opa_is_named_where_one_is_asked_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let of = |policy_engine, with_dir: bool, opa_url: Option<&str>| {
            let mut problems = Vec::new();
            let config = Config {
                policy_engine,
                policy_dir: with_dir.then(|| dir.path().to_owned()),
                opa_url: opa_url.map(str::to_owned),
                ..Config::default()
            };
            let found = engine(&config, &mut problems);
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

    #[test]
    fn an_address_of_another_machine_needs_verified_tls() {
        let refused = |url: &str| unencrypted(&Url::parse(url).unwrap());
        for local in [
            "postgres://u@localhost/d",
            "postgres://u@127.0.0.1:5432/d",
            "postgres://u@[::1]/d",
            "postgres:///d?host=/run/postgresql",
            "postgres://u@%2Frun%2Fpostgresql/d",
            "postgres://u@db.example/d?sslmode=verify-full",
        ] {
            assert!(!refused(local), "{local}");
        }
        for remote in [
            "postgres://u@db.example/d",
            "postgres://u@10.0.0.1/d?sslmode=require",
            "postgres://u@db.example/d?sslmode=verify-full&sslmode=disable",
            "postgres://u@db.example/d?sslmode=verify-full&ssl-mode=prefer",
            "postgres://u@localhost/d?hostaddr=10.0.0.1",
            "postgres://u@localhost/d?host=localhost&host=db.example",
            "postgres:///d",
            "postgres://u@localhost.example/d",
        ] {
            assert!(refused(remote), "{remote}");
        }
    }
}

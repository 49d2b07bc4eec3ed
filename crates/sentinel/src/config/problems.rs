//! What makes a configuration unsafe or incomplete, all at once, and how to mend each.

use std::path::{Path, PathBuf};

use super::Config;
use crate::signing_key;

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
    pub(crate) database: PathBuf,
    pub(crate) policy_dir: PathBuf,
    pub(crate) signing_key_file: PathBuf,
}

/// Checks everything that can be checked without opening the store.
///
/// # Errors
/// Every problem found.
pub(crate) fn check(config: &Config) -> Result<Checked, Vec<Problem>> {
    let mut problems = Vec::new();
    let database = or_problem(database(config), &mut problems);
    let policy_dir = or_problem(policy_dir(config), &mut problems);
    let signing_key_file = or_problem(signing_key_file(config), &mut problems);
    exposure(config, &mut problems);
    limits(config, &mut problems);
    match (database, policy_dir, signing_key_file) {
        (Some(database), Some(policy_dir), Some(signing_key_file)) if problems.is_empty() => {
            Ok(Checked { database, policy_dir, signing_key_file })
        }
        _ => Err(problems),
    }
}

fn or_problem<T>(found: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    found.map_err(|problem| problems.push(problem)).ok()
}

/// The database file that `database_url` names.
///
/// # Errors
/// When it names none, or another kind of database.
pub(crate) fn database(config: &Config) -> Result<PathBuf, Problem> {
    let example = "set `database_url: sqlite:///var/lib/sentinel/sentinel.db` \
                   (or SENTINEL_DATABASE_URL)";
    let Some(url) = &config.database_url else {
        return Err(Problem::new("`database_url` is missing", example));
    };
    let scheme = url.split(':').next().unwrap_or("");
    if matches!(scheme, "postgres" | "postgresql") {
        let what = "`database_url` names a PostgreSQL database, which this release cannot use";
        let mend = format!("PostgreSQL arrives with the fleet release; until then, {example}");
        return Err(Problem::new(what, mend));
    }
    let Some(path) = url.strip_prefix("sqlite://").map(Path::new) else {
        // The address may contain a password, so it is not repeated.
        return Err(Problem::new("`database_url` is not a `sqlite://` address", example));
    };
    if !path.is_absolute() {
        return Err(Problem::new("the path in `database_url` is not absolute", example));
    }
    let parent = path.parent().unwrap_or(path);
    if !parent.is_dir() {
        let what = format!("the directory `{}` of the database does not exist", parent.display());
        return Err(Problem::new(what, format!("mkdir -m 700 -p '{}'", parent.display())));
    }
    Ok(path.to_owned())
}

fn policy_dir(config: &Config) -> Result<PathBuf, Problem> {
    let Some(dir) = &config.policy_dir else {
        let mend = "set `policy_dir` (or SENTINEL_POLICY_DIR) to a directory with *.rego files";
        return Err(Problem::new("`policy_dir` is missing", mend));
    };
    if dir.is_dir() {
        return Ok(dir.clone());
    }
    let what = format!("the policy directory `{}` does not exist", dir.display());
    Err(Problem::new(what, "create it, or correct `policy_dir`; without policy all is denied"))
}

fn signing_key_file(config: &Config) -> Result<PathBuf, Problem> {
    let make = |path: &Path| {
        let path = path.display();
        format!(
            "(umask 077; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
             -out '{path}')"
        )
    };
    let Some(path) = &config.signing_key_file else {
        let mend = format!(
            "make a key: {}; then set `signing_key_file` (or SENTINEL_SIGNING_KEY_FILE)",
            make(Path::new("signing-key.pem"))
        );
        return Err(Problem::new("`signing_key_file` is missing", mend));
    };
    match signing_key::load(path) {
        Ok(_) => Ok(path.clone()),
        Err(error) => {
            let mend = error.mend().unwrap_or_else(|| make(path));
            Err(Problem::new(error.to_string(), mend))
        }
    }
}

fn exposure(config: &Config, problems: &mut Vec<Problem>) {
    if config.listen.ip().is_loopback() {
        return;
    }
    if !config.tls_terminated_upstream {
        problems.push(Problem::new(
            format!("`listen: {}` would carry API keys in clear text", config.listen),
            "there is no TLS listener yet: listen on loopback, or put a proxy that terminates TLS \
             in front and set `tls_terminated_upstream: true`",
        ));
    }
    if config.allowed_hosts.is_empty() {
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
        ("max_connections", config.max_connections as u64, 1, 1_000_000),
        ("shutdown_grace_seconds", config.shutdown_grace_seconds, 0, 3600),
    ];
    for (name, value, least, most) in bounds {
        if !(least..=most).contains(&value) {
            let what = format!("`{name}: {value}` is out of range");
            problems.push(Problem::new(what, format!("set it between {least} and {most}")));
        }
    }
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&config.log_level) {
        let what = format!("`log_level: {}` is not a filter: {error}", config.log_level);
        problems.push(Problem::new(what, "set it to error, warn, info, debug or trace"));
    }
}

//! What `sentinel doctor` looks at in a configuration of `sentinel serve`: each part that it names
//! is opened, whether or not the others can be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sentinel_core::store::StoreError;
use sentinel_signers::{KeySource, LogKey, ManifestKey, SignersError, try_out};
use url::Url;

use super::{Finding, Presence, unseen};
use crate::cli::serve::no_keys;
use crate::config::Config;
use crate::config::load::{Loaded, load};
use crate::config::problems::Problems;
use crate::config::section::Section as _;
use crate::environment;
use crate::parts::api_keys;
use crate::parts::database::Database;
use crate::parts::fleet::{Fleet, Redis};
use crate::parts::policy_engine::{Decider, Engine, Origin, Policy};

/// Time that a part has to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found, and where the server listens.
pub(super) async fn look(path: &Path) -> (Vec<Finding>, Option<Url>) {
    const CHECK: &str = "config";
    let Loaded { config, unknown_variables, places } =
        match load(Some(path), environment::variables()) {
            Ok(loaded) => loaded,
            Err(failure) => return (vec![Finding::failed(CHECK, &failure)], None),
        };
    let mut findings = Vec::new();
    match config.build() {
        Ok(_) => {
            let ignored = match unknown_variables.as_slice() {
                [] => String::new(),
                names => format!("; not fields, and ignored: {}", names.join(", ")),
            };
            let detail = format!("`{}` is complete and safe{ignored}", path.display());
            findings.push(Finding::good(CHECK, detail));
        }
        Err(problems) => findings.extend(
            problems
                .at(&places)
                .iter()
                .map(|problem| Finding::bad(CHECK, &*problem.what, &*problem.fix)),
        ),
    }
    if let Ok(database) = config.database.database() {
        findings.extend(self::database(database, path).await);
    }
    if let Ok(Fleet::Redis(redis)) = config.redis.fleet() {
        findings.push(self::redis(&redis).await);
    }
    findings.extend(signing(&config).await);
    // Its problems are reported above.
    if let Some(decider) = config.policy.build(&mut Problems::default()) {
        findings.extend(policy(decider).await);
    }
    (findings, reached_at(config.listen.listen))
}

/// Where a server that listens there is reached from this machine.
fn reached_at(listen: SocketAddr) -> Option<Url> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    // Any free port is not known here.
    let address = (listen.port() != 0).then(|| SocketAddr::new(ip, listen.port()))?;
    format!("http://{address}").parse().ok()
}

async fn database(database: Database, config: &Path) -> Vec<Finding> {
    const CHECK: &str = "database";
    let shown = database.to_string();
    if let Database::Sqlite(path) = &database {
        match Presence::of(path) {
            Presence::Unknown(error) => return vec![unseen(CHECK, path, &error)],
            Presence::Missing => {
                let detail = format!("`{shown}` is not made yet; the first start makes it");
                return vec![Finding::good(CHECK, detail)];
            }
            Presence::There => {}
        }
    }
    let opened = match tokio::time::timeout(PATIENCE, database.open()).await {
        Ok(opened) => opened,
        Err(_) => {
            let detail = format!("`{shown}` did not answer within {} s", PATIENCE.as_secs());
            return vec![Finding::bad(CHECK, detail, "see that it can be reached from here")];
        }
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(StoreError::InUse { .. }) => {
            let detail = format!(
                "`{shown}` is open in another process, which is right while the server runs"
            );
            return vec![Finding::good(CHECK, detail)];
        }
        Err(error) => {
            let fix = "see that it can be reached from here and that its schema is that of this \
                        version (`sentinel migrate --config FILE`)";
            return vec![Finding::bad(CHECK, format!("`{shown}`: {error}"), fix)];
        }
    };
    let good = Finding::good(CHECK, format!("`{shown}` opens, and its schema can be used"));
    let api_keys = match api_keys::any_valid(opened.store.as_ref()).await {
        Ok(true) => Finding::good("API keys", "there are keys that are not revoked"),
        Ok(false) => {
            let problem = no_keys(config);
            Finding::bad("API keys", problem.what, problem.fix)
        }
        Err(error) => Finding::bad("API keys", format!("cannot read the API keys: {error}"), ""),
    };
    vec![good, api_keys]
}

async fn redis(redis: &Redis) -> Finding {
    const CHECK: &str = "redis";
    let fix = "see that it can be reached from here; until then `on_redis_loss` says what becomes \
                of calls with rate limits";
    match tokio::time::timeout(PATIENCE, redis.ping()).await {
        Ok(Ok(())) => Finding::good(CHECK, "answers"),
        Ok(Err(error)) => Finding::bad(CHECK, error.to_string(), fix),
        Err(_) => Finding::bad(CHECK, format!("no answer in {} s", PATIENCE.as_secs()), fix),
    }
}

/// Has each key sign a text without meaning. What can be seen without signing is reported above.
async fn signing(config: &Config) -> Vec<Finding> {
    let Ok(given) = config.keys.checked() else { return Vec::new() };
    let finding = |check, tried: Result<String, SignersError>| match tried {
        Ok(key) => Finding::good(check, format!("{key} can sign")),
        Err(error) => {
            let fix = error.fix().unwrap_or_default();
            Finding::bad(check, error.to_string(), fix)
        }
    };
    let mut findings = vec![finding("signing key", manifest_key(&given.manifests.source).await)];
    if let Some(log) = &given.log {
        findings.push(finding("log key", log_key(log, &config.transparency.log_origin).await));
    }
    findings
}

async fn manifest_key(source: &KeySource) -> Result<String, SignersError> {
    let service = source.open().await?;
    try_out(service.as_ref()).await?;
    Ok(ManifestKey::new(service)?.public_key().hint().to_owned())
}

async fn log_key(source: &KeySource, origin: &str) -> Result<String, SignersError> {
    let service = source.open().await?;
    try_out(service.as_ref()).await?;
    Ok(LogKey::new(service, origin)?.verifier_key().to_string())
}

/// Vets what the server would load, and asks the OPA that would decide.
async fn policy(decider: Decider) -> Vec<Finding> {
    let engine = decider.engine.clone();
    let built = match Policy::new(decider) {
        Ok(built) => built,
        Err(failure) => return vec![Finding::failed("policies", &failure)],
    };
    let mut findings = Vec::new();
    if let Engine::Embedded(origin) | Engine::Shadow(origin, _) = &engine {
        findings.push(embedded(origin, &built).await);
    }
    if let Engine::Opa(_) | Engine::Shadow(..) = engine {
        built.look(Timestamp::now()).await;
        findings.push(match built.opa_error() {
            None => Finding::good("opa", "answers, and has a policy"),
            Some(error) => Finding::bad("opa", error, "see that it runs, with its bundles loaded"),
        });
    }
    findings
}

async fn embedded(origin: &Origin, built: &Policy) -> Finding {
    const CHECK: &str = "policies";
    let (shown, fix) = match origin {
        Origin::Directory { dir, .. } => {
            let word = sentinel_signers::shell_word(dir).unwrap_or_else(|| "DIR".to_owned());
            let fix = format!("correct it, then: sentinel policy check {word}");
            (format!("`{}`", dir.display()), fix)
        }
        Origin::Bundle(_) => (
            "the bundle that was in force last".to_owned(),
            "publish one that is sound; `sentinel policy check BUNDLE` vets it".to_owned(),
        ),
    };
    let loaded = built.reloader().on_this_machine(Timestamp::now()).await;
    match loaded.map_err(|error| error.to_string()) {
        Ok(Some(revision)) => {
            Finding::good(CHECK, format!("{shown} is sound, revision {revision}"))
        }
        Ok(None) => Finding::good(CHECK, "no bundle was in force here yet; its source has it"),
        Err(error) if error.starts_with("cannot read") => {
            Finding::bad(CHECK, error, super::LET_READ)
        }
        Err(error) => Finding::bad(CHECK, format!("{shown} is refused: {error}"), fix),
    }
}

//! What is looked at of a configuration of `sentinel serve`: each part that it names is opened, and
//! one that cannot be keeps none of the others from being looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sentinel_policy::EmbeddedConfig;
use sentinel_signers::{KeySource, LogKey, ManifestKey, SignersError, try_out};
use url::Url;

use super::{Finding, Presence, unseen};
use crate::cli::serve::has_keys;
use crate::config::load::{Loaded, load};
use crate::config::{Config, keys, problems};
use crate::parts::database::Database;
use crate::parts::fleet::Fleet;
use crate::parts::policy_engine::{Engine, Origin, Policy};
use crate::runtime::node::is_held;

/// What does not answer by then is away.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found, and where the server listens.
pub(super) async fn look(path: &Path) -> (Vec<Finding>, Option<Url>) {
    const CHECK: &str = "config";
    let Loaded { config, unknown_variables } =
        match load(Some(path), crate::environment::variables()) {
            Ok(loaded) => loaded,
            Err(failure) => return (vec![Finding::failed(CHECK, &failure)], None),
        };
    let mut findings = Vec::new();
    match problems::check(&config) {
        Ok(_) => {
            let ignored = match unknown_variables.as_slice() {
                [] => String::new(),
                names => format!("; not fields, and ignored: {}", names.join(", ")),
            };
            let detail = format!("`{}` is complete and safe{ignored}", path.display());
            findings.push(Finding::good(CHECK, detail));
        }
        Err(problems) => findings.extend(
            problems.into_iter().map(|problem| Finding::bad(CHECK, problem.what, problem.mend)),
        ),
    }
    if let Ok(database) = problems::database(&config) {
        findings.extend(self::database(database, path).await);
    }
    if let Ok(Some(fleet)) = Fleet::of(&config) {
        findings.push(redis(&fleet).await);
    }
    findings.extend(signing(&config).await);
    // What is missing of it was told above.
    if let Some(engine) = problems::engine(&config, &mut Vec::new()) {
        findings.extend(policy(&engine, config.evaluation()).await);
    }
    (findings, reached_at(config.listen))
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
        Err(error) if is_held(&error) => {
            let detail = format!(
                "`{shown}` is open in another process, which is right while the server runs"
            );
            return vec![Finding::good(CHECK, detail)];
        }
        Err(error) => {
            let mend = "see that it can be reached from here and that its schema is that of this \
                        version (`sentinel migrate --config FILE`)";
            return vec![Finding::bad(CHECK, format!("`{shown}`: {error}"), mend)];
        }
    };
    let good = Finding::good(CHECK, format!("`{shown}` opens, and its schema can be used"));
    let api_keys = match has_keys(opened.store.as_ref()).await {
        Ok(true) => Finding::good("API keys", "there are keys that are not revoked"),
        Ok(false) => {
            let problem = crate::cli::serve::no_keys(config);
            Finding::bad("API keys", problem.what, problem.mend)
        }
        Err(failure) => Finding::failed("API keys", &failure),
    };
    vec![good, api_keys]
}

async fn redis(fleet: &Fleet) -> Finding {
    const CHECK: &str = "redis";
    let mend = "see that it can be reached from here; until then `on_redis_loss` says what becomes \
                of calls with rate limits";
    match tokio::time::timeout(PATIENCE, fleet.ping()).await {
        Ok(Ok(())) => Finding::good(CHECK, "answers"),
        Ok(Err(error)) => Finding::bad(CHECK, error.to_string(), mend),
        Err(_) => Finding::bad(CHECK, format!("no answer in {} s", PATIENCE.as_secs()), mend),
    }
}

/// Has each key sign a text that says nothing. What can be seen of them without was told before.
async fn signing(config: &Config) -> Vec<Finding> {
    let environment = crate::environment::variables().collect();
    let Some(given) = keys::check(config, &environment, &mut Vec::new()) else {
        return Vec::new();
    };
    let finding = |check, tried: Result<String, SignersError>| match tried {
        Ok(key) => Finding::good(check, format!("{key} can sign")),
        Err(error) => {
            let mend = error.mend().unwrap_or_default();
            Finding::bad(check, error.to_string(), mend)
        }
    };
    let mut findings = vec![finding("signing key", manifest_key(&given.manifests.source).await)];
    if let Some(log) = &given.log {
        findings.push(finding("log key", log_key(log, &config.log_origin).await));
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
async fn policy(engine: &Engine, evaluation: EmbeddedConfig) -> Vec<Finding> {
    let built = match Policy::new(engine, evaluation) {
        Ok(built) => built,
        Err(failure) => return vec![Finding::failed("policies", &failure)],
    };
    let mut findings = Vec::new();
    if let Engine::Embedded(origin) | Engine::Shadow(origin, _) = engine {
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
    let (shown, mend) = match origin {
        Origin::Directory { dir, .. } => {
            let word = sentinel_signers::shell_word(dir).unwrap_or_else(|| "DIR".to_owned());
            let mend = format!("correct it, then: sentinel policy check {word}");
            (format!("`{}`", dir.display()), mend)
        }
        Origin::Bundle(_) => (
            "the bundle that was in force last".to_owned(),
            "publish one that is sound; `sentinel policy check BUNDLE` vets it".to_owned(),
        ),
    };
    match built.reloader().on_this_machine(Timestamp::now()).await {
        Ok(Some(revision)) => {
            Finding::good(CHECK, format!("{shown} is sound, revision {revision}"))
        }
        Ok(None) => Finding::good(CHECK, "no bundle was in force here yet; its source has it"),
        Err(error) if error.starts_with("cannot read") => {
            Finding::bad(CHECK, error, super::LET_READ)
        }
        Err(error) => Finding::bad(CHECK, format!("{shown} is refused: {error}"), mend),
    }
}

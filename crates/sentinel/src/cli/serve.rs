//! `sentinel serve`: a server from a configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use sentinel_core::page::Page;
use sentinel_core::policy::PolicyStatus;
use sentinel_core::store::Store;
use sentinel_http::Network;
use sentinel_service::Settings;
use sentinel_service::group::Delay;
use sentinel_service::health::Networks;
use sentinel_transparency::Destinations;
use serde_json::json;

use crate::config::keys::GivenKeys;
use crate::config::load::{Loaded, load};
use crate::config::problems::{self, Checked, Problem};
use crate::config::{Config, HealthNetworks};
use crate::dev;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;
use crate::parts::payload_key;
use crate::parts::signing_key::Source;
use crate::runtime::event_log::EventLogOptions;
use crate::runtime::logging::{self, LogFormat};
use crate::runtime::node::{Node, Parts, Serving};
use crate::runtime::server;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Configuration; docs/configuration.md lists its fields.
    #[arg(long, env = "SENTINEL_CONFIG", value_name = "FILE")]
    config: PathBuf,
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let Loaded { config, unknown_variables } =
        load(Some(&args.config), crate::environment::variables())?;
    let asked = config.log_format.or(json.then_some(LogFormat::Json));
    logging::start(asked, &config.log_level);
    if !unknown_variables.is_empty() {
        tracing::warn!(?unknown_variables, "these variables are not fields and were ignored");
    }
    let checked = problems::check(&config).map_err(|problems| refusal(&problems))?;
    let Checked {
        database,
        archiving,
        fleet,
        rate_limits,
        trusted_proxies,
        engine,
        keys,
        payload_key_file,
        destinations,
    } = checked;
    let log_origin = config.log_origin.clone();
    let GivenKeys { manifests, log: log_key, previous_log, retired: retired_keys } = keys;
    let settings = Settings {
        queue: config.max_waiting,
        commit_delay: config
            .commit_delay_us
            .map_or(Delay::Adaptive, |us| Delay::Fixed(Duration::from_micros(us))),
        rate_limits,
        attest: config.attest_decisions.into(),
        require_agent: config.require_agent,
        witnesses: destinations
            .witness_policy()
            .or_fail(|| "cannot demand these witnesses".to_owned())?,
    };
    let evaluation = config.evaluation();
    let parts = Parts {
        database,
        fleet,
        engine,
        evaluation,
        signing_key: Source::Given(Box::new(manifests)),
        retired_keys,
        payload_key: payload_key_file.map(payload_key::Source::File),
        log_origin,
        log_key,
        previous_log_key: previous_log,
        replicas: config.replicas,
        settings,
    };
    let node = Node::start(parts).await?;
    if !has_keys(node.services.store.as_ref()).await? {
        return Err(refusal(&[no_keys(&args.config)]));
    }
    let listener = server::bind(config.listen).await?;
    let (ext_authz, ext_authz_address) = server::bind_if(config.ext_authz_listen).await?;
    let (admin, admin_address) = server::bind_if(config.admin_listen).await?;
    let format = LogFormat::or_for(asked, &std::io::stdout());
    let policy = node.services.policy.status();
    let serving = serving(config, trusted_proxies, listener, format);
    let serving = Serving { archiving, destinations, ext_authz, admin, ..serving };
    node.serve(serving, |address| {
        ready(&format!("http://{address}"), (ext_authz_address, admin_address), &policy, format)
    })
    .await
}

fn serving(
    config: Config,
    trusted_proxies: Vec<Network>,
    listener: tokio::net::TcpListener,
    format: LogFormat,
) -> Serving {
    let networks = match config.health_check_networks {
        HealthNetworks::Public => Networks::Public,
        HealthNetworks::PublicAndPrivate => Networks::PublicAndPrivate,
    };
    let interval = Duration::from_secs(config.health_check_interval_seconds);
    // Empty is refused unless we listen on loopback, where only its names are used.
    let mut allowed_hosts = config.allowed_hosts;
    let admin_on_loopback = config.admin_listen.is_some_and(|listen| listen.ip().is_loopback());
    if allowed_hosts.is_empty() || admin_on_loopback {
        allowed_hosts.extend(dev::loopback_hosts());
    }
    Serving {
        self_test: Duration::from_secs(config.kill_self_test_seconds),
        listener,
        ext_authz: None,
        admin: None,
        auth: sentinel_http::AuthMode::Keys,
        public_log: config.public_log,
        allowed_hosts: Some(allowed_hosts),
        limits: server::Limits {
            connections: server::room_for(config.max_connections),
            of_address: config.max_connections_per_address,
            trusted: trusted_proxies.clone().into(),
            operators_only: false,
            drain: Duration::from_secs(config.drain_seconds),
            grace: Duration::from_secs(config.shutdown_grace_seconds),
        },
        max_event_streams: config.max_event_streams,
        parties: sentinel_http::Limits {
            streams_of_key: config.max_event_streams_per_key,
            // So that no key can keep the others from being checked.
            requests_of_key: config.max_waiting.div_ceil(2),
            unauthenticated_per_second: config.max_unauthenticated_per_second,
            trusted_proxies,
        },
        health_checks: config.health_checks.then_some((networks, interval)),
        event_log: EventLogOptions {
            format,
            colours: output::colours(),
            quiet: !config.log_checks,
        },
        archiving: None,
        destinations: Destinations::default(),
    }
}

fn ready(
    url: &str,
    (ext_authz, admin): (Option<SocketAddr>, Option<SocketAddr>),
    policy: &PolicyStatus,
    format: LogFormat,
) -> Outcome {
    match format {
        LogFormat::Json => output::line(
            &json!({
                "event": "server.ready",
                "url": url,
                "timestamp": Timestamp::now(),
                "metadata": {
                    "mode": "serve",
                    "version": env!("CARGO_PKG_VERSION"),
                    "pid": std::process::id(),
                    "ext_authz": ext_authz,
                    "admin": admin,
                    "policy_revision": policy.revision,
                    "policy_error": policy.error,
                },
            })
            .to_string(),
        ),
        LogFormat::Text => output::line(&format!(
            "Sentinel MCP {} on {url}{}{}, {}",
            env!("CARGO_PKG_VERSION"),
            admin.map(|address| format!(", {address} (administration)")).unwrap_or_default(),
            ext_authz.map(|address| format!(" and {address} (ext_authz)")).unwrap_or_default(),
            match &policy.revision {
                Some(revision) => format!("policy revision {revision}"),
                None => "without policy: every check is denied".to_owned(),
            }
        )),
    }
}

pub(crate) async fn has_keys(store: &dyn Store) -> Outcome<bool> {
    let mut page = Page::first(Page::MAX_LIMIT);
    loop {
        let keys = store.keys(None, page.clone()).await;
        let keys = keys.or_fail(|| "cannot read the API keys".to_owned())?;
        if keys.items.iter().any(|key| key.revoked_at.is_none()) {
            return Ok(true);
        }
        match keys.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(false),
        }
    }
}

pub(crate) fn no_keys(config: &std::path::Path) -> Problem {
    Problem::new(
        "the store has no API key, so nobody could call",
        match sentinel_signers::shell_word(config) {
            Some(config) => {
                format!("sentinel key create --config {config} --role admin --name 'first admin'")
            }
            None => {
                "sentinel key create --config FILE --role admin --name 'first admin'".to_owned()
            }
        },
    )
}

/// Every problem and its mend.
fn refusal(problems: &[Problem]) -> Failure {
    let failure = Failure::new("refusing to start: the configuration is unsafe or incomplete");
    let listed = problems.iter().enumerate().fold(failure, |failure, (index, problem)| {
        failure
            .detail(format!("{}. {}", index + 1, problem.what))
            .detail(format!("   mend: {}", problem.mend))
    });
    listed.help("docs/configuration.md lists every field")
}

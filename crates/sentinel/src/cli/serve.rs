//! `sentinel serve`: a server from a configuration.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sentinel_core::policy::PolicyStatus;
use sentinel_service::Settings;
use serde_json::json;

use crate::config::load::{Loaded, load};
use crate::config::problems::{Problem, Problems};
use crate::config::sections::Built;
use crate::environment;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;
use crate::parts::api_keys;
use crate::parts::keys::Keys;
use crate::parts::log_key::LogKeys;
use crate::parts::signing_key::Source;
use crate::runtime::event_log::EventLogOptions;
use crate::runtime::listeners::{Addresses, Listeners};
use crate::runtime::logging::{self, LogFormat};
use crate::runtime::node::{Node, Parts, Serving};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Configuration; docs/configuration.md lists its fields.
    #[arg(long, env = "SENTINEL_CONFIG", value_name = "FILE")]
    config: PathBuf,
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let loaded = load(Some(&args.config), environment::variables())?;
    let Loaded { config, unknown_variables, places } = loaded;
    let asked = config.logging.log_format.or(json.then_some(LogFormat::Json));
    logging::start(asked, &config.logging.log_level);
    if !unknown_variables.is_empty() {
        tracing::warn!(?unknown_variables, "these variables are not fields and were ignored");
    }
    let mut built = config.build().map_err(|problems| refusal(&problems.at(&places)))?;
    let format = LogFormat::or_for(asked, &std::io::stdout());
    let quiet = !config.logging.log_checks;
    let event_log = EventLogOptions { format, colours: output::colours(), quiet };
    let addresses = built.listen.addresses;
    let upstreams = std::mem::take(&mut built.gateway.upstreams);
    let (parts, serving) = divided(built, event_log);

    let node = Node::start(parts).await?;
    let has_keys = api_keys::any_valid(node.services.store.as_ref()).await;
    if !has_keys.or_fail(|| "cannot read the API keys".to_owned())? {
        return Err(refusal(&no_keys(&args.config).into()));
    }
    let services = &node.services;
    let configured = services.upstreams.configure(&services.registry, &upstreams).await;
    configured.or_fail(|| "cannot add the upstreams of `gateway_upstreams`".to_owned())?;
    let listeners = Listeners::bind(addresses).await?;
    let policy = node.services.policy.status();
    node.serve(listeners, serving, |addresses| ready(addresses, &policy, format)).await
}

/// What the sections made, as what the server is made of and how it is served.
fn divided(built: Built, event_log: EventLogOptions) -> (Parts, Serving) {
    let Built {
        audit_archive,
        checks,
        database,
        gateway,
        gateway_limits,
        health,
        keys,
        limits,
        listen,
        logging: (),
        payloads,
        policy,
        redis,
        transparency,
    } = built;
    let gateway_options = gateway.options(gateway_limits);
    let parts = Parts {
        database,
        archiving: audit_archive,
        fleet: redis,
        decider: policy,
        keys: Keys {
            signing: Source::Given(Box::new(keys.manifests)),
            retired: keys.retired,
            log: LogKeys {
                origin: transparency.origin,
                current: keys.log,
                previous: keys.previous_log,
            },
        },
        payload_key: payloads,
        settings: Settings {
            queue: limits.queue,
            commit_delay: limits.commit_delay,
            rate_limits: checks.rate_limits,
            attest: checks.attest,
            require_agent: checks.require_agent,
            witnesses: transparency.witnesses,
            upstreams: gateway.rules,
        },
    };
    let serving = Serving {
        limits: limits.connections,
        drain: limits.drain,
        door: sentinel_ingress::Options {
            auth: sentinel_ingress::AuthMode::Keys,
            allowed_hosts: Some(listen.allowed_hosts),
            max_subscribers: limits.event_streams,
            limits: limits.parties,
            shutdown: None,
        },
        interface: sentinel_http::Options {
            public_log: transparency.public,
            ..sentinel_http::Options::default()
        },
        gateway: gateway_options,
        health_checks: health,
        event_log,
        destinations: transparency.destinations,
        self_test: checks.self_test,
    };
    (parts, serving)
}

fn ready(addresses: Addresses, policy: &PolicyStatus, format: LogFormat) -> Outcome {
    let Addresses { clients, ext_authz, operators } = addresses;
    let url = format!("http://{clients}");
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
                    "admin": operators,
                    "policy_revision": policy.revision,
                    "policy_error": policy.error,
                },
            })
            .to_string(),
        ),
        LogFormat::Text => output::line(&format!(
            "Sentinel MCP {} on {url}{}{}, {}",
            env!("CARGO_PKG_VERSION"),
            operators.map(|address| format!(", {address} (administration)")).unwrap_or_default(),
            ext_authz.map(|address| format!(" and {address} (ext_authz)")).unwrap_or_default(),
            match &policy.revision {
                Some(revision) => format!("policy revision {revision}"),
                None => "without policy: every check is denied".to_owned(),
            }
        )),
    }
}

/// The problem that no caller could authenticate.
pub(crate) fn no_keys(config: &Path) -> Problem {
    let config = sentinel_signers::shell_word(config);
    let config = config.as_deref().unwrap_or("FILE");
    Problem::new(
        "the store has no API key, so no caller could authenticate",
        format!("sentinel key create --config {config} --role admin --name 'first admin'"),
    )
}

/// Every problem and its fix.
fn refusal(problems: &Problems) -> Failure {
    let failure = Failure::new("refusing to start: the configuration is unsafe or incomplete");
    problems.list(failure).help("docs/configuration.md lists every field")
}

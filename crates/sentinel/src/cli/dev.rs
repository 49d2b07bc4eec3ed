//! `sentinel dev`: a server for this machine, in one directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sentinel_core::principal::{Principal, Role};
use sentinel_ingress::AuthMode;
use sentinel_policy::EmbeddedConfig;
use sentinel_policy_analysis::SourceLimits;
use sentinel_service::Settings;
use sentinel_service::health::Networks;
use sentinel_service::upstreams::{AllowedCommand, NewTools, UpstreamRules};
use sentinel_transparency::Destinations;

use crate::config::log_level;
use crate::config::sections::{DEFAULT_LOG_ORIGIN, loopback_hosts};
use crate::dev::banner::Ready;
use crate::dev::data_dir::DataDir;
use crate::dev::{self, keys, policies, seed};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::parts::database::Database;
use crate::parts::fleet::Fleet;
use crate::parts::keys::Keys;
use crate::parts::log_key::LogKeys;
use crate::parts::payload_key;
use crate::parts::policy_engine::{Decider, Engine, Origin};
use crate::parts::signing_key::Source;
use crate::runtime::event_log::EventLogOptions;
use crate::runtime::listeners::{Addresses, Listeners};
use crate::runtime::logging::{self, LogFormat};
use crate::runtime::node::{Node, Parts, Serving};
use crate::runtime::tasks::HealthChecks;

const HEALTH_CHECKS: HealthChecks =
    HealthChecks { networks: Networks::PublicAndPrivate, interval: Duration::from_secs(30) };
const CONNECTIONS: usize = 8192;
const SELF_TEST: Duration = Duration::from_secs(60);
/// Time that requests in flight get to finish.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address on loopback, and port; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Address on loopback, and port, where Envoy asks by gRPC (`ext_authz`); nowhere unless given.
    #[arg(long, value_name = "ADDRESS")]
    ext_authz_listen: Option<SocketAddr>,
    /// Where everything is kept.
    #[arg(long, env = "SENTINEL_DATA_DIR", default_value = dev::DATA_DIR, value_name = "DIR")]
    data_dir: PathBuf,
    /// Policies in place of the shipped ones.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Reads policies as Rego v0 where neither they nor the `.manifest` state a version.
    #[arg(long)]
    v0_compatible: bool,
    /// Lets everyone on this machine do everything.
    #[arg(long)]
    no_auth: bool,
    /// A command that an upstream may run, word for word; a last word `*` permits any further
    /// words. Repeatable. With --no-auth any command may be run.
    #[arg(long = "allow-command", value_name = "COMMAND")]
    allow_commands: Vec<String>,
    /// Form of the logs; by default text on a terminal and JSON elsewhere.
    #[arg(long, value_name = "FORM")]
    log: Option<LogFormat>,
    /// Least severe level of the operational log.
    #[arg(long, env = "SENTINEL_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    log_level: String,
    /// Leaves checks out of the event log.
    #[arg(long, short)]
    quiet: bool,
    /// Polls no health checks of tools.
    #[arg(long)]
    no_health_checks: bool,
}

fn check_level(level: &str) -> Outcome {
    log_level::check(level).map_err(|error| {
        Failure::usage(format!("`{level}` of --log-level (or SENTINEL_LOG_LEVEL): {error}"))
            .help(log_level::HELP)
    })
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    refuse_exposure("--listen", args.listen)?;
    if let Some(listen) = args.ext_authz_listen {
        refuse_exposure("--ext-authz-listen", listen)?;
    }
    check_level(&args.log_level)?;
    let asked = args.log.or(json.then_some(LogFormat::Json));
    let format = LogFormat::or_for(asked, &std::io::stdout());
    logging::start(asked, &args.log_level);
    let data_dir = DataDir::open(&args.data_dir)?;
    let addresses =
        Addresses { clients: args.listen, ext_authz: args.ext_authz_listen, operators: None };
    let listeners = Listeners::bind(addresses).await?;
    let (policy_dir, kept) = policy_dir(&args, &data_dir)?;
    let rules = upstream_rules(&args)?;
    let node = Node::start(parts(&data_dir, &policy_dir, args.v0_compatible, rules)).await?;
    let keys = if args.no_auth {
        None
    } else {
        Some(keys::ensure(&node.services, &data_dir.keys()).await?)
    };
    let admin = keys.as_ref().and_then(|keys| keys.all.get(&Role::Admin));
    let admin = admin.and_then(|key| node.services.keys.authenticate(key));
    let seeded = seed::seed(&node.services, &admin.unwrap_or(Principal::LOCAL)).await?;
    let policy = node.services.policy.status();
    let auth = if args.no_auth { AuthMode::Off } else { AuthMode::Keys };
    let health_checks = (!args.no_health_checks).then_some(HEALTH_CHECKS);
    let event_log = EventLogOptions { format, colours: output::colours(), quiet: args.quiet };
    node.serve(listeners, serving(auth, health_checks, event_log), |addresses| {
        let ready = Ready {
            address: addresses.clients,
            ext_authz: addresses.ext_authz,
            data_dir: &data_dir,
            policy_dir: &policy_dir,
            policy: &policy,
            policies_kept: kept,
            seeded: &seeded,
            keys: keys.as_ref(),
        };
        match format {
            LogFormat::Json => ready.json(Timestamp::now()),
            LogFormat::Text => ready.text(),
        }
    })
    .await
}

/// One server, all in the data directory.
pub(crate) fn parts(
    data_dir: &DataDir,
    policy_dir: &Path,
    v0_compatible: bool,
    upstreams: UpstreamRules,
) -> Parts {
    let origin = Origin::Directory { dir: policy_dir.to_owned(), watched: false };
    let limits = SourceLimits { v0_compatible, ..SourceLimits::default() };
    Parts {
        database: Database::Sqlite(data_dir.database()),
        archiving: None,
        fleet: Fleet::without_redis(None),
        decider: Decider {
            engine: Engine::Embedded(origin),
            evaluation: EmbeddedConfig { limits, ..EmbeddedConfig::default() },
        },
        keys: Keys {
            signing: Source::Made { key: data_dir.signing_key(), public: data_dir.public_key() },
            retired: Vec::new(),
            log: LogKeys { origin: DEFAULT_LOG_ORIGIN.to_owned(), current: None, previous: None },
        },
        payload_key: Some(payload_key::Source::Made(data_dir.payload_key())),
        settings: Settings { upstreams, ..Settings::default() },
    }
}

/// Servers on this machine may be connected, and wrapped with the key of an agent.
fn upstream_rules(args: &Args) -> Outcome<UpstreamRules> {
    let command = |text: &String| {
        AllowedCommand::parse(text).ok_or_else(|| {
            Failure::usage("--allow-command names no program".to_owned())
                .help("write the program first, then its arguments; `*` only at the end")
        })
    };
    Ok(UpstreamRules {
        allowed_commands: args.allow_commands.iter().map(command).collect::<Outcome<_>>()?,
        any_command: args.no_auth,
        ..wrapped_servers()
    })
}

/// Servers may be wrapped with the key of an agent; no command is run here.
pub(crate) fn wrapped_servers() -> UpstreamRules {
    UpstreamRules {
        allowed_commands: Vec::new(),
        any_command: false,
        new_tools: NewTools::Pin,
        wrap: true,
        networks: Networks::PublicAndPrivate,
    }
}

/// For this machine only.
pub(crate) fn serving(
    auth: AuthMode,
    health_checks: Option<HealthChecks>,
    event_log: EventLogOptions,
) -> Serving {
    Serving {
        limits: sentinel_listener::Limits {
            connections: CONNECTIONS,
            of_address: None,
            trusted: [].into(),
            operators_only: false,
            grace: GRACE,
        },
        drain: Duration::ZERO,
        door: sentinel_ingress::Options {
            auth,
            allowed_hosts: Some(loopback_hosts()),
            ..sentinel_ingress::Options::default()
        },
        interface: sentinel_http::Options::default(),
        gateway: sentinel_gateway::server::Options::default(),
        health_checks,
        event_log,
        destinations: Destinations::default(),
        self_test: SELF_TEST,
    }
}

fn refuse_exposure(option: &str, listen: SocketAddr) -> Outcome {
    if listen.ip().is_loopback() {
        return Ok(());
    }
    Err(Failure::usage(format!("`sentinel dev` listens on loopback only, not on {listen}"))
        .help(format!("use {option} 127.0.0.1:{}", listen.port()))
        .help("`sentinel serve --config FILE` serves other machines"))
}

/// The policies to use, and how many of the shipped ones the user has changed.
fn policy_dir(args: &Args, data_dir: &DataDir) -> Outcome<(PathBuf, usize)> {
    match &args.policies {
        Some(dir) if dir.is_dir() => Ok((dir.clone(), 0)),
        Some(dir) => {
            Err(Failure::new(format!("the policy directory `{}` does not exist", dir.display()))
                .help("leave out --policies to use the shipped ones"))
        }
        None => {
            let dir = data_dir.policies();
            let kept = policies::materialise(&dir)?.kept.len();
            Ok((dir, kept))
        }
    }
}

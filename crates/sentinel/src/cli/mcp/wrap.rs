//! `sentinel mcp wrap`: one MCP server behind a front on standard input and output.
//!
//! Standard output carries the protocol and nothing else; what a person should know goes to
//! standard error, which clients keep in a log.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sentinel_client::ApiKey;
use sentinel_core::name::{AgentName, TenantSlug};
use sentinel_core::principal::Role;
use sentinel_gateway::authority::remote::Remote;
use sentinel_gateway::catalog::{Settings, Source};
use sentinel_gateway::client::Route;
use sentinel_gateway::front::stdio::{self, Limits, Options};
use sentinel_gateway::upstream::{EraChoice, Secret, Spec, Transport, connect};
use sentinel_mcp_protocol::era::Era;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{introduction, server_name};
use crate::client::{Connection, name, name_if};
use crate::embedded::lease::Lease;
use crate::embedded::place::Place;
use crate::embedded::start::find_or_start;
use crate::embedded::{TENANT, start};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;
use crate::runtime::logging::{self, LogFormat};

/// Bytes of the longest file with a key.
const MAX_KEY_FILE: usize = 4096;
/// How long a wrap waits for a control plane that is about to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a wrap looks whether the embedded control plane still runs.
const LOOK: Duration = Duration::from_secs(2);
/// Deadline of a question to the control plane.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// File with the API key, in place of --key.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    key_file: Option<PathBuf>,
    /// Decides on this machine: starts a control plane for this user when none runs, with a policy
    /// that allows what only reads.
    #[arg(long)]
    embedded: bool,
    /// Tenant that the server belongs to.
    #[arg(long, env = "SENTINEL_TENANT", value_name = "TENANT")]
    tenant: Option<String>,
    /// Name of the server: its tools are registered as `NAME__tool`. By default it is taken from
    /// the command.
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Name of the agent that calls.
    #[arg(long, env = "SENTINEL_AGENT", value_name = "NAME")]
    agent: Option<String>,
    /// The command of the server, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Where decisions are made, and for whom.
pub(super) struct Governed {
    pub(super) client: sentinel_client::Client,
    pub(super) tenant: TenantSlug,
    pub(super) agent: Option<AgentName>,
    /// Keeps the embedded control plane running.
    embedded: Option<(Place, Lease)>,
}

pub(crate) async fn run(args: Args) -> Outcome {
    logging::start(Some(LogFormat::Text), "warn");
    let server = server(&args)?;
    let governed = governed(&args).await?;
    introduction::introduce(&governed, &server).await?;
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    if let Some((place, _)) = &governed.embedded {
        let (place, url) = (place.clone(), governed.client.url().clone());
        tokio::spawn(keep_running(place, url));
    }
    let Governed { client, tenant, agent, embedded } = governed;
    let authority = Remote::new(client, tenant, agent);
    let command = args.command;
    let settings = Arc::new(settings()?);
    let route = Box::new(move |era| route(&server, command, era, &settings));
    let options =
        Options { authority: Arc::new(authority), route, stop, limits: Limits::default() };
    let served = stdio::serve(options, tokio::io::stdin(), tokio::io::stdout()).await;
    drop(embedded);
    served.or_fail(|| "cannot read standard input".to_owned())
}

/// The name of the server, as given or made up.
fn server(args: &Args) -> Outcome<String> {
    let Some(given) = &args.server else { return Ok(server_name::of_command(&args.command)) };
    let usable = server_name::of_text(given);
    if *given == usable {
        return Ok(usable);
    }
    let message =
        "--server: a name has lowercase letters, digits and single `-`, and at most 32 of them";
    Err(Failure::usage(message).help(format!("use `{usable}`")))
}

async fn governed(args: &Args) -> Outcome<Governed> {
    let agent: Option<AgentName> = name_if("--agent", args.agent.as_ref())?;
    if args.embedded {
        return embedded(args, agent).await;
    }
    let tenant = args.tenant.as_ref().ok_or_else(|| {
        Failure::usage("whose server it is must be said")
            .help("name the tenant with --tenant or SENTINEL_TENANT")
            .help("or decide on this machine alone, with --embedded")
    })?;
    let tenant = name("--tenant", tenant)?;
    let client = match &args.key_file {
        Some(file) => client(&args.connection.url, read_key(file)?.trim())?,
        None => args.connection.client(Role::Agent)?.api,
    };
    Ok(Governed { client, tenant, agent, embedded: None })
}

async fn embedded(args: &Args, agent: Option<AgentName>) -> Outcome<Governed> {
    let place = Place::open(args.connection.named_data_dir())?;
    let lock = place.lock_of_wraps();
    let lease = Lease::wait(PATIENCE, || Lease::shared(&lock))
        .await
        .or_fail(|| format!("cannot use `{}`", lock.display()))?;
    let lease = lease.ok_or_else(|| Failure::new("the control plane that ends does not end"))?;
    let (running, key) = find_or_start(&place).await?;
    let tenant = name("--tenant", args.tenant.as_deref().unwrap_or(TENANT))?;
    let client = client(&running.url, &key)?;
    Ok(Governed { client, tenant, agent, embedded: Some((place, lease)) })
}

/// A key that others can read is theirs, too.
fn read_key(file: &Path) -> Outcome<String> {
    let metadata = std::fs::metadata(file);
    let mode = metadata.or_fail(|| format!("cannot read `{}`", file.display()))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        let failure = Failure::new(format!(
            "the file `{}` holds a key and is open to others (mode {mode:04o})",
            file.display()
        ));
        return Err(failure.help(sentinel_signers::owner_only(file, "600")));
    }
    crate::files::read_text(file, MAX_KEY_FILE)
}

fn client(url: &Url, key: &str) -> Outcome<sentinel_client::Client> {
    sentinel_client::Client::builder(url.clone())
        .key(ApiKey::given(key, url))
        .timeout(DEADLINE)
        .user_agent(concat!("sentinel-wrap/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Failure::new(error.to_string()))
}

/// The one server, spoken to in the era of the client where the server knows it.
fn route(name: &str, command: Vec<String>, era: Era, settings: &Arc<Settings>) -> Arc<Route> {
    let mut spec = Spec::new(name, Transport::Stdio { command, env: environment() });
    spec.show_stderr = true;
    spec.era = match era {
        Era::Legacy => EraChoice::PreferLegacy,
        Era::Modern => EraChoice::Auto,
    };
    let source = Source::new(connect(spec), settings);
    Arc::new(Route::single(source, Arc::clone(settings)))
}

/// What a client gave to the server, and to us in its place: all but what is ours.
fn environment() -> Vec<(String, Secret)> {
    let is_ours = |name: &str| name.starts_with("SENTINEL_");
    let all = crate::environment::variables().filter(|(name, _)| !is_ours(name));
    all.map(|(name, value)| (name, value.into())).collect()
}

/// Most clients list once, and go on without the tools of a server that is left out because it
/// starts slowly. There is no other server here that would have to wait for it.
fn settings() -> Outcome<Settings> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).or_fail(|| "cannot make a key".to_owned())?;
    let settings = Settings::new(key);
    Ok(Settings { list_budget: settings.fetch_limit, ..settings })
}

/// A client that closes a server sends SIGTERM if the end of the input does not suffice.
fn stop_on_signals(stop: &CancellationToken) -> Outcome {
    let doing = || "cannot set up the signals".to_owned();
    let mut terminate = signal(SignalKind::terminate()).or_fail(doing)?;
    let mut interrupt = signal(SignalKind::interrupt()).or_fail(doing)?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}

/// Starts the embedded control plane again when it has ended. It listens where it did before; until
/// it does, calls are denied.
async fn keep_running(place: Place, url: Url) {
    loop {
        tokio::time::sleep(LOOK).await;
        if matches!(start::find(&place), Ok(Some(_))) {
            continue;
        }
        match find_or_start(&place).await {
            Ok((running, _)) if running.url == url => {}
            Ok((running, _)) => {
                output::tell(&format!(
                    "the control plane moved to {}; restart this server to use it",
                    running.url
                ));
                return;
            }
            Err(failure) => output::tell(&failure.summary().0),
        }
    }
}

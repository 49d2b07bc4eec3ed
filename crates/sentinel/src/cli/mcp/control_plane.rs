//! `sentinel mcp control-plane`: the control plane that `mcp wrap --embedded` starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sentinel_core::principal::Principal;
use sentinel_core::tenant::TenantSpec;
use sentinel_ingress::AuthMode;
use sentinel_service::{ServiceError, Services};
use url::Url;

use crate::cli::dev::{parts, serving, wrapped_servers};
use crate::dev::keys;
use crate::embedded::lease::Lease;
use crate::embedded::place::Place;
use crate::embedded::start::Running;
use crate::embedded::{TENANT, starter};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::parts::policy_engine::{Decider, Engine, Origin};
use crate::parts::private_file::write_private;
use crate::runtime::event_log::EventLogOptions;
use crate::runtime::listeners::{Addresses, Listeners};
use crate::runtime::logging::{self, LogFormat};
use crate::runtime::node::{Node, Parts};

/// How often it looks whether there is a wrap.
const LOOK: Duration = Duration::from_secs(1);
/// The longest wait for a lock that another process looks at.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Seconds without a wrap after which it ends.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    idle: u64,
}

pub(crate) async fn run(args: Args) -> Outcome {
    // The terminal or application that started it may end; it goes on for the other wraps.
    let _ = rustix::process::setsid();
    logging::start(Some(LogFormat::Json), "info");
    let place = Place::open(Some(&args.data_dir))?;
    let lock = place.lock_of_control_plane();
    let doing = || format!("cannot use `{}`", lock.display());
    let lease = Lease::wait(PATIENCE, || Lease::alone(&lock)).await.or_fail(doing)?;
    let Some(_until_the_end) = lease else {
        return Err(Failure::new("another control plane runs in this directory"));
    };
    let port = last_port(&place);
    drop(std::fs::remove_file(place.running()));
    starter::materialise(&place)?;
    let node = Node::start(parts_of(&place)).await?;
    keys::ensure(&node.services, &place.data_dir().keys()).await?;
    ensure_tenant(&node.services).await?;
    let listeners = listeners(port).await?;
    let idle = Duration::from_secs(args.idle);
    tokio::spawn(end_when_idle(place.clone(), idle));
    let format = LogFormat::Json;
    let event_log = EventLogOptions { format, colours: false, quiet: true };
    node.serve(listeners, serving(AuthMode::Keys, None, event_log), |addresses| {
        let url = Url::parse(&format!("http://{}", addresses.clients))
            .or_fail(|| "cannot say where it is".to_owned())?;
        let running = Running { url, pid: std::process::id() };
        let text = serde_json::to_vec(&running).or_fail(|| "cannot write JSON".to_owned())?;
        let path = place.running();
        write_private(&path, &text).or_fail(|| format!("cannot write `{}`", path.display()))
    })
    .await
}

/// As `sentinel dev` has them, but that the policy is watched: a tool that is put on the list is
/// allowed without a restart.
fn parts_of(place: &Place) -> Parts {
    let policies = place.data_dir().policies();
    let parts = parts(place.data_dir(), &policies, false, wrapped_servers());
    let engine = Engine::Embedded(Origin::Directory { dir: policies, watched: true });
    Parts { decider: Decider { engine, ..parts.decider }, ..parts }
}

/// The port that it had last: wraps that live go on with it when it is started again.
fn last_port(place: &Place) -> u16 {
    let text = std::fs::read_to_string(place.running()).ok();
    let running: Option<Running> = text.and_then(|text| serde_json::from_str(&text).ok());
    running.and_then(|running| running.url.port()).unwrap_or_default()
}

async fn listeners(port: u16) -> Outcome<Listeners> {
    let at = |port| Addresses {
        clients: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        ext_authz: None,
        operators: None,
    };
    match Listeners::bind(at(port)).await {
        Err(_) if port != 0 => Listeners::bind(at(0)).await,
        bound => bound,
    }
}

/// Makes the tenant that all wraps belong to.
async fn ensure_tenant(services: &Services) -> Outcome {
    let doing = || format!("cannot make the tenant `{TENANT}`");
    let spec = TenantSpec {
        slug: TENANT.parse().or_fail(doing)?,
        display_name: "This machine".parse().or_fail(doing)?,
    };
    match services.registry.create_tenant(&Principal::LOCAL, spec).await {
        Ok(_) | Err(ServiceError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error).or_fail(doing),
    }
}

/// Ends this process once there has been no wrap for so long. It keeps the lock of wraps until it
/// has ended: a wrap that begins meanwhile waits, and starts another.
async fn end_when_idle(place: Place, idle: Duration) {
    let lock = place.lock_of_wraps();
    let mut since = std::time::Instant::now();
    loop {
        tokio::time::sleep(LOOK.min(idle)).await;
        match Lease::alone(&lock) {
            Ok(Some(lease)) if since.elapsed() >= idle => {
                tracing::info!("no wrap is left; stopping");
                end_this_process();
                // Held until the process has ended.
                std::mem::forget(lease);
                return;
            }
            Ok(Some(_)) => {}
            Ok(None) => since = std::time::Instant::now(),
            Err(error) => {
                tracing::error!(%error, "cannot see whether there are wraps; stopping");
                end_this_process();
                return;
            }
        }
    }
}

/// As a supervisor would: what was accepted is finished first.
fn end_this_process() {
    let own = rustix::process::getpid();
    if let Err(error) = rustix::process::kill_process(own, rustix::process::Signal::TERM) {
        tracing::error!(%error, "cannot stop");
    }
}

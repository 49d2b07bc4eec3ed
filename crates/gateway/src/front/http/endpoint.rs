//! What the handlers of the front share.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use sentinel_ingress::FrontDoor;
use tokio_util::sync::CancellationToken;

use super::entry::Entry;
use super::legacy::sessions::Sessions;
use super::modern::suspended::Suspended;
use super::places::{Most, Places};
use super::refusal::Refusal;
use super::seal::Seal;
use crate::client::{Client, Route};
use crate::enforce::Enforcement;
use crate::gateway::{Authorities, Routes, Speaker};
use sentinel_mcp_protocol::jsonrpc::Object;

/// What the purpose of a call is called in its `_meta`.
const PURPOSE: &str = "sentinel/purpose";

/// How the front serves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Requests that are being served at one time.
    pub calls: Most,
    /// Legacy sessions that a replica holds in memory; others are revived from their ids.
    pub sessions: Most,
    /// How long a response may take until a stream is opened for it.
    pub patience: Duration,
    /// How long a client may take to answer a question.
    pub question: Duration,
    /// Time between two comments on a stream that is quiet.
    pub keep_alive: Duration,
    /// How long requests may go on once the server stops. Those that are not done by then are
    /// cancelled and answered; it must be less than the time until connections are cut.
    pub last_call: Duration,
    /// Where clients reach this server; derived from the request when there is none.
    pub public_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            calls: Most { all: 8192, of_principal: 1024 },
            sessions: Most { all: 10_000, of_principal: 1000 },
            patience: Duration::from_secs(2),
            question: Duration::from_secs(300),
            keep_alive: Duration::from_secs(15),
            last_call: Duration::from_secs(4),
            public_url: None,
        }
    }
}

pub(super) type Shared = Arc<Endpoint>;

/// What the handlers share.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) door: Arc<FrontDoor>,
    pub(super) authorities: Arc<dyn Authorities>,
    pub(super) routes: Arc<dyn Routes>,
    pub(super) enforcement: Arc<Enforcement>,
    pub(super) settings: Settings,
    pub(super) seal: Arc<Seal>,
    /// The sessions of legacy clients.
    pub(super) sessions: Sessions,
    /// Requests of modern clients that wait for input.
    pub(super) suspended: Arc<Suspended>,
    pub(super) calls: Arc<Places>,
    /// Changes when what a speaker may do may have changed.
    pub(super) changed: tokio::sync::watch::Sender<u64>,
    /// Cancelled when requests must be answered at once, since the server stops.
    pub(super) closing: CancellationToken,
}

impl Endpoint {
    /// Whether the speaker may go on: no kill covers everything it could do, and its key still
    /// stands.
    pub(super) fn admits(&self, speaker: &Speaker) -> bool {
        let services = self.door.services();
        let control = services.control.current();
        control.vouches_for(speaker.principal.credential())
            && !speaker.is_killed(&control, services.clock.now())
    }
}

/// The servers that a request is for.
async fn route(endpoint: &Endpoint, entry: &Entry) -> Result<Arc<Route>, Refusal> {
    let found = endpoint.routes.find(&entry.speaker.tenant, entry.upstream.as_deref()).await;
    found.ok_or_else(|| {
        let what = "the tenant has no upstream of that name";
        Refusal::of_request(StatusCode::NOT_FOUND, "unknown_upstream", what)
    })
}

/// The client that a request speaks for, which has introduced itself with `info`.
pub(super) async fn client(
    endpoint: &Endpoint,
    entry: &Entry,
    info: Object,
    capabilities: Object,
) -> Result<Client, Refusal> {
    let authority = endpoint.authorities.of(&entry.speaker);
    let client = Client::new(authority, route(endpoint, entry).await?);
    let mut client = client.enforced_by(Arc::clone(&endpoint.enforcement));
    (client.info, client.capabilities) = (info, capabilities);
    Ok(client)
}

/// Writes the purpose that a header states into the `_meta` of a request that states none.
pub(super) fn state_purpose(meta: &mut Object, entry: &Entry) {
    if let Some(purpose) = &entry.purpose {
        meta.entry(PURPOSE).or_insert_with(|| purpose.as_str().into());
    }
}

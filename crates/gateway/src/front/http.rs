//! The front for HTTP: `/mcp/{tenant}` and `/mcp/{tenant}/{upstream}`, for clients of both eras.
//!
//! A request passes the [edge](sentinel_ingress::edge), then `entry`, which knows its sender, then
//! the front of its era: `legacy` has sessions, `modern` has none. Both have the request served by
//! the [mediator](crate::mediator) in a task of its own, which tells a `feed` what the client is to
//! hear; the HTTP response reads it. A request so outlives its connection where the era wants that.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::header::ALLOW;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use sentinel_ingress::edge::EdgeLayer;
use sentinel_ingress::{FrontDoor, body};
use sentinel_service::ServiceError;
use tokio_util::sync::CancellationToken;

use crate::enforce::Enforcement;
use crate::gateway::{Authorities, Routes};
use sentinel_mcp_protocol::jsonrpc::{self, LIMITS, Message};

mod endpoint;
mod entry;
mod events;
mod feed;
mod legacy;
mod media;
mod metadata;
mod modern;
mod places;
mod refusal;
mod responses;
mod seal;
mod serve;
mod watch;

pub use endpoint::Settings;
pub use places::Most;

use endpoint::{Endpoint, Shared};
use entry::Entry;
use legacy::sessions::Sessions;
use modern::suspended::Suspended;
use places::Places;
use refusal::Refusal;
use seal::Seal;

const ALL: &str = "/mcp/{tenant}";
const ONE: &str = "/mcp/{tenant}/{upstream}";
const METADATA_OF_ALL: &str = "/.well-known/oauth-protected-resource/mcp/{tenant}";
const METADATA_OF_ONE: &str = "/.well-known/oauth-protected-resource/mcp/{tenant}/{upstream}";
const METHODS: &str = "POST, GET, DELETE, OPTIONS";
/// Bytes of the body of a request without a valid key that are read, to find the id that its
/// refusal carries.
const MAX_UNAUTHENTICATED: usize = 64 * 1024;

/// The front, ready to be mounted.
#[derive(Debug, Clone)]
pub struct HttpFront(Shared);

impl HttpFront {
    /// # Errors
    /// When the key that all replicas share cannot be read.
    pub async fn open(
        door: Arc<FrontDoor>,
        authorities: Arc<dyn Authorities>,
        routes: Arc<dyn Routes>,
        enforcement: Arc<Enforcement>,
        settings: Settings,
    ) -> Result<Self, ServiceError> {
        let seal = Seal::new(&shared_key(&door, "gateway").await?);
        let seal = seal.ok_or_else(|| unavailable("the cipher refuses the key"))?;
        let seal = Arc::new(seal);
        Ok(Self(Arc::new(Endpoint {
            sessions: Sessions::new(settings.sessions),
            suspended: Arc::new(Suspended::new(Arc::clone(&seal), settings.question)),
            calls: Places::new(settings.calls),
            changed: tokio::sync::watch::Sender::new(0),
            closing: CancellationToken::new(),
            door,
            authorities,
            routes,
            enforcement,
            settings,
            seal,
        })))
    }

    /// The endpoints.
    pub fn router(&self) -> Router {
        let methods = vec![Method::POST, Method::GET, Method::DELETE, Method::OPTIONS];
        let counted = [
            (ALL, methods.clone()),
            (ONE, methods),
            (METADATA_OF_ALL, vec![Method::GET]),
            (METADATA_OF_ONE, vec![Method::GET]),
        ];
        let counted = counted.map(|(path, methods)| (path.to_owned(), methods));
        let door = &self.0.door;
        // None of the paths is that of a check.
        let edge = EdgeLayer::new(Arc::clone(door), door.traffic().routes(counted), "");
        Router::new()
            .route(ALL, any(serve))
            .route(ONE, any(serve))
            .route(METADATA_OF_ALL, get(metadata::of_all))
            .route(METADATA_OF_ONE, get(metadata::of_one))
            .layer(edge)
            .with_state(Arc::clone(&self.0))
    }

    /// Ends what kills and revoked keys cover, and what is left when the server stops. Runs until
    /// then; without it, they end only what they find themselves.
    pub async fn watch(self) {
        watch::run(&self.0).await;
    }
}

/// The key of that name, which all replicas share.
pub(crate) async fn shared_key(door: &FrontDoor, name: &str) -> Result<[u8; 32], ServiceError> {
    let mut candidate = [0; 32];
    aws_lc_rs::rand::fill(&mut candidate).map_err(|_| unavailable("there is no randomness"))?;
    Ok(door.services().store.secret(name, candidate).await?)
}

fn unavailable(why: &str) -> ServiceError {
    ServiceError::Unavailable(why.to_owned())
}

async fn serve(State(endpoint): State<Shared>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let resource = metadata::url_of(&endpoint, &parts);
    let served = match parts.method {
        Method::OPTIONS => return options(),
        Method::POST => post(&endpoint, &mut parts, body).await,
        Method::GET => legacy::get(&endpoint, &mut parts).await,
        Method::DELETE => legacy::delete(&endpoint, &mut parts).await,
        _ => Err(Refusal::method_not_allowed(METHODS, "send messages by POST")),
    };
    served.unwrap_or_else(|refusal| refusal.with_metadata(resource.as_deref()).into_response())
}

async fn post(endpoint: &Shared, parts: &mut Parts, body: Body) -> Result<Response, Refusal> {
    let entry = match Entry::read(&endpoint.door, parts).await {
        Ok(entry) => entry,
        Err(refusal) => return Err(identified(refusal, &parts.headers, body).await),
    };
    media::check_post(&entry.headers)?;
    let bytes = body::read(body, LIMITS.max_bytes).await?;
    let message = jsonrpc::parse(&bytes, &LIMITS).map_err(|malformed| {
        Refusal::new(StatusCode::BAD_REQUEST, malformed.error).with_id(malformed.id)
    })?;
    // The message is read; its bytes are not kept while it is served.
    drop(bytes);
    if modern::is_meant(&entry.headers, &message) {
        modern::post(endpoint, entry, message).await
    } else {
        legacy::post(endpoint, entry, message).await
    }
}

/// Gives a refusal the id of the message, if that can be read: SDKs drop the reason otherwise.
async fn identified(refusal: Refusal, headers: &HeaderMap, body: Body) -> Refusal {
    let limit = if refusal.is_unauthorized() { MAX_UNAUTHENTICATED } else { LIMITS.max_bytes };
    if media::check_post(headers).is_err() {
        return refusal;
    }
    let Ok(bytes) = body::read(body, limit).await else { return refusal };
    let id = match jsonrpc::parse(&bytes, &LIMITS) {
        Ok(Message::Request(request)) => Some(request.id),
        Ok(_) => None,
        Err(malformed) => malformed.id,
    };
    refusal.with_id(id)
}

/// Pages of other origins are refused by the edge, so there is nothing to negotiate.
fn options() -> Response {
    (StatusCode::NO_CONTENT, [(ALLOW, METHODS)]).into_response()
}

//! The HTTP interface: one file an endpoint under [`routes`], which extracts, calls a use case and
//! maps its result. No policy is decided here and no SQL is written.
//!
//! What holds for every request is in [`sentinel_ingress::edge`]. The order within a handler is
//! always the same: authenticate, require a role, read the body, call.

use std::sync::Arc;

use sentinel_ingress::edge::EdgeLayer;
use sentinel_ingress::{FrontDoor, problem};

mod app;
mod document;
mod event_stream;
mod metrics;
mod options;
mod routes;
mod wire;

pub use options::{AlsoTrusted, Options};

/// Every endpoint, ready to be served.
pub fn router(door: Arc<FrontDoor>, options: Options) -> axum::Router {
    let (router, document) = routes::table().split_for_parts();
    let document = document::complete(document);
    let routes = door.traffic().routes(document::routes(&document));
    let edge = EdgeLayer::new(Arc::clone(&door), routes, routes::CHECK);
    router
        .fallback(problem::unknown_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(edge)
        .with_state(Arc::new(app::App::new(door, options, &document)))
}

/// The OpenAPI document of every endpoint that [`router`] serves.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    document::complete(routes::table().into_openapi())
}

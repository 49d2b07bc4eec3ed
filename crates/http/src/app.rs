//! What the handlers share.

use std::sync::Arc;

use bytes::Bytes;
use sentinel_ingress::{BehindFrontDoor, FrontDoor};
use sentinel_service::Services;
use utoipa::openapi::OpenApi;

use crate::metrics::Metrics;
use crate::options::Options;

/// Services, options, and what is computed once.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) door: Arc<FrontDoor>,
    /// Those of the front door.
    pub(crate) services: Arc<Services>,
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
    /// The OpenAPI document, JSON.
    pub(crate) openapi: Bytes,
}

/// The state of every handler.
pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(door: Arc<FrontDoor>, mut options: Options, document: &OpenApi) -> Self {
        let services = Arc::clone(door.services());
        let sources = std::mem::take(&mut options.sources);
        // Serializing a document that is built from code does not fail.
        let openapi = serde_json::to_vec(document).unwrap_or_default().into();
        let metrics = Metrics::new(door.traffic(), Arc::clone(&services), sources);
        Self { door, services, options, metrics, openapi }
    }
}

impl BehindFrontDoor for App {
    fn front_door(&self) -> &FrontDoor {
        &self.door
    }
}

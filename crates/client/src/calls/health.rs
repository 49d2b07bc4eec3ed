use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::Client;

/// Deadline of a question about health.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What a server says of whether it can decide.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Readiness {
    pub is_ready: bool,
    /// The whole document; `Null` when it is not JSON.
    pub document: Value,
}

impl Client {
    /// Whether the server can decide; `None` when no Sentinel is there.
    pub async fn readiness(&self) -> Option<Readiness> {
        let request = self.request(Method::GET, &["readyz"], &[]).ok()?.timeout(TIMEOUT);
        let response = request.send().await.ok()?;
        let is_ready = match response.status() {
            StatusCode::OK => true,
            StatusCode::SERVICE_UNAVAILABLE => false,
            _ => return None,
        };
        let body = self.body(response).await.unwrap_or_default();
        let document = serde_json::from_slice(&body).unwrap_or_default();
        Some(Readiness { is_ready, document })
    }
}

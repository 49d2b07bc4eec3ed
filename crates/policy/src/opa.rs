//! A real OPA as the engine, asked over HTTP. Without a definite response in time the call is
//! denied with a code of its own.

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, StatusCode};
use sentinel_core::policy::{PolicyDecision, PolicyEngine, PolicyError, PolicyInput, PolicyStatus};
use url::Url;

use crate::input::InputBuilder;
use crate::lock::lock;

mod breaker;
mod response;

use breaker::Breaker;
pub(crate) use breaker::Caller;
use response::Response as OpaResponse;

const ENGINE: &str = "opa";
/// The rule that decides, as a path of OPA's data API.
const DECISION: &str = "v1/data/sentinel/policy/decision";
/// Connections that are kept open while they are idle.
const IDLE: usize = 64;
/// Time between two looks at OPA's health, and what one may take.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Which OPA is asked, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpaConfig {
    url: Url,
    timeout: Duration,
}

/// Why an OPA cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpaError {
    #[error("it is not an address: {0}")]
    NotAnAddress(String),
    #[error("it begins neither with `http://` nor with `https://`")]
    Scheme,
    #[error("`http://` to another machine: inputs could be read, and responses forged, on the way")]
    ClearText,
    #[error("it has a user, a query or a fragment")]
    Extra,
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

impl OpaConfig {
    /// `url` is where OPA's API begins (`http://127.0.0.1:8181`); `timeout` is for one decision.
    ///
    /// # Errors
    /// When it is not such an address, or one that is not safe.
    pub fn new(url: &str, timeout: Duration) -> Result<Self, OpaError> {
        let mut url = Url::parse(url).map_err(|error| OpaError::NotAnAddress(error.to_string()))?;
        let extra = !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        match url.scheme() {
            _ if extra => return Err(OpaError::Extra),
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(OpaError::ClearText),
            _ => return Err(OpaError::Scheme),
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self { url, timeout })
    }
}

/// Whether an address is one of this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// How questions to OPA ended, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpaCounts {
    pub decided: u64,
    pub undefined: u64,
    pub malformed: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub unavailable: u64,
    /// Not asked, since it had not answered several times in a row.
    pub circuit_open: u64,
}

#[derive(Debug, Default)]
struct Counters {
    decided: AtomicU64,
    undefined: AtomicU64,
    malformed: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    unavailable: AtomicU64,
    circuit_open: AtomicU64,
}

/// An OPA that decides.
#[derive(Debug)]
pub struct OpaEngine {
    client: Client,
    decision: Url,
    health: Url,
    timeout: Duration,
    breaker: Breaker,
    counters: Counters,
    status: Mutex<PolicyStatus>,
}

impl OpaEngine {
    /// Nothing is asked yet: until [`OpaEngine::watch`] has found it healthy, its status says that
    /// nothing is in force.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(config: &OpaConfig) -> Result<Self, OpaError> {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(IDLE)
            .user_agent("sentinel-policy")
            .build()
            .map_err(|error| OpaError::Client(error.to_string()))?;
        let at = |path: &str| {
            config.url.join(path).map_err(|error| OpaError::NotAnAddress(error.to_string()))
        };
        let error = Some("not asked yet".to_owned());
        Ok(Self {
            client,
            decision: at(&format!("{DECISION}?provenance=true"))?,
            health: at("health?bundles")?,
            timeout: config.timeout,
            breaker: Breaker::new(),
            counters: Counters::default(),
            status: Mutex::new(PolicyStatus {
                revision: None,
                engine: ENGINE,
                loaded_at: None,
                error,
                refused_at: None,
                away: false,
                author: None,
                digest: None,
            }),
        })
    }

    /// Decides on an input of `caller` that [`input_document`] made.
    ///
    /// # Errors
    /// As [`PolicyEngine::evaluate`].
    pub(crate) async fn decide(
        &self,
        input: Vec<u8>,
        caller: Caller,
    ) -> Result<PolicyDecision, PolicyError> {
        let outcome = match self.ask(input, caller, self.timeout).await {
            Ok(response) => response.decision(),
            Err(error) => Err(error),
        };
        self.count(&outcome);
        outcome
    }

    /// Looks after OPA's health, once a second, until dropped.
    pub async fn watch(&self, now: impl Fn() -> Timestamp) {
        let mut ticks = tokio::time::interval(HEALTH_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look(now()).await;
        }
    }

    /// One look: whether OPA is there with its bundles, and which revision it runs.
    pub async fn look(&self, now: Timestamp) {
        let found = match self.is_healthy().await {
            Ok(()) => self.ask_past_breaker(b"{}".to_vec(), HEALTH_TIMEOUT).await,
            Err(error) => Err(error),
        };
        let mut status = lock(&self.status);
        let was_healthy = status.revision.is_some();
        match found {
            Ok(response) => {
                self.breaker.reached();
                if status.revision.as_deref() != Some(&*response.revision) {
                    tracing::info!(revision = %response.revision, "OPA responds");
                    status.revision = Some(response.revision.as_ref().to_owned());
                    status.loaded_at = Some(now);
                }
                status.error = None;
            }
            Err(error) => {
                if was_healthy || status.error.as_deref() == Some("not asked yet") {
                    tracing::error!(%error, "OPA does not answer as it should");
                }
                status.revision = None;
                status.error = Some(error.to_string());
            }
        }
    }

    async fn is_healthy(&self) -> Result<(), PolicyError> {
        let request = self.client.get(self.health.clone()).timeout(HEALTH_TIMEOUT);
        match request.send().await {
            Ok(response) if response.status() == StatusCode::OK => Ok(()),
            Ok(response) => Err(PolicyError::Unavailable(format!(
                "OPA's health check answered {}",
                response.status().as_u16()
            ))),
            Err(error) => Err(no_answer(&error)),
        }
    }

    #[must_use]
    pub fn counts(&self) -> OpaCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        OpaCounts {
            decided: of(&counters.decided),
            undefined: of(&counters.undefined),
            malformed: of(&counters.malformed),
            failed: of(&counters.failed),
            timed_out: of(&counters.timed_out),
            unavailable: of(&counters.unavailable),
            circuit_open: of(&counters.circuit_open),
        }
    }

    /// Whether OPA was healthy when it was last looked at.
    #[must_use]
    pub fn is_up(&self) -> bool {
        lock(&self.status).revision.is_some()
    }

    #[must_use]
    pub fn is_circuit_open(&self) -> bool {
        self.breaker.is_open()
    }

    fn count(&self, outcome: &Result<PolicyDecision, PolicyError>) {
        let counters = &self.counters;
        let counter = match outcome {
            Ok(_) => &counters.decided,
            Err(PolicyError::Undefined) => &counters.undefined,
            Err(PolicyError::Malformed(_) | PolicyError::UnknownObligation(_)) => {
                &counters.malformed
            }
            Err(PolicyError::TimedOut) => &counters.timed_out,
            Err(PolicyError::CircuitOpen) => &counters.circuit_open,
            Err(PolicyError::Unavailable(_)) => &counters.unavailable,
            Err(PolicyError::Failed(_) | PolicyError::NoPolicy) => &counters.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    async fn ask(
        &self,
        input: Vec<u8>,
        caller: Caller,
        timeout: Duration,
    ) -> Result<OpaResponse, PolicyError> {
        if !self.breaker.admits(Instant::now(), caller) {
            return Err(PolicyError::CircuitOpen);
        }
        let response = self.ask_past_breaker(input, timeout).await;
        match &response {
            Err(PolicyError::Unavailable(_)) => self.breaker.unreachable(Instant::now()),
            Err(PolicyError::TimedOut) => self.breaker.timed_out(Instant::now(), caller),
            // It answered. An evaluation that fails is the input's or the policy's doing: a caller
            // that provokes some must not have everyone else denied.
            _ => self.breaker.answered(caller),
        }
        response
    }

    async fn ask_past_breaker(
        &self,
        input: Vec<u8>,
        timeout: Duration,
    ) -> Result<OpaResponse, PolicyError> {
        let mut body = Vec::with_capacity(input.len() + 10);
        body.extend_from_slice(b"{\"input\":");
        body.extend_from_slice(&input);
        body.push(b'}');
        let exchange = async {
            let request = self.client.post(self.decision.clone());
            let request = request.header(CONTENT_TYPE, "application/json").body(body);
            let response = request.send().await.map_err(|error| no_answer(&error))?;
            match response.status() {
                StatusCode::OK => OpaResponse::read(&read(response).await?),
                StatusCode::INTERNAL_SERVER_ERROR => {
                    Err(PolicyError::Failed("OPA answered 500; its log says why".to_owned()))
                }
                status => {
                    Err(PolicyError::Unavailable(format!("OPA answered {}", status.as_u16())))
                }
            }
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(PolicyError::TimedOut))
    }
}

/// Reads no further than a response may go.
async fn read(mut response: Response) -> Result<Vec<u8>, PolicyError> {
    let limit = response::LIMITS.max_bytes;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&error))? {
        if bytes.len() + chunk.len() > limit {
            return Err(PolicyError::Malformed(format!("it is larger than {limit} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// In general terms: addresses do not belong in the record of a decision.
fn no_answer(error: &reqwest::Error) -> PolicyError {
    if error.is_timeout() {
        return PolicyError::TimedOut;
    }
    let detail =
        if error.is_connect() { "OPA cannot be reached" } else { "the connection to OPA broke" };
    PolicyError::Unavailable(detail.to_owned())
}

thread_local! {
    static BUILDER: RefCell<InputBuilder> = RefCell::new(InputBuilder::new());
}

/// The document that the embedded engine sees as `input`, as JSON.
///
/// # Errors
/// When it cannot be written.
pub fn input_document(input: &PolicyInput<'_>) -> Result<Vec<u8>, PolicyError> {
    let value = BUILDER.with_borrow_mut(|builder| builder.build(input));
    serde_json::to_vec(&value)
        .map_err(|_| PolicyError::Failed("the input cannot be written as JSON".to_owned()))
}

#[async_trait]
impl PolicyEngine for OpaEngine {
    async fn evaluate(&self, input: PolicyInput<'_>) -> Result<PolicyDecision, PolicyError> {
        let caller = Caller::of(input.principal);
        self.decide(input_document(&input)?, caller).await
    }

    fn status(&self) -> PolicyStatus {
        lock(&self.status).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_safe_address_is_taken() {
        let of = |url: &str| OpaConfig::new(url, Duration::from_millis(100)).map(|c| c.url);
        for good in ["http://127.0.0.1:8181", "http://[::1]:8181/", "http://localhost:1"] {
            assert!(of(good).is_ok(), "{good}");
        }
        assert_eq!(of("https://opa.example/opa").unwrap().as_str(), "https://opa.example/opa/");
        assert_eq!(of("http://opa.example:8181"), Err(OpaError::ClearText));
        assert_eq!(of("http://localhost.example"), Err(OpaError::ClearText));
        assert_eq!(of("http://10.0.0.7"), Err(OpaError::ClearText));
        assert_eq!(of("https://key:hunter2@opa.example"), Err(OpaError::Extra));
        assert_eq!(of("https://opa.example/?token=hunter2"), Err(OpaError::Extra));
        assert_eq!(of("unix:///run/opa.sock"), Err(OpaError::Scheme));
        assert!(matches!(of("127.0.0.1:8181"), Err(OpaError::NotAnAddress(_))));
    }
}

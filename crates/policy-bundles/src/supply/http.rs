//! A bundle behind an address, by the protocol of OPA's bundle services: `ETag`, and long polling
//! where the server offers it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::address::Access;
use super::source::{BundleSource, Candidate, FetchError, Fetched};

/// The content type that asks a server to respond only when there is something new.
const LONG_POLLING: &str = "application/vnd.openpolicyagent.bundles";
const CONNECT: Duration = Duration::from_secs(10);
/// For a response, without the time that the server was asked to wait.
const RESPONSE: Duration = Duration::from_secs(60);
/// A server that says to wait and does not is not asked without pause.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct HttpSource {
    client: Client,
    url: Url,
    /// Read again for each request, since tokens are replaced.
    token_file: Option<PathBuf>,
    /// How long the server may wait for something new.
    wait: Option<Duration>,
    /// Whether it does. It is asked to until it shows that it does not.
    waits: AtomicBool,
    timeout: Duration,
    max_bytes: u64,
}

impl HttpSource {
    pub(super) fn new(url: Url, access: &Access) -> Result<Self, FetchError> {
        let client = Client::builder()
            // A token is for this server, and so is our trust in what it says.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            .user_agent(concat!("sentinel/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(FetchError::new)?;
        Ok(Self {
            client,
            url,
            token_file: access.token_file.clone(),
            wait: access.long_poll,
            waits: AtomicBool::new(access.long_poll.is_some()),
            timeout: access.timeout.unwrap_or(RESPONSE),
            max_bytes: access.max_bytes,
        })
    }

    fn waiting(&self) -> Option<Duration> {
        self.wait.filter(|_| self.waits.load(Ordering::Relaxed))
    }

    async fn token(&self) -> Result<Option<HeaderValue>, FetchError> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let token = tokio::fs::read_to_string(path)
            .await
            .map_err(|error| FetchError::Away(format!("cannot read the token: {error}")))?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| FetchError::new("the token has characters that no header may have"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, FetchError> {
        let too_large =
            || FetchError::Away(format!("the bundle has more than {} bytes", self.max_bytes));
        if response.content_length().is_some_and(|length| length > self.max_bytes) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if (bytes.len() + chunk.len()) as u64 > self.max_bytes {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

#[async_trait]
impl BundleSource for HttpSource {
    async fn fetch(&self, known: Option<&str>) -> Result<Fetched, FetchError> {
        let wait = self.waiting();
        let mut prefer = "modes=snapshot".to_owned();
        if let Some(wait) = wait {
            prefer = format!("{prefer};wait={}", wait.as_secs());
        }
        let mut request = self
            .client
            .get(self.url.clone())
            .header("prefer", prefer)
            .timeout(self.timeout + wait.unwrap_or_default());
        if let Some(token) = self.token().await? {
            request = request.header(AUTHORIZATION, token);
        }
        if let Some(known) = known.and_then(|tag| HeaderValue::from_str(tag).ok()) {
            request = request.header(IF_NONE_MATCH, known);
        }
        let response = request.send().await.map_err(|error| failed(&error))?;
        match response.status() {
            StatusCode::NOT_MODIFIED => Ok(Fetched::Unchanged),
            StatusCode::OK => {
                let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
                let waits = self.wait.is_some() && header(CONTENT_TYPE) == Some(LONG_POLLING);
                self.waits.store(waits, Ordering::Relaxed);
                let tag = header(ETAG).map(str::to_owned);
                let bytes = self.body(response).await?;
                // What OPA's servers return when the time is over without anything new.
                if bytes.is_empty() {
                    return Ok(Fetched::Unchanged);
                }
                Ok(Fetched::Bundle(Candidate {
                    bytes,
                    tag,
                    revision: None,
                    tests: BTreeMap::new(),
                }))
            }
            status => Err(FetchError::Away(format!("the server answered {status}"))),
        }
    }

    fn pause(&self, trouble: bool) -> Option<Duration> {
        // What is refused would be sent again at once.
        self.waiting().filter(|_| !trouble).map(|_| PAUSE)
    }
}

/// Without the address, which may say more than a log should.
fn failed(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() {
        return FetchError::new("the server took too long");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    FetchError::Away(format!("the server cannot be reached: {cause}"))
}

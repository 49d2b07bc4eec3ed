//! An HTTP client for one other service.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};
use url::{Host, Url};

const CONNECT: Duration = Duration::from_secs(10);

/// Why an address cannot be used. It is not repeated, as it may contain a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerUrlError {
    #[error("it is not an address: {0}")]
    NotAnAddress(#[from] url::ParseError),
    #[error("it begins neither with `https://` nor, on this machine, with `http://`")]
    Scheme,
    #[error("it contains a name, a password, parameters or a fragment")]
    Secrets,
    #[error("no client can be made: {0}")]
    Client(String),
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    #[error("it did not answer within {} seconds", .0.as_secs())]
    Timeout(Duration),
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("its answer has more than {0} bytes")]
    TooLong(usize),
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The requested header.
    pub(crate) header: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// A service at an address, with a time limit.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    client: Client,
    url: Url,
    timeout: Duration,
}

impl Peer {
    /// Clear text is allowed on this machine only: in a network, others could withhold responses.
    pub(crate) fn new(url: &str, timeout: Duration) -> Result<Self, PeerUrlError> {
        let mut url = parse(url)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            _ => return Err(PeerUrlError::Scheme),
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Self::at_exactly(url, timeout)
    }

    /// A peer whose responses are signed as a whole and that has one path only. Clear text is
    /// allowed, as is usual for timestamps.
    pub(crate) fn signing(url: &str, timeout: Duration) -> Result<Self, PeerUrlError> {
        let url = parse(url)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(PeerUrlError::Scheme);
        }
        Self::at_exactly(url, timeout)
    }

    fn at_exactly(url: Url, timeout: Duration) -> Result<Self, PeerUrlError> {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            .user_agent(concat!("sentinel/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| PeerUrlError::Client(error.to_string()))?;
        Ok(Self { client, url, timeout })
    }

    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Posts to a path below its address. The body of the response has at most `limit` bytes.
    pub(crate) async fn post(
        &self,
        path: &str,
        media_type: &str,
        body: Vec<u8>,
        header: Option<&str>,
        limit: usize,
    ) -> Result<Answer, PeerError> {
        let request = self.client.post(self.at(path)?);
        let request = request.header(reqwest::header::CONTENT_TYPE, media_type).body(body);
        self.ask(request, header, limit).await
    }

    /// Gets what is at a path below its address, at most `limit` bytes.
    pub(crate) async fn get(&self, path: &str, limit: usize) -> Result<Answer, PeerError> {
        self.ask(self.client.get(self.at(path)?), None, limit).await
    }

    fn at(&self, path: &str) -> Result<Url, PeerError> {
        self.url.join(path).map_err(|error| PeerError::Unreachable(error.to_string()))
    }

    async fn ask(
        &self,
        request: RequestBuilder,
        header: Option<&str>,
        limit: usize,
    ) -> Result<Answer, PeerError> {
        // The limit is for the whole response: a peer that sends single bytes would take hours.
        let asking = async {
            let answer = request.send().await.map_err(|error| unreachable_for(&error))?;
            let named = header.and_then(|name| answer.headers().get(name));
            let header = named.and_then(|value| value.to_str().ok()).map(str::to_owned);
            let status = answer.status().as_u16();
            Ok(Answer { status, header, body: bounded(answer, limit).await? })
        };
        let asked = tokio::time::timeout(self.timeout, asking).await;
        asked.unwrap_or(Err(PeerError::Timeout(self.timeout)))
    }
}

fn parse(url: &str) -> Result<Url, PeerUrlError> {
    let url = Url::parse(url)?;
    let plain = url.username().is_empty() && url.password().is_none();
    if !plain || url.query().is_some() || url.fragment().is_some() {
        return Err(PeerUrlError::Secrets);
    }
    Ok(url)
}

async fn bounded(mut answer: Response, limit: usize) -> Result<Vec<u8>, PeerError> {
    if answer.content_length().is_some_and(|length| length > limit as u64) {
        return Err(PeerError::TooLong(limit));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable_for(&error))? {
        if bytes.len() + chunk.len() > limit {
            return Err(PeerError::TooLong(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The root cause, without the address, which may contain a secret.
fn unreachable_for(error: &reqwest::Error) -> PeerError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    PeerError::Unreachable(cause.to_string())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

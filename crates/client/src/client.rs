//! One server, its address and the key for it; how a request is built, sent and answered.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use sentinel_core::id::DecisionId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::cause;
use crate::key::{is_loopback, url_of_environment};
use crate::{ApiKey, Error, Problem};

/// Deadline of a call.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Error documents larger than this are not Sentinel's. Bytes.
const MAX_PROBLEM: usize = 64 * 1024;
/// Most that is read of one answer. Bytes; a page of a listing has at most a tenth of that.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Parameters of a query, those that are `None` left out; [`Client`] encodes them.
pub type Query<'a> = [(&'a str, Option<String>)];

/// A client of one server. Cloning it is cheap: clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
    key: Option<ApiKey>,
    timeout: Duration,
}

/// Settings of a [`Client`].
#[derive(Debug, Clone)]
pub struct Builder {
    base: Url,
    key: Option<ApiKey>,
    timeout: Duration,
    user_agent: String,
}

impl Builder {
    /// The key to send, to its own origin only.
    #[must_use]
    pub fn key(mut self, key: ApiKey) -> Self {
        self.key = Some(key);
        self
    }

    /// The deadline of each call, from the connection to the last byte of the answer.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How the client names itself to the server.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// The client.
    ///
    /// # Errors
    /// When the address is not one of HTTP, or TLS cannot be set up.
    pub fn build(self) -> Result<Client, Error> {
        if !matches!(self.base.scheme(), "http" | "https") || self.base.cannot_be_a_base() {
            return Err(Error::Address(self.base.into()));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(self.user_agent)
            // A redirect could lead the key, or the decision, to another server.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout));
        if is_loopback(&self.base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(Error::Setup)?;
        Ok(Client { base: self.base, http, key: self.key, timeout: self.timeout })
    }
}

impl Client {
    /// Settings of a client of the server at `base`, which may have a path in front of the
    /// interface's.
    #[must_use]
    pub fn builder(base: Url) -> Builder {
        let user_agent = concat!("sentinel-client/", env!("CARGO_PKG_VERSION")).to_owned();
        Builder { base, key: None, timeout: TIMEOUT, user_agent }
    }

    /// A client of the server at `SENTINEL_URL` with the key in `SENTINEL_API_KEY`, if there is
    /// one.
    ///
    /// # Errors
    /// As [`Builder::build`], and when `SENTINEL_URL` is not an address.
    pub fn from_environment() -> Result<Self, Error> {
        let builder = Self::builder(url_of_environment()?);
        match ApiKey::of_environment()? {
            Some(key) => builder.key(key).build(),
            None => builder.build(),
        }
    }

    /// The address of the server.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.base
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether there is a key to send.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// `GET` of JSON. For what has no method of its own.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not such a document.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &Query<'_>,
    ) -> Result<T, Error> {
        let response = self.send(self.request(Method::GET, path, query)?).await?;
        json(&self.body(response).await?)
    }

    /// `POST` of JSON, answered with JSON. For what has no method of its own.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let response = self.posted(path, body).await?;
        json(&self.body(response).await?)
    }

    /// `GET` of a document, as it is.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn bytes(&self, path: &[&str]) -> Result<Vec<u8>, Error> {
        let response = self.send(self.request(Method::GET, path, &[])?).await?;
        self.body(response).await
    }

    /// `POST` of JSON; the answer, if it is not an error.
    pub(crate) async fn posted(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<Response, Error> {
        let body = serde_json::to_vec(body).map_err(Error::Unwritable)?;
        let request = self.request(Method::POST, path, &[])?;
        self.send(request.header(CONTENT_TYPE, "application/json").body(body)).await
    }

    pub(crate) fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &Query<'_>,
    ) -> Result<RequestBuilder, Error> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::Address(self.base.to_string()))?
            .pop_if_empty()
            .extend(path);
        for (name, value) in query {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let key = self.key.as_ref().and_then(|key| key.for_request_to(&url).map(str::to_owned));
        let request = self.http.request(method, url);
        Ok(match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        })
    }

    /// Sends a request with the deadline of the client; the answer, if it is not an error.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.timeout(self.timeout).send().await;
        self.accepted(response.map_err(|error| self.lost(&error))?).await
    }

    /// The same, for an answer that goes on as long as it wants once it has begun.
    pub(crate) async fn send_for_stream(&self, request: RequestBuilder) -> Result<Response, Error> {
        let sent = tokio::time::timeout(self.timeout, request.send()).await;
        let response = sent.map_err(|_| Error::TimedOut { server: self.base.to_string() })?;
        self.accepted(response.map_err(|error| self.lost(&error))?).await
    }

    /// The whole body of an answer.
    pub(crate) async fn body(&self, response: Response) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        let mut parts = response.bytes_stream();
        while let Some(part) = parts.next().await {
            body.extend_from_slice(&part.map_err(|error| self.interrupted(&error))?);
            if body.len() > MAX_ANSWER {
                return Err(Error::malformed("of that size", format!("over {MAX_ANSWER} bytes")));
            }
        }
        Ok(body)
    }

    pub(crate) fn interrupted(&self, error: &reqwest::Error) -> Error {
        if error.is_timeout() {
            return Error::TimedOut { server: self.base.to_string() };
        }
        Error::Interrupted(cause(error))
    }

    fn lost(&self, error: &reqwest::Error) -> Error {
        let server = self.base.to_string();
        if error.is_timeout() {
            return Error::TimedOut { server };
        }
        Error::Unreachable { server, cause: cause(error), connected: !error.is_connect() }
    }

    /// The answer, unless it is an error.
    async fn accepted(&self, response: Response) -> Result<Response, Error> {
        if response.status().is_success() {
            return Ok(response);
        }
        Err(Error::Refused(Box::new(self.problem(response).await)))
    }

    async fn problem(&self, response: Response) -> Problem {
        let status = response.status();
        let retry_after = retry_after(&response);
        // What cannot be read of it leaves the status, which says that this is an error.
        let mut body = Vec::new();
        let mut parts = response.bytes_stream();
        while let Some(Ok(part)) = parts.next().await {
            body.extend_from_slice(&part);
            if body.len() > MAX_PROBLEM {
                break;
            }
        }
        let document: Document = serde_json::from_slice(&body).unwrap_or_default();
        let said = document.detail.or(document.title);
        Problem {
            status: status.as_u16(),
            code: document.code.filter(|_| said.is_some()),
            detail: said.unwrap_or_else(|| format!("`{}` answered {status}", self.base)),
            request_id: document.request_id,
            decision_id: document.decision_id,
            reasons: document.reasons,
            retry_after,
        }
    }
}

/// A problem document as far as it is one: every member of RFC 9457 is optional.
#[derive(Debug, Default, Deserialize)]
struct Document {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    request_id: Option<String>,
    decision_id: Option<DecisionId>,
    #[serde(default)]
    reasons: Vec<String>,
}

fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.parse().ok().map(Duration::from_secs)
}

pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::malformed("what was asked for", error))
}

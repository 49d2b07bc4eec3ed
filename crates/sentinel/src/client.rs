//! The commands that talk to a running server.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use futures::Stream;
use futures::StreamExt as _;
use reqwest::{Method, Response, StatusCode, Url};
use sentinel_core::principal::Role;
use serde::Serialize;
use serde_json::Value;

use crate::api_key::{ApiKey, DEFAULT_URL, is_loopback};
use crate::config::nearest;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::{dev, output};

/// A server that does not answer within this time is as good as absent. Not for streams.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A server that is well answers this quickly when asked how it is.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// Error documents larger than this are not ours. Bytes.
const MAX_PROBLEM: usize = 64 * 1024;

/// Which server, and who is asking.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// Address of the server.
    #[arg(long, env = "SENTINEL_URL", default_value = DEFAULT_URL, value_name = "URL")]
    pub(crate) url: Url,
    /// API key for that server. By default that of the variable `SENTINEL_API_KEY`, which goes to the
    /// server of `SENTINEL_URL` only; for a server on loopback the fitting key of the data directory.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Data directory of `sentinel dev`, where the default keys are; `.sentinel` by default.
    #[arg(long, env = "SENTINEL_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Whether the server is that of a configuration, for which no data directory has keys.
    #[arg(skip)]
    configured: bool,
}

/// A client of one server, in one role.
#[derive(Debug)]
pub(crate) struct Client {
    base: Url,
    http: reqwest::Client,
    key: Option<ApiKey>,
    /// Why a key that there is was not sent.
    withheld: Option<String>,
    role: Role,
}

impl Connection {
    /// A client; `role` is the one that the command needs.
    ///
    /// # Errors
    /// When the address is not one of HTTP, or the keys cannot be read.
    pub(crate) fn client(&self, role: Role) -> Outcome<Client> {
        if !matches!(self.url.scheme(), "http" | "https") || self.url.cannot_be_a_base() {
            return Err(Failure::usage(format!("`{}` is not an http address", self.url)));
        }
        tell_of_mistyped_variables();
        let (key, withheld) = self.key_for(role)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("sentinel/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5));
        if is_loopback(&self.url) {
            builder = builder.no_proxy();
        }
        let http = builder.build().or_fail(|| "cannot set up the HTTP client".to_owned())?;
        Ok(Client { base: self.url.clone(), http, key, withheld, role })
    }

    /// The key that goes to the server, and why another does not.
    fn key_for(&self, role: Role) -> Outcome<(Option<ApiKey>, Option<String>)> {
        if let Some(key) = &self.key {
            return Ok((Some(ApiKey::given(key, &self.url)), None));
        }
        let found = ApiKey::of_environment()?;
        let withheld = match found {
            Some(key) if key.for_request_to(&self.url).is_some() => return Ok((Some(key), None)),
            found => found.map(|key| key.withheld_from(&self.url, "--key")),
        };
        // The keys of a data directory are for this machine and go nowhere else.
        let has_local = is_loopback(&self.url) && !self.configured;
        let local = if has_local { self.local_key(role)? } else { None };
        Ok((local.map(|key| ApiKey::given(&key, &self.url)), withheld))
    }

    /// The same, for the server of a configuration: it listens at `listen`, unless an address was
    /// given. `None` when neither says where it is.
    pub(crate) fn for_deployment(&self, listen: Option<Url>) -> Option<Self> {
        let was_given = self.url.as_str().trim_end_matches('/') != DEFAULT_URL;
        let url = if was_given { self.url.clone() } else { listen? };
        Some(Self { configured: true, url, ..self.clone() })
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(Path::new(dev::DATA_DIR))
    }

    /// The data directory, if one was named.
    pub(crate) fn named_data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// Whether nothing accepts connections at the address.
    pub(crate) async fn port_is_free(&self) -> bool {
        let host = self.url.host_str().unwrap_or("127.0.0.1").trim_matches(['[', ']']);
        let port = self.url.port_or_known_default().unwrap_or(80);
        tokio::net::TcpStream::connect((host, port)).await.is_err()
    }

    fn local_key(&self, role: Role) -> Outcome<Option<String>> {
        let keys = dev::keys::read(&dev::data_dir::DataDir::at(self.data_dir()).keys())?;
        Ok(keys.and_then(|mut keys| keys.remove(&role).or_else(|| keys.remove(&Role::Admin))))
    }
}

/// Warns, once, of variables that nothing reads and that are nearly those which commands read.
fn tell_of_mistyped_variables() {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        for (name, _) in crate::environment::variables() {
            let Some(suffix) = name.strip_prefix("SENTINEL_") else { continue };
            let meant =
                nearest(suffix, ["agent", "api_key", "config", "data_dir", "tenant", "url"]);
            if let Some(meant) = meant.filter(|meant| !suffix.eq_ignore_ascii_case(meant)) {
                let meant = meant.to_uppercase();
                output::tell(&format!(
                    "warning: `{}` is not read; did you mean `SENTINEL_{meant}`?",
                    output::printable(&name)
                ));
            }
        }
    });
}

/// Parts of a path and of a query, encoded by [`Client`].
pub(crate) type Query<'a> = [(&'a str, Option<String>)];

impl Client {
    /// `GET`, answered with JSON.
    pub(crate) async fn get(&self, path: &[&str], query: &Query<'_>) -> Outcome<Value> {
        json(self.send(Method::GET, path, query, None::<&()>).await?).await
    }

    /// `POST`, answered with JSON.
    pub(crate) async fn post(&self, path: &[&str], body: &impl Serialize) -> Outcome<Value> {
        json(self.send(Method::POST, path, &[], Some(body)).await?).await
    }

    /// Any method, with headers of its own and perhaps a body, answered with JSON or with nothing.
    ///
    /// The body goes as it is: what is wrong with it is for the server's strict reader to find.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &[&str],
        query: &Query<'_>,
        precondition: Option<(&'static str, String)>,
        body: Option<Vec<u8>>,
    ) -> Outcome<Value> {
        let mut request = self.request(method, path, query)?.timeout(TIMEOUT);
        if let Some((name, value)) = precondition {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        json(accepted(response, self).await?).await
    }

    /// `DELETE`, answered with JSON or with nothing.
    pub(crate) async fn delete(&self, path: &[&str]) -> Outcome<Value> {
        json(self.send(Method::DELETE, path, &[], None::<&()>).await?).await
    }

    /// `GET`, answered with the body as it is.
    pub(crate) async fn bytes(&self, path: &[&str]) -> Outcome<Vec<u8>> {
        let response = self.send(Method::GET, path, &[], None::<&()>).await?;
        let body = response.bytes().await.or_fail(|| "the answer broke off".to_owned())?;
        Ok(body.to_vec())
    }

    /// `GET`, answered with a body of any length.
    pub(crate) async fn stream(
        &self,
        path: &[&str],
        query: &Query<'_>,
    ) -> Outcome<impl Stream<Item = Outcome<Vec<u8>>> + Unpin + use<>> {
        let response = self.request(Method::GET, path, query)?.send().await;
        let response = accepted(response.map_err(|error| self.unreachable(&error))?, self).await?;
        Ok(response.bytes_stream().map(|part| {
            part.map(|bytes| bytes.to_vec()).or_fail(|| "the stream broke off".to_owned())
        }))
    }

    /// Every item of a listing, page by page, up to `limit`.
    pub(crate) async fn list(
        &self,
        path: &[&str],
        query: &Query<'_>,
        limit: usize,
    ) -> Outcome<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        while items.len() < limit {
            let mut query = query.to_vec();
            query.push(("limit", Some((limit - items.len()).min(1000).to_string())));
            query.push(("cursor", cursor.take()));
            let mut page = self.get(path, &query).await?;
            let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) else {
                return Err(Failure::new("the server's answer is not a listing"));
            };
            items.extend(found);
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        items.truncate(limit);
        Ok(items)
    }

    /// Whether the server is ready; `None` when no sentinel answers.
    pub(crate) async fn readiness(&self) -> Option<bool> {
        let request = self.request(Method::GET, &["readyz"], &[]).ok()?.timeout(PROBE_TIMEOUT);
        match request.send().await.ok()?.status() {
            StatusCode::OK => Some(true),
            StatusCode::SERVICE_UNAVAILABLE => Some(false),
            _ => None,
        }
    }

    /// Whether the server says that it is ready, and all that it says; `None` when it does not
    /// answer in JSON.
    pub(crate) async fn readiness_told(&self) -> Option<(bool, Value)> {
        let request = self.request(Method::GET, &["readyz"], &[]).ok()?.timeout(PROBE_TIMEOUT);
        let response = request.send().await.ok()?;
        let ready = response.status() == StatusCode::OK;
        Some((ready, response.json().await.ok()?))
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &Query<'_>,
        body: Option<&impl Serialize>,
    ) -> Outcome<Response> {
        let mut request = self.request(method, path, query)?.timeout(TIMEOUT);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        accepted(response, self).await
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &Query<'_>,
    ) -> Outcome<reqwest::RequestBuilder> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::usage(format!("`{}` is not an http address", self.base)))?
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

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        if error.is_timeout() {
            return Failure::new(format!("`{}` did not answer in time", self.base));
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Failure::new(format!("cannot reach `{}`: {cause}", self.base))
            .help("start a server with `sentinel dev`, or name another with --url")
    }
}

/// The response, unless it is an error.
async fn accepted(response: Response, client: &Client) -> Outcome<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.bytes().await.unwrap_or_default();
    let body = body.get(..body.len().min(MAX_PROBLEM)).unwrap_or_default();
    Err(problem(status, body, client))
}

/// A problem document in words.
fn problem(status: StatusCode, body: &[u8], client: &Client) -> Failure {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name| document.get(name).and_then(Value::as_str);
    let failure = match (text("detail").or_else(|| text("title")), text("code")) {
        (Some(detail), Some(code)) => Failure::new(format!("{detail} ({code})")),
        (Some(detail), None) => Failure::new(detail),
        _ => Failure::new(format!("`{}` answered {status}", client.base)),
    };
    let role = client.role.as_str();
    if status.is_redirection() {
        return failure.help("redirects are not followed: give the address it leads to with --url");
    }
    match (status, &client.withheld) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(why)) => failure.help(why.as_str()),
        (StatusCode::UNAUTHORIZED, None) if client.key.is_none() => failure.help(
            "give a key with --key or SENTINEL_API_KEY; on this machine, --data-dir DIR finds \
             those of `sentinel dev`",
        ),
        (StatusCode::UNAUTHORIZED, None) => {
            failure.help("the key is unknown or revoked; `sentinel key create` makes one")
        }
        (StatusCode::FORBIDDEN, None) => {
            failure.help(format!("this needs a key of role {role} or admin"))
        }
        _ => failure,
    }
}

async fn json(response: Response) -> Outcome<Value> {
    let body = response.bytes().await.or_fail(|| "the answer broke off".to_owned())?;
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).or_fail(|| "the server's answer is not JSON".to_owned())
}

/// The request that `body` describes: fields that are null are left out.
pub(crate) fn request(mut body: Value) -> Value {
    if let Value::Object(fields) = &mut body {
        fields.retain(|_, value| !value.is_null());
    }
    body
}

/// A field as text: a string as it is, nothing for what is absent or null, JSON for the rest.
pub(crate) fn text(value: &Value, field: &str) -> String {
    match value.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

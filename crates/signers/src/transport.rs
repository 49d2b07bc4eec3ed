//! Requests to key services, bounded in time, size and attempts.

use std::time::Duration;

use reqwest::{Client, Request, Response, StatusCode};
use url::Url;

use crate::error::SignersError;

/// Key material and signatures are small; error pages need not be.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The longest text of a service that an error message repeats, in characters.
const MAX_WHY: usize = 300;
const CONNECT: Duration = Duration::from_secs(3);
/// Time limit of each attempt, including reading the response.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Pauses between attempts. Requesting a signature twice is safe, even where signatures are
/// randomized: the first one was never used.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// The explanation of a service that refuses.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    pub(crate) why: String,
    /// The service is only busy.
    pub(crate) is_passing: bool,
}

/// A service with an HTTP interface.
#[derive(Debug)]
pub(crate) struct HttpService {
    name: &'static str,
    client: Client,
    /// Reads the error document of the service.
    explain: fn(&[u8]) -> Option<Refusal>,
    attempt: Duration,
}

impl HttpService {
    pub(crate) fn new(
        name: &'static str,
        explain: fn(&[u8]) -> Option<Refusal>,
        attempt: Option<Duration>,
    ) -> Result<Self, SignersError> {
        let client = Client::builder()
            // Credentials and trust apply to this service only.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            .user_agent(concat!("sentinel/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| SignersError::Away { service: name, why: error.to_string() })?;
        Ok(Self { name, client, explain, attempt: attempt.unwrap_or(ATTEMPT) })
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn unsound(&self, why: impl Into<String>) -> SignersError {
        SignersError::Unsound { service: self.name, why: why.into() }
    }

    pub(crate) fn credentials(&self, why: impl Into<String>) -> SignersError {
        SignersError::Credentials { service: self.name, why: why.into() }
    }

    /// Sends the request until the response is final, and returns the body of a successful one.
    ///
    /// # Errors
    /// [`SignersError::Refused`], [`SignersError::Away`] or [`SignersError::Unsound`].
    pub(crate) async fn ask(&self, request: Request) -> Result<Vec<u8>, SignersError> {
        let mut pauses = PAUSES.iter();
        loop {
            let Some(attempt) = request.try_clone() else {
                return Err(self.unsound("the request cannot be repeated"));
            };
            match self.attempt(attempt).await {
                Err(error) if error.is_away() => match pauses.next() {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None => return Err(error),
                },
                answer => return answer,
            }
        }
    }

    async fn attempt(&self, mut request: Request) -> Result<Vec<u8>, SignersError> {
        *request.timeout_mut() = Some(self.attempt);
        let answer = self.client.execute(request).await.map_err(|error| self.away(&error))?;
        let status = answer.status();
        let body = self.body(answer).await?;
        if status.is_success() {
            return Ok(body);
        }
        let refusal = (self.explain)(&body).unwrap_or_default();
        let why = printable(&refusal.why);
        let busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        if busy || refusal.is_passing {
            return Err(SignersError::Away {
                service: self.name,
                why: format!("it answered {}: {why}", status.as_u16()),
            });
        }
        Err(SignersError::Refused { service: self.name, status: status.as_u16(), why })
    }

    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, SignersError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.away(&error))? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(self.unsound(format!("it has more than {MAX_ANSWER_BYTES} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Without the address, which is in the configuration and does not belong in a log.
    fn away(&self, error: &reqwest::Error) -> SignersError {
        let why = if error.is_timeout() {
            "it took too long".to_owned()
        } else {
            let mut cause: &dyn std::error::Error = error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            format!("it cannot be reached: {cause}")
        };
        SignersError::Away { service: self.name, why }
    }
}

/// A text of the service for an error message: one line, limited in length.
fn printable(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    if text.is_empty() {
        "no reason given".to_owned()
    } else {
        text.chars().take(MAX_WHY).map(clean).collect()
    }
}

/// The base address of a service at `host` or `host:port`. Loopback addresses use clear text, as
/// agents and proxies on the same machine do. All other addresses use TLS, without exception.
pub(crate) fn base_of(host: &str) -> Option<Url> {
    let https = Url::parse(&format!("https://{host}/")).ok()?;
    let plain = https.path() == "/"
        && https.query().is_none()
        && https.fragment().is_none()
        && https.username().is_empty()
        && https.password().is_none();
    if !plain {
        return None;
    }
    let is_here = match https.host()? {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    };
    if is_here { Url::parse(&format!("http://{host}/")).ok() } else { Some(https) }
}

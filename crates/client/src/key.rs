//! API keys go to the origin that they were given for, and nowhere else.

use url::Url;

/// Where a server is looked for when nothing says where it is.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8000";
const KEY: &str = "SENTINEL_API_KEY";
const URL: &str = "SENTINEL_URL";

/// A key, and where it may go.
#[derive(Clone)]
pub struct ApiKey {
    secret: String,
    home: Url,
    of_environment: bool,
}

/// `SENTINEL_URL`, where the key of the environment may go, is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`SENTINEL_URL` is not an address: {0}")]
pub struct InvalidHome(url::ParseError);

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey").field("home", &origin(&self.home)).finish_non_exhaustive()
    }
}

impl ApiKey {
    /// A key for the server at `home`: it goes to the origin of that address.
    #[must_use]
    pub fn given(secret: &str, home: &Url) -> Self {
        Self { secret: secret.trim().to_owned(), home: home.clone(), of_environment: false }
    }

    /// The key of `SENTINEL_API_KEY`, which is for the server at `SENTINEL_URL`, [`DEFAULT_URL`]
    /// when that is not set.
    ///
    /// # Errors
    /// When there is a key and `SENTINEL_URL` is not an address.
    pub fn of_environment() -> Result<Option<Self>, InvalidHome> {
        let Some(secret) = variable(KEY) else { return Ok(None) };
        let home = url_of_environment()?;
        Ok(Some(Self { of_environment: true, ..Self::given(&secret, &home) }))
    }

    /// The key, for a request to `url`; `None` when it is for another origin.
    #[must_use]
    pub fn for_request_to(&self, url: &Url) -> Option<&str> {
        same_origin(&self.home, url).then_some(self.secret.as_str())
    }

    /// Why the key was not sent to `url`, and how to send one there: with the command line option
    /// `option`.
    #[must_use]
    pub fn withheld_from(&self, url: &Url, option: &str) -> String {
        let (home, asked) = (origin(&self.home), origin(url));
        if !self.of_environment {
            return format!("the key was not sent: it is for {home}, and this is {asked}");
        }
        format!(
            "{KEY} was not sent: it is for {home} ({URL}), and this is {asked}; to send a key there, \
             give it with {option}, or set {URL} to that address"
        )
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.trim().is_empty())
}

/// The address in `SENTINEL_URL`, or [`DEFAULT_URL`].
pub(crate) fn url_of_environment() -> Result<Url, InvalidHome> {
    let url = variable(URL).unwrap_or_else(|| DEFAULT_URL.to_owned());
    url.parse().map_err(InvalidHome)
}

/// Whether both are one server: scheme, host and port. The names of loopback are one host.
#[must_use]
pub fn same_origin(a: &Url, b: &Url) -> bool {
    let same_port = a.port_or_known_default() == b.port_or_known_default();
    a.origin() == b.origin()
        || (a.scheme() == b.scheme() && same_port && is_loopback(a) && is_loopback(b))
}

/// Scheme, host and port of an address, as text.
#[must_use]
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Whether an address is one of this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(v4)) => v4.is_loopback(),
        Some(url::Host::Ipv6(v6)) => v6.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_to_its_origin_only() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let key = ApiKey::given(" k\n", &url("https://sentinel.example/base?x=1"));
        for same in ["https://sentinel.example", "https://sentinel.example:443/v1/log/"] {
            assert_eq!(key.for_request_to(&url(same)), Some("k"), "{same}");
        }
        for other in [
            "http://sentinel.example/",
            "http://sentinel.example:443/",
            "https://sentinel.example:8443/",
            "https://sentinel.example.evil.example/",
            "https://www.sentinel.example/",
            "https://sentinel.example@evil.example/",
            "file:///etc/passwd",
        ] {
            assert_eq!(key.for_request_to(&url(other)), None, "{other}");
        }
        let local = ApiKey::given("k", &url(DEFAULT_URL));
        assert_eq!(local.for_request_to(&url("http://localhost:8000/")), Some("k"));
        assert_eq!(local.for_request_to(&url("http://localhost:8001/")), None);
        assert!(!format!("{:?}", ApiKey::given("hunter2", &url(DEFAULT_URL))).contains("hunter2"));
    }
}

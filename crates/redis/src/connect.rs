//! Connections: where Redis is, how to reach it, and how long to wait before trying again.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, TlsCertificates};

/// Where Redis is. Its `Debug` and its errors show no password.
#[derive(Clone)]
pub struct RedisTarget {
    client: Client,
}

/// PEM contents for a `rediss://` target.
#[derive(Clone, Default)]
pub struct TlsFiles {
    /// Certificates of the authorities to trust in place of the system's.
    pub ca: Option<Vec<u8>>,
    /// Certificate and private key that this replica presents.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsFiles")
            .field("ca", &self.ca.is_some())
            .field("client", &self.client.is_some())
            .finish()
    }
}

/// Why a target was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
    #[error("not a redis url; write `redis://host:port/db` or `rediss://…` for tls")]
    BadUrl,
    #[error("certificates are for `rediss://` urls")]
    TlsNotWanted,
    #[error("the tls certificates or the key cannot be read as pem")]
    BadTls,
    #[error("`rediss://` must verify certificates; remove `#insecure`")]
    Insecure,
    #[error("a prefix must be 1 to 64 letters, digits, `-`, `_`, `.` and `:`")]
    BadPrefix,
    #[error("redis does not respond: {0}")]
    Unavailable(String),
}

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);

impl RedisTarget {
    /// Reads `redis://[user:password@]host:port[/db]`, `rediss://…` (TLS) or `redis+unix:///path`.
    ///
    /// # Errors
    /// When the URL or the certificates cannot be used. Nothing is connected yet.
    pub fn new(url: &str, tls: Option<TlsFiles>) -> Result<Self, RedisError> {
        // rustls panics when two crates bring two providers and neither is chosen. Losing the
        // race to choose means that one is chosen.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let client = Client::open(url).map_err(|_| RedisError::BadUrl)?;
        let secured = match client.get_connection_info().addr() {
            ConnectionAddr::TcpTls { insecure: true, .. } => return Err(RedisError::Insecure),
            ConnectionAddr::TcpTls { .. } => true,
            _ => false,
        };
        let Some(tls) = tls else { return Ok(Self { client }) };
        if !secured {
            return Err(RedisError::TlsNotWanted);
        }
        let client_tls =
            tls.client.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        let certificates = TlsCertificates { client_tls, root_cert: tls.ca };
        let client = Client::build_with_tls(url, certificates).map_err(|_| RedisError::BadTls)?;
        Ok(Self { client })
    }

    /// Connects. `response` is the longest that any command of this connection may take.
    pub(crate) async fn connect(
        &self,
        response: Duration,
    ) -> redis::RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(response));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Whether Redis responds now.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn ping(&self) -> Result<(), RedisError> {
        let failed = |error: redis::RedisError| RedisError::Unavailable(error.to_string());
        let mut connection = self.connect(CONNECT).await.map_err(failed)?;
        redis::cmd("PING").query_async::<()>(&mut connection).await.map_err(failed)
    }
}

impl std::fmt::Debug for RedisTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RedisTarget").field(self.client.get_connection_info().addr()).finish()
    }
}

/// Checks what all keys begin with. Braces are left out: they are set around what must be in one
/// slot of a cluster.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), RedisError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    let good = (1..=64).contains(&prefix.len()) && prefix.bytes().all(allowed);
    if good { Ok(()) } else { Err(RedisError::BadPrefix) }
}

/// Waits between attempts: longer each time, and never all replicas at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { next: SHORTEST }
    }

    pub(crate) const fn reset(&mut self) {
        self.next = SHORTEST;
    }

    /// How long to wait now: half to all of a time that doubles.
    pub(crate) fn delay(&mut self) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(LONGEST);
        let jitter = getrandom::u32().unwrap_or(u32::MAX / 2);
        full.mul_f64(0.5 + 0.5 * f64::from(jitter) / f64::from(u32::MAX))
    }

    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.delay()).await;
    }
}

/// A task that ends with whatever owns it.
#[derive(Debug)]
pub(crate) struct Task(tokio::task::JoinHandle<()>);

impl Task {
    pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_bound_and_start_over() {
        let mut backoff = Backoff::new();
        for _ in 0..20 {
            let full = backoff.next;
            let delay = backoff.delay();
            assert!(delay >= full / 2 && delay <= full);
        }
        assert_eq!(backoff.next, LONGEST);
        backoff.reset();
        assert!(backoff.delay() <= SHORTEST);
    }

    #[test]
    fn unusable_targets_are_refused() {
        let refused = |url, tls| RedisTarget::new(url, tls).unwrap_err();
        assert_eq!(refused("http://localhost", None), RedisError::BadUrl);
        assert_eq!(refused("rediss://localhost/#insecure", None), RedisError::Insecure);
        assert_eq!(
            refused("redis://localhost", Some(TlsFiles::default())),
            RedisError::TlsNotWanted
        );
        let bad = TlsFiles { client: Some((b"x".to_vec(), b"y".to_vec())), ..TlsFiles::default() };
        assert_eq!(refused("rediss://localhost", Some(bad)), RedisError::BadTls);
    }

    #[test]
    fn no_password_is_shown() {
        let target = RedisTarget::new("redis://user:hunter2@localhost:1/0", None).unwrap();
        assert!(!format!("{target:?}").contains("hunter2"));
    }

    #[test]
    fn prefixes_hold_no_braces() {
        assert_eq!(check_prefix("sentinel:prod-1"), Ok(()));
        for bad in ["", "a{b}", "a b", "ä"] {
            assert_eq!(check_prefix(bad), Err(RedisError::BadPrefix));
        }
    }
}

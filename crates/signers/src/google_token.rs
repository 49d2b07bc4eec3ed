//! Access tokens for Google's services: from a file, for the key of a service account, or from the
//! metadata server of the machine.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use url::Url;
use zeroize::Zeroizing;

use crate::credentials::{Access, read_token};
use crate::error::{Holds, SignersError};
use crate::google::NAME;
use crate::source::{Secret, read_private};
use crate::transport::{HttpService, Refusal, base_of};

const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Lifetime of an assertion, the longest that Google accepts.
const ASSERTION_SECONDS: i64 = 3600;
/// A token that expires sooner is not used, because the request could arrive too late.
const MARGIN: Duration = Duration::from_secs(60);

/// Where tokens come from, and the one that is in use.
pub(crate) struct Tokens {
    source: Source,
    http: HttpService,
    current: Mutex<Option<(Secret, Instant)>>,
}

enum Source {
    File(PathBuf),
    Account(Box<Account>),
    Metadata(Url),
}

/// The key of a service account.
struct Account {
    email: String,
    key_id: String,
    key: KeyPair,
    token_uri: Url,
}

#[derive(Deserialize)]
struct AccountFile {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    client_email: String,
    #[serde(default)]
    private_key_id: String,
    private_key: Option<Secret>,
    #[serde(default)]
    token_uri: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    expires_in: u64,
}

impl Tokens {
    pub(crate) async fn new(access: &Access) -> Result<Self, SignersError> {
        let http = HttpService::new(NAME, explain, access.timeout)?;
        let source = if let Some(path) = &access.token_file {
            Source::File(path.clone())
        } else if let Some(path) = access.variable("GOOGLE_APPLICATION_CREDENTIALS") {
            let path = PathBuf::from(path);
            let read =
                tokio::task::spawn_blocking(move || read_private(&path, Holds::Credentials)).await;
            let file = read.map_err(|error| http.credentials(error.to_string()))??;
            let account = Account::read(&file).map_err(|why| {
                http.credentials(format!("GOOGLE_APPLICATION_CREDENTIALS names a file that {why}"))
            })?;
            Source::Account(Box::new(account))
        } else {
            let host = access.variable("GCE_METADATA_HOST").unwrap_or("metadata.google.internal");
            // The one service that is spoken to in clear text beyond this machine: it is the
            // hypervisor, and has no other address.
            let url = Url::parse(&format!(
                "http://{host}/computeMetadata/v1/instance/service-accounts/default/token"
            ));
            Source::Metadata(url.map_err(|error| http.credentials(error.to_string()))?)
        };
        Ok(Self { source, http, current: Mutex::default() })
    }

    /// A token that is valid long enough for a request.
    pub(crate) async fn current(&self) -> Result<Secret, SignersError> {
        // The lock is held during the request, so that concurrent callers share one token.
        let mut current = self.current.lock().await;
        let now = Instant::now();
        if let Some((token, until)) = &*current
            && *until > now
        {
            return Ok(token.clone());
        }
        let request = match &self.source {
            // Never cached: the writer of the file replaces the token in time.
            Source::File(path) => return read_token(NAME, path).await,
            Source::Account(account) => account.request(&self.http, Timestamp::now())?,
            Source::Metadata(url) => {
                let mut request = Request::new(Method::GET, url.clone());
                let flavor = HeaderValue::from_static("Google");
                request.headers_mut().insert("metadata-flavor", flavor);
                request
            }
        };
        let answer = Zeroizing::new(self.http.ask(request).await?);
        let granted: Granted = serde_json::from_slice(&answer)
            .map_err(|_| self.http.unsound("what should be a token is none"))?;
        let token = granted.access_token;
        let lasts = Duration::from_secs(granted.expires_in).saturating_sub(MARGIN);
        *current = now.checked_add(lasts).map(|until| (token.clone(), until));
        Ok(token)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::File(_) => "file",
            Source::Account(_) => "service account",
            Source::Metadata(_) => "metadata server",
        };
        f.debug_struct("Tokens").field("source", &source).finish_non_exhaustive()
    }
}

impl Account {
    fn read(file: &[u8]) -> Result<Self, String> {
        let file: AccountFile = serde_json::from_slice(file)
            .map_err(|_| "is not JSON of a service account".to_owned())?;
        if file.kind != "service_account" {
            let kind = file.kind;
            return Err(format!(
                "is of type `{kind}`, and only `service_account` is read; set \
                 `key_service_token_file` to a file that something else keeps a token in"
            ));
        }
        let pem = file.private_key.as_ref().map_or("", Secret::as_str);
        let key = pem_rfc7468::decode_vec(pem.as_bytes()).ok();
        let key = key.filter(|(label, _)| *label == "PRIVATE KEY");
        let key = key.and_then(|(_, der)| KeyPair::from_pkcs8(&Zeroizing::new(der)).ok());
        let key = key.ok_or_else(|| "has no RSA key in PKCS#8".to_owned())?;
        let token_uri = Url::parse(&file.token_uri).ok();
        let token_uri = token_uri.filter(|url| match url.host_str() {
            // The rule for every service: in clear text only on this machine.
            Some(host) => {
                url.scheme() == "https"
                    || base_of(host).is_some_and(|base| base.scheme() == url.scheme())
            }
            None => false,
        });
        let token_uri = token_uri.ok_or_else(|| "has no https `token_uri`".to_owned())?;
        Ok(Self { email: file.client_email, key_id: file.private_key_id, key, token_uri })
    }

    /// Requests a token with an assertion signed by the account's key (RFC 7523).
    fn request(&self, http: &HttpService, now: Timestamp) -> Result<Request, SignersError> {
        let issued = now.as_second();
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri.as_str(),
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
        });
        let mut assertion = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key
            .sign(&RSA_PKCS1_SHA256, &random, assertion.as_bytes(), &mut signature)
            .map_err(|_| http.credentials("the key of the service account cannot sign"))?;
        assertion.push('.');
        assertion.push_str(&URL_SAFE_NO_PAD.encode(signature));
        // Neither part has a character that a form would escape, but for the colons.
        let body = format!("grant_type={}&assertion={assertion}", GRANT.replace(':', "%3A"));
        let mut request = Request::new(Method::POST, self.token_uri.clone());
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
        *request.body_mut() = Some(body.into());
        Ok(request)
    }
}

fn explain(body: &[u8]) -> Option<Refusal> {
    #[derive(Deserialize)]
    struct Fault {
        error: String,
        #[serde(default)]
        error_description: String,
    }
    let Fault { error, error_description } = serde_json::from_slice(body).ok()?;
    Some(Refusal { why: format!("{error}: {error_description}"), is_passing: false })
}

//! Keys in the Transit engine of HashiCorp Vault, or of OpenBao.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Request};
use sentinel_provenance::Sha256Digest;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::address::VaultKey;
use crate::credentials::{Access, read_token, secret_header};
use crate::error::SignersError;
use crate::key::{KeyService, PublicHalf};
use crate::source::Secret;
use crate::transport::{HttpService, Refusal};

const NAME: &str = "Vault";
/// Minimum time between two renewals, even if Vault reports that the token expires at once.
const MIN_RENEWAL: Duration = Duration::from_secs(1);

/// A version of a key in Vault.
#[derive(Debug)]
pub(crate) struct Vault {
    door: Arc<Door>,
    sign_url: url::Url,
    version: u32,
    half: PublicHalf,
    /// Renews the token, if this process is responsible for that.
    renewal: Option<JoinHandle<()>>,
}

/// How requests reach Vault.
#[derive(Debug)]
struct Door {
    http: HttpService,
    base: url::Url,
    namespace: Option<HeaderValue>,
    token: Token,
}

#[derive(Debug)]
enum Token {
    File(std::path::PathBuf),
    Given(Secret),
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct KeyData {
    #[serde(rename = "type")]
    kind: String,
    latest_version: u32,
    keys: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct SignData {
    signature: String,
}

#[derive(Deserialize)]
struct TokenData {
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(Deserialize)]
struct Renewed {
    auth: Lease,
}

#[derive(Deserialize)]
struct Lease {
    lease_duration: u64,
}

impl Vault {
    pub(crate) async fn open(key: &VaultKey, access: &Access) -> Result<Self, SignersError> {
        let door = Arc::new(Door::new(key, access)?);
        let path = format!("v1/{}/keys/{}", key.mount, key.key);
        let found: Data<KeyData> = door.ask(Method::GET, &door.url(&path)?, None).await?;
        let found = found.data;
        let version = key.version.unwrap_or(found.latest_version);
        let half = half_of(&found, version).map_err(|why| door.http.unsound(why))?;
        // The hash is named in the path, where all versions of Vault understand it.
        let hash = if matches!(half, PublicHalf::P256(_)) { "/sha2-256" } else { "" };
        let sign_url = door.url(&format!("v1/{}/sign/{}{hash}", key.mount, key.key))?;
        let renewal = match &door.token {
            Token::Given(_) => door.renewable().await.map(|ttl| {
                let door = Arc::clone(&door);
                tokio::spawn(async move { door.keep_token(ttl).await })
            }),
            Token::File(_) => None,
        };
        Ok(Self { door, sign_url, version, half, renewal })
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.renewal.iter().for_each(JoinHandle::abort);
    }
}

fn half_of(found: &KeyData, version: u32) -> Result<PublicHalf, String> {
    let entry = found.keys.get(&version.to_string());
    let entry = entry.ok_or_else(|| format!("it has no version {version} of the key"))?;
    let public = entry.get("public_key").and_then(Value::as_str);
    let public =
        public.ok_or_else(|| format!("a key of type `{}` has no public half", found.kind))?;
    let half = match found.kind.as_str() {
        "ecdsa-p256" => PublicHalf::from_spki_pem(public),
        "ed25519" => STANDARD
            .decode(public)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(PublicHalf::Ed25519),
        kind => return Err(format!("a key of type `{kind}` signs neither manifests nor logs")),
    };
    half.ok_or_else(|| "the public half of the key cannot be read".to_owned())
}

impl Door {
    fn new(key: &VaultKey, access: &Access) -> Result<Self, SignersError> {
        let http = HttpService::new(NAME, explain, access.timeout)?;
        let token = match (&access.token_file, access.variable("VAULT_TOKEN")) {
            (Some(path), _) => Token::File(path.clone()),
            (None, Some(token)) => Token::Given(Secret::new(token.to_owned())),
            (None, None) => {
                return Err(http.credentials(
                    "neither `key_service_token_file` nor the variable VAULT_TOKEN is set",
                ));
            }
        };
        let namespace = key.namespace.as_deref().or(access.variable("VAULT_NAMESPACE"));
        let namespace = namespace.map(HeaderValue::from_str).transpose();
        let namespace = namespace.map_err(|_| http.credentials("the namespace is not one"))?;
        Ok(Self { http, base: key.base.clone(), namespace, token })
    }

    fn url(&self, path: &str) -> Result<url::Url, SignersError> {
        self.base.join(path).map_err(|error| self.http.unsound(error.to_string()))
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        url: &url::Url,
        body: Option<Value>,
    ) -> Result<T, SignersError> {
        let mut request = Request::new(method, url.clone());
        *request.headers_mut() = self.headers().await?;
        if let Some(body) = body {
            *request.body_mut() = Some(body.to_string().into());
        }
        let answer = self.http.ask(request).await?;
        // serde_json would repeat the answer in its message.
        serde_json::from_slice(&answer).map_err(|_| self.http.unsound("it is not what Vault says"))
    }

    async fn headers(&self) -> Result<HeaderMap, SignersError> {
        let token = match &self.token {
            Token::File(path) => &read_token(NAME, path).await?,
            Token::Given(token) => token,
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-vault-token", secret_header(NAME, "", token)?);
        // Without it an agent in between takes the request for a forged one.
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(namespace) = &self.namespace {
            headers.insert("x-vault-namespace", namespace.clone());
        }
        Ok(headers)
    }

    /// Remaining lifetime of the token, if it can be renewed.
    async fn renewable(&self) -> Option<Duration> {
        let url = self.url("v1/auth/token/lookup-self").ok()?;
        match self.ask::<Data<TokenData>>(Method::GET, &url, None).await {
            Ok(Data { data }) if data.renewable && data.ttl > 0 => {
                Some(Duration::from_secs(data.ttl))
            }
            Ok(Data { data }) => {
                if data.ttl > 0 {
                    tracing::warn!(seconds = data.ttl, "the token for Vault cannot be renewed");
                }
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the token for Vault is not renewed: it may not look itself up");
                None
            }
        }
    }

    /// Renews the token at half of its lifetime, as long as it is renewable.
    async fn keep_token(&self, mut ttl: Duration) {
        let Ok(url) = self.url("v1/auth/token/renew-self") else { return };
        loop {
            tokio::time::sleep((ttl / 2).max(MIN_RENEWAL)).await;
            match self.ask::<Renewed>(Method::POST, &url, Some(json!({}))).await {
                Ok(Renewed { auth }) => ttl = Duration::from_secs(auth.lease_duration),
                Err(error) => {
                    ttl /= 2;
                    tracing::error!(%error, "the token for Vault was not renewed; trying again");
                }
            }
        }
    }
}

#[async_trait]
impl KeyService for Vault {
    fn holder(&self) -> &'static str {
        self.door.http.name()
    }

    fn public_half(&self) -> &PublicHalf {
        &self.half
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignersError> {
        let body = match self.half {
            PublicHalf::P256(_) => json!({
                "input": STANDARD.encode(Sha256Digest::of(message).as_bytes()),
                "prehashed": true,
                "marshaling_algorithm": "asn1",
                "key_version": self.version,
            }),
            PublicHalf::Ed25519(_) => json!({
                "input": STANDARD.encode(message),
                "key_version": self.version,
            }),
        };
        let signed: Data<SignData> =
            self.door.ask(Method::POST, &self.sign_url, Some(body)).await?;
        let prefix = format!("vault:v{}:", self.version);
        let signature = signed.data.signature.strip_prefix(&prefix);
        let signature = signature.and_then(|text| STANDARD.decode(text).ok());
        signature.ok_or_else(|| {
            self.door.http.unsound("it is not a signature by this version of the key")
        })
    }
}

fn explain(body: &[u8]) -> Option<Refusal> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<String>,
    }
    let Errors { errors } = serde_json::from_slice(body).ok()?;
    Some(Refusal { why: errors.join("; "), is_passing: false })
}

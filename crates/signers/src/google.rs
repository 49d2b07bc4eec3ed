//! Keys in Google's Cloud KMS.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc::{CRC_32_ISCSI, Crc};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use sentinel_provenance::Sha256Digest;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::address::GoogleKey;
use crate::credentials::{Access, secret_header};
use crate::error::SignersError;
use crate::google_token::Tokens;
use crate::key::{KeyService, PublicHalf};
use crate::transport::{HttpService, Refusal};

pub(crate) const NAME: &str = "Google Cloud KMS";

/// CRC-32C, with which both sides detect corrupted messages.
const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// A version of a key in Google's KMS.
#[derive(Debug)]
pub(crate) struct GoogleKms {
    http: HttpService,
    tokens: Tokens,
    name: String,
    sign_url: Url,
    half: PublicHalf,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundKey {
    name: String,
    algorithm: String,
    pem: String,
    pem_crc32c: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    name: String,
    signature: String,
    signature_crc32c: String,
    #[serde(default)]
    verified_digest_crc32c: bool,
    #[serde(default)]
    verified_data_crc32c: bool,
}

impl GoogleKms {
    pub(crate) async fn open(key: &GoogleKey, access: &Access) -> Result<Self, SignersError> {
        let http = HttpService::new(NAME, explain, access.timeout)?;
        let tokens = Tokens::new(access).await?;
        let url = |rest: &str| {
            let url = key.base.join(&format!("v1/{}{rest}", key.name));
            url.map_err(|error| http.unsound(error.to_string()))
        };
        let (public_url, sign_url) = (url("/publicKey")?, url(":asymmetricSign")?);
        let found: FoundKey = ask(&http, &tokens, Method::GET, &public_url, None).await?;
        let half = half_of(&found, &key.name).map_err(|why| http.unsound(why))?;
        Ok(Self { name: key.name.clone(), http, tokens, sign_url, half })
    }
}

async fn ask<T: serde::de::DeserializeOwned>(
    http: &HttpService,
    tokens: &Tokens,
    method: Method,
    url: &Url,
    body: Option<Value>,
) -> Result<T, SignersError> {
    let token = tokens.current().await?;
    let mut request = Request::new(method, url.clone());
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, secret_header(NAME, "Bearer ", &token)?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(body) = body {
        *request.body_mut() = Some(body.to_string().into());
    }
    let answer = http.ask(request).await?;
    // serde_json would repeat the answer in its message.
    serde_json::from_slice(&answer).map_err(|_| http.unsound("it is not what Cloud KMS says"))
}

fn half_of(found: &FoundKey, name: &str) -> Result<PublicHalf, String> {
    if found.name != name {
        return Err("it is another key than the one asked for".to_owned());
    }
    if found.pem_crc32c != checksum(found.pem.as_bytes()) {
        return Err("the public key does not have its checksum".to_owned());
    }
    let half = PublicHalf::from_spki_pem(&found.pem);
    let fits = match half {
        Some(PublicHalf::P256(_)) => found.algorithm == "EC_SIGN_P256_SHA256",
        Some(PublicHalf::Ed25519(_)) => found.algorithm == "EC_SIGN_ED25519",
        None => false,
    };
    half.filter(|_| fits).ok_or_else(|| {
        format!("a key of algorithm `{}` signs neither manifests nor logs", found.algorithm)
    })
}

fn checksum(bytes: &[u8]) -> String {
    CRC32C.checksum(bytes).to_string()
}

#[async_trait]
impl KeyService for GoogleKms {
    fn holder(&self) -> &'static str {
        self.http.name()
    }

    fn public_half(&self) -> &PublicHalf {
        &self.half
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignersError> {
        let is_digest = matches!(self.half, PublicHalf::P256(_));
        let body = if is_digest {
            let digest = Sha256Digest::of(message);
            json!({
                "digest": { "sha256": STANDARD.encode(digest.as_bytes()) },
                "digestCrc32c": checksum(digest.as_bytes()),
            })
        } else {
            json!({ "data": STANDARD.encode(message), "dataCrc32c": checksum(message) })
        };
        let signed: Signed =
            ask(&self.http, &self.tokens, Method::POST, &self.sign_url, Some(body)).await?;
        let arrived =
            if is_digest { signed.verified_digest_crc32c } else { signed.verified_data_crc32c };
        if signed.name != self.name {
            return Err(self.http.unsound("it is a signature by another key"));
        }
        if !arrived {
            return Err(self
                .http
                .unsound("it did not compare the checksum of what was to be signed"));
        }
        let signature = STANDARD
            .decode(&signed.signature)
            .map_err(|_| self.http.unsound("the signature is not base64"))?;
        if signed.signature_crc32c != checksum(&signature) {
            return Err(self.http.unsound("the signature does not have its checksum"));
        }
        Ok(signature)
    }
}

pub(crate) fn explain(body: &[u8]) -> Option<Refusal> {
    #[derive(Deserialize)]
    struct Fault {
        error: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let Fault { error } = serde_json::from_slice(body).ok()?;
    Some(Refusal { why: error.message, is_passing: false })
}

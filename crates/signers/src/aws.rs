//! Keys in AWS KMS.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use object_store::RetryConfig;
use object_store::aws::{
    AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, AwsCredential, AwsCredentialProvider,
};
use object_store::client::HttpRequestBody;
use sentinel_provenance::Sha256Digest;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::address::AwsKey;
use crate::credentials::Access;
use crate::error::SignersError;
use crate::key::{KeyService, PublicHalf};
use crate::transport::{HttpService, Refusal};

const NAME: &str = "AWS KMS";

/// A key in AWS KMS.
#[derive(Debug)]
pub(crate) struct AwsKms {
    http: HttpService,
    endpoint: Url,
    region: String,
    credentials: AwsCredentialProvider,
    /// The ARN of the key itself, because an alias can be moved to another key while we run.
    key: String,
    half: PublicHalf,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FoundKey {
    key_id: String,
    key_usage: String,
    key_spec: String,
    public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Signed {
    key_id: String,
    signature: String,
}

impl AwsKms {
    pub(crate) async fn open(key: &AwsKey, access: &Access) -> Result<Self, SignersError> {
        let http = HttpService::new(NAME, explain, access.timeout)?;
        let region = key.region.as_deref();
        let region = region.or(access.variable("AWS_REGION"));
        let region = region.or(access.variable("AWS_DEFAULT_REGION"));
        let region = region.ok_or_else(|| {
            http.credentials("neither the key's ARN nor the variable AWS_REGION names a region")
        })?;
        let endpoint = match &key.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => endpoint_of(region).ok_or_else(|| http.credentials("the region is not one"))?,
        };
        let credentials =
            credentials(region, access).map_err(|error| http.credentials(error.to_string()))?;
        let region = region.to_owned();
        let mut kms = Self {
            http,
            endpoint,
            region,
            credentials,
            key: key.key.clone(),
            half: PublicHalf::Ed25519([0; 32]),
        };
        let found: FoundKey = kms.ask("GetPublicKey", &json!({ "KeyId": kms.key })).await?;
        kms.half = half_of(&found).map_err(|why| kms.http.unsound(why))?;
        kms.key = found.key_id;
        Ok(kms)
    }

    /// Calls an operation, signed with the current credentials.
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        operation: &'static str,
        body: &Value,
    ) -> Result<T, SignersError> {
        let credential = self.credentials.get_credential().await;
        let credential = credential.map_err(|error| self.http.credentials(error.to_string()))?;
        let body = body.to_string();
        let request = http::Request::post(self.endpoint.as_str())
            .header(CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{operation}"))
            .body(HttpRequestBody::from(body.clone()));
        let mut request = request.map_err(|error| self.http.unsound(error.to_string()))?;
        if !is_header_safe(&credential) {
            return Err(self.http.credentials("they have characters that no header may have"));
        }
        AwsAuthorizer::new(&credential, "kms", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| self.http.credentials(error.to_string()))?;
        let (mut parts, _) = request.into_parts();
        for name in ["authorization", "x-amz-security-token"] {
            if let Some(value) = parts.headers.get_mut(name) {
                value.set_sensitive(true);
            }
        }
        let request = reqwest::Request::try_from(http::Request::from_parts(parts, body))
            .map_err(|error| self.http.unsound(error.to_string()))?;
        let answer = self.http.ask(request).await?;
        // serde_json would repeat the answer in its message.
        serde_json::from_slice(&answer).map_err(|_| self.http.unsound("it is not what KMS says"))
    }
}

fn endpoint_of(region: &str) -> Option<Url> {
    let sound = region.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    sound.then(|| Url::parse(&format!("https://kms.{region}.{domain}/")).ok()).flatten()
}

/// The same credential chain as for the archive in S3: keys or a web identity from the environment,
/// or the credentials of the container, the pod or the machine.
fn credentials(
    region: &str,
    access: &Access,
) -> Result<AwsCredentialProvider, object_store::Error> {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in &access.environment {
        let key = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse());
        if let Some(Ok(key)) = key {
            let key: AmazonS3ConfigKey = key;
            builder = builder.with_config(key, value);
        }
    }
    let patience = std::time::Duration::from_secs(10);
    let retry = RetryConfig { retry_timeout: patience, ..RetryConfig::default() };
    // No bucket is ever asked; the builder wants the name of one.
    let storage = builder.with_retry(retry).with_region(region).with_bucket_name("none").build()?;
    Ok(std::sync::Arc::clone(storage.credentials()))
}

/// The crate that signs requests panics on other characters.
fn is_header_safe(credential: &AwsCredential) -> bool {
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    visible(&credential.key_id) && credential.token.as_deref().is_none_or(visible)
}

fn half_of(found: &FoundKey) -> Result<PublicHalf, String> {
    if found.key_usage != "SIGN_VERIFY" {
        return Err(format!("a key for `{}` signs nothing", found.key_usage));
    }
    let der = STANDARD.decode(&found.public_key).ok();
    let half = der.and_then(|der| PublicHalf::from_spki_der(&der));
    half.ok_or_else(|| {
        format!("a key of spec `{}` signs neither manifests nor logs", found.key_spec)
    })
}

#[async_trait]
impl KeyService for AwsKms {
    fn holder(&self) -> &'static str {
        self.http.name()
    }

    fn public_half(&self) -> &PublicHalf {
        &self.half
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignersError> {
        let digest = Sha256Digest::of(message);
        let (algorithm, kind, message) = match self.half {
            PublicHalf::P256(_) => ("ECDSA_SHA_256", "DIGEST", digest.as_bytes().as_slice()),
            // The other algorithm of such keys signs a digest, and verifies nowhere else.
            PublicHalf::Ed25519(_) => ("ED25519_SHA_512", "RAW", message),
        };
        let body = json!({
            "KeyId": self.key,
            "Message": STANDARD.encode(message),
            "MessageType": kind,
            "SigningAlgorithm": algorithm,
        });
        let signed: Signed = self.ask("Sign", &body).await?;
        if signed.key_id != self.key {
            return Err(self.http.unsound("it is a signature by another key"));
        }
        let signature = STANDARD.decode(&signed.signature);
        signature.map_err(|_| self.http.unsound("the signature is not base64"))
    }
}

fn explain(body: &[u8]) -> Option<Refusal> {
    #[derive(Deserialize)]
    struct Fault {
        #[serde(rename = "__type")]
        kind: String,
        #[serde(default, alias = "Message")]
        message: String,
    }
    let Fault { kind, message } = serde_json::from_slice(body).ok()?;
    let kind = kind.rsplit('#').next().unwrap_or_default();
    let is_passing = matches!(kind, "ThrottlingException" | "LimitExceededException");
    Some(Refusal { why: format!("{kind}: {message}"), is_passing })
}

//! A stand-in for Google: Cloud KMS with versions 1 of the keys `manifests` (EC_SIGN_P256_SHA256),
//! `log` (EC_SIGN_ED25519) and `other` (EC_SIGN_P384_SHA384), and the two ways to a token: the
//! OAuth endpoint for service accounts, and the metadata server.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Fault, Pairs, Protocol, StandIn, header, pem};

const RING: &str = "projects/p/locations/global/keyRings/r/cryptoKeys";
const EMAIL: &str = "sentinel@p.iam.gserviceaccount.com";

/// A stand-in for Google's Cloud KMS.
#[derive(Debug)]
pub struct StandInGoogleKms {
    server: StandIn,
    google: Arc<Google>,
}

struct Google {
    pairs: Pairs,
    account: KeyPair,
    address: SocketAddr,
    /// Tokens that were handed out, or are taken from the start.
    tokens: Mutex<Vec<String>>,
    expires_in: u64,
}

impl std::fmt::Debug for Google {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Google")
    }
}

impl StandInGoogleKms {
    /// One whose tokens last that many seconds.
    #[must_use]
    pub fn start(expires_in: u64) -> Self {
        let account = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let mut made = None;
        let server = StandIn::start(|address| {
            let google = Arc::new(Google {
                pairs: Pairs::new(),
                account,
                address,
                tokens: Mutex::default(),
                expires_in,
            });
            made = Some(Arc::clone(&google));
            google
        });
        Self { server, google: made.unwrap() }
    }

    /// The address of a key here.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("gcpkms://{RING}/{name}/cryptoKeyVersions/1?endpoint={}", self.server.host())
    }

    /// The file of the service account.
    #[must_use]
    pub fn account_file(&self) -> String {
        let der: Pkcs8V1Der<'_> = self.google.account.as_der().unwrap();
        json!({
            "type": "service_account",
            "client_email": EMAIL,
            "private_key_id": "k1",
            "private_key": pem("PRIVATE KEY", der.as_ref()),
            "token_uri": self.google.token_uri(),
        })
        .to_string()
    }

    /// Takes this token too.
    pub fn take_token(&self, token: &str) {
        self.google.tokens.lock().unwrap().push(token.to_owned());
    }

    /// How many tokens there are.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.google.tokens.lock().unwrap().len()
    }
}

impl Deref for StandInGoogleKms {
    type Target = StandIn;

    fn deref(&self) -> &StandIn {
        &self.server
    }
}

/// CRC-32C, bit by bit: reflected polynomial 0x82F63B78.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    !crc
}

fn error(code: u16, status: &str, message: &str) -> (u16, Value) {
    (code, json!({"error": {"code": code, "message": message, "status": status}}))
}

impl Protocol for Google {
    fn answer(&self, request: &Parts, body: &[u8], fault: Fault) -> (u16, Value) {
        let path = request.uri.path();
        if path == "/token" {
            return self.exchange(request, body);
        }
        if path == "/computeMetadata/v1/instance/service-accounts/default/token" {
            if header(request, "metadata-flavor") != "Google" {
                return error(403, "FORBIDDEN", "missing required header");
            }
            return self.grant();
        }
        let token = header(request, "authorization").strip_prefix("Bearer ");
        let known = |token: &str| self.tokens.lock().unwrap().iter().any(|one| one == token);
        if !token.is_some_and(known) {
            return error(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials.",
            );
        }
        match fault {
            Fault::Refuses => {
                let why = "Permission 'cloudkms.cryptoKeyVersions.useToSign' denied";
                return error(403, "PERMISSION_DENIED", why);
            }
            Fault::Throttles => return error(429, "RESOURCE_EXHAUSTED", "Quota exceeded"),
            _ => {}
        }
        let Some((key, rest)) = path.strip_prefix("/v1/").and_then(|path| {
            path.strip_prefix(RING)?.strip_prefix('/')?.split_once("/cryptoKeyVersions/1")
        }) else {
            return error(404, "NOT_FOUND", "CryptoKeyVersion not found.");
        };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match (request.method.as_str(), rest) {
            ("GET", "/publicKey") => self.public_key(key, fault),
            ("POST", ":asymmetricSign") => self.sign(key, &body, fault),
            _ => error(404, "NOT_FOUND", "not found"),
        }
    }
}

impl Google {
    fn token_uri(&self) -> String {
        format!("http://{}/token", self.address)
    }

    fn grant(&self) -> (u16, Value) {
        let mut tokens = self.tokens.lock().unwrap();
        let token = format!("ya29.stand-in-{}", tokens.len());
        tokens.push(token.clone());
        (200, json!({"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer"}))
    }

    /// The grant of RFC 7523: the assertion must be what Google's documentation says.
    fn exchange(&self, request: &Parts, body: &[u8]) -> (u16, Value) {
        let invalid =
            |why: &str| (400, json!({"error": "invalid_grant", "error_description": why}));
        if header(request, "content-type") != "application/x-www-form-urlencoded" {
            return invalid("not a form");
        }
        let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
        let field =
            |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if field("grant_type") != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
            return invalid("unsupported grant");
        }
        let Some((signed, signature)) = field("assertion").and_then(|jwt| jwt.rsplit_once('.'))
        else {
            return invalid("no assertion");
        };
        let key = self.account.public_key().as_ref();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
        if key.verify(signed.as_bytes(), &signature).is_err() {
            return invalid("Invalid JWT Signature.");
        }
        let parts: Vec<Value> = signed
            .split('.')
            .filter_map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok())
            .collect();
        let [head, claims] = parts.as_slice() else { return invalid("not a JWT") };
        let now = Timestamp::now().as_second();
        let (issued, expires) = (claims["iat"].as_i64(), claims["exp"].as_i64());
        let lasts = issued.zip(expires).is_some_and(|(issued, expires)| {
            (issued - now).abs() < 60 && expires > now && expires - issued <= 3600
        });
        if head["alg"] != "RS256" || head["kid"] != "k1" || claims["iss"] != EMAIL || !lasts {
            return invalid("Invalid JWT");
        }
        let scope = "https://www.googleapis.com/auth/cloudkms";
        if claims["aud"] != self.token_uri() || claims["scope"] != scope {
            return invalid("Invalid audience or scope");
        }
        self.grant()
    }

    fn public_key(&self, key: &str, fault: Fault) -> (u16, Value) {
        let (algorithm, der) = match key {
            "manifests" => ("EC_SIGN_P256_SHA256", self.pairs.p256_spki()),
            "log" => ("EC_SIGN_ED25519", self.pairs.ed25519_spki()),
            // Its algorithm is what this is about; the key itself is never looked at.
            "other" => ("EC_SIGN_P384_SHA384", self.pairs.p256_spki()),
            _ => return error(404, "NOT_FOUND", "CryptoKey not found."),
        };
        let text = pem("PUBLIC KEY", &der);
        let checksum = crc32c(text.as_bytes()) ^ u32::from(fault == Fault::WrongChecksum);
        (
            200,
            json!({
                "name": format!("{RING}/{key}/cryptoKeyVersions/1"),
                "algorithm": algorithm,
                "pem": text,
                "pemCrc32c": checksum.to_string(),
                "protectionLevel": "HSM",
            }),
        )
    }

    fn sign(&self, key: &str, body: &Value, fault: Fault) -> (u16, Value) {
        let invalid = |why: &str| error(400, "INVALID_ARGUMENT", why);
        let (field, input) = match key {
            "manifests" => ("digest", body["digest"]["sha256"].as_str()),
            "log" => ("data", body["data"].as_str()),
            _ => return invalid("algorithm and input do not fit"),
        };
        let Some(input) = input.and_then(|text| STANDARD.decode(text).ok()) else {
            return invalid("no input of this key's kind");
        };
        let checksum = body[format!("{field}Crc32c")].as_str();
        let is_compared = checksum.is_some() && fault != Fault::IgnoresChecksum;
        if checksum.is_some_and(|checksum| checksum != crc32c(&input).to_string()) {
            return invalid("The checksum in field does not match the data");
        }
        let signature = match key {
            "manifests" => self.pairs.sign_digest(&input, fault),
            _ => Some(self.pairs.sign_message(&input, fault)),
        };
        let Some(signature) = signature else { return invalid("digest has another length") };
        let wrong = u32::from(fault == Fault::WrongChecksum);
        let version = if fault == Fault::AnotherKey { 2 } else { 1 };
        let verified =
            if field == "digest" { "verifiedDigestCrc32c" } else { "verifiedDataCrc32c" };
        (
            200,
            json!({
                "name": format!("{RING}/{key}/cryptoKeyVersions/{version}"),
                "signature": STANDARD.encode(&signature),
                "signatureCrc32c": (crc32c(&signature) ^ wrong).to_string(),
                verified: is_compared,
                "protectionLevel": "HSM",
            }),
        )
    }
}

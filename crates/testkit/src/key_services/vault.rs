//! A stand-in for Vault's Transit engine, mounted at `transit`, with the keys `manifests`
//! (ecdsa-p256), `log` (ed25519) and `secrets` (aes256-gcm96).

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Fault, Pairs, Protocol, StandIn, header, pem};

/// A stand-in for HashiCorp Vault.
#[derive(Debug)]
pub struct StandInVault {
    server: StandIn,
    vault: Arc<Vault>,
}

struct Vault {
    token: Mutex<String>,
    namespace: Option<String>,
    /// Seconds that the token lasts; 0 for one without end.
    ttl: u64,
    renewed: Mutex<usize>,
    versions: Mutex<Vec<Pairs>>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl StandInVault {
    /// One that takes this token, in this namespace.
    #[must_use]
    pub fn start(token: &str, namespace: Option<&str>, ttl: u64) -> Self {
        let vault = Arc::new(Vault {
            token: Mutex::new(token.to_owned()),
            namespace: namespace.map(str::to_owned),
            ttl,
            renewed: Mutex::default(),
            versions: Mutex::new(vec![Pairs::new()]),
        });
        let protocol = Arc::clone(&vault);
        Self { server: StandIn::start(move |_| protocol), vault }
    }

    /// Adds a version to each key, which becomes the newest.
    pub fn rotate(&self) {
        self.vault.versions.lock().unwrap().push(Pairs::new());
    }

    /// Takes another token from now on, and no other.
    pub fn expect_token(&self, token: &str) {
        token.clone_into(&mut self.vault.token.lock().unwrap());
    }

    /// How often the token was renewed.
    #[must_use]
    pub fn renewed(&self) -> usize {
        *self.vault.renewed.lock().unwrap()
    }
}

impl Deref for StandInVault {
    type Target = StandIn;

    fn deref(&self) -> &StandIn {
        &self.server
    }
}

fn errors(status: u16, text: &str) -> (u16, Value) {
    (status, json!({ "errors": [text] }))
}

impl Protocol for Vault {
    fn answer(&self, request: &Parts, body: &[u8], fault: Fault) -> (u16, Value) {
        if header(request, "x-vault-request") != "true" {
            return errors(400, "missing 'X-Vault-Request' header");
        }
        let namespace = header(request, "x-vault-namespace");
        if header(request, "x-vault-token") != *self.token.lock().unwrap()
            || namespace != self.namespace.as_deref().unwrap_or_default()
            || fault == Fault::Refuses
        {
            return errors(403, "permission denied");
        }
        if fault == Fault::Throttles {
            return errors(429, "request path \"transit/sign\": rate limit quota exceeded");
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let path: Vec<_> = request.uri.path().split('/').skip(1).collect();
        // To Vault a PUT is a POST, and its own client sends PUTs.
        let method = if request.method == "PUT" { "POST" } else { request.method.as_str() };
        match (method, path.as_slice()) {
            ("GET", ["v1", "auth", "token", "lookup-self"]) => {
                (200, json!({"data": {"ttl": self.ttl, "renewable": self.ttl > 0}}))
            }
            ("POST", ["v1", "auth", "token", "renew-self"]) => {
                *self.renewed.lock().unwrap() += 1;
                let lease = json!({"lease_duration": self.ttl, "renewable": true});
                (200, json!({"auth": lease}))
            }
            ("GET", ["v1", "transit", "keys", key]) => self.read(key),
            ("POST", ["v1", "transit", "sign", key]) => self.sign(key, "sha2-256", &body, fault),
            ("POST", ["v1", "transit", "sign", key, hash]) => self.sign(key, hash, &body, fault),
            _ => errors(404, "no handler for route"),
        }
    }
}

impl Vault {
    fn read(&self, key: &str) -> (u16, Value) {
        let versions = self.versions.lock().unwrap();
        let entry = |pairs: &Pairs| match key {
            "manifests" => {
                json!({"name": "P-256", "public_key": pem("PUBLIC KEY", &pairs.p256_spki())})
            }
            "log" => {
                json!({"name": "ed25519", "public_key": STANDARD.encode(pairs.ed25519_bytes())})
            }
            // Keys that encrypt have only the time at which they were made.
            _ => json!(1_764_000_000),
        };
        let kind = match key {
            "manifests" => "ecdsa-p256",
            "log" => "ed25519",
            "secrets" => "aes256-gcm96",
            _ => return (404, json!({"errors": []})),
        };
        let keys: Map<_, _> = versions
            .iter()
            .enumerate()
            .map(|(index, pairs)| ((index + 1).to_string(), entry(pairs)))
            .collect();
        (
            200,
            json!({"data": {"name": key, "type": kind, "latest_version": keys.len(), "keys": keys}}),
        )
    }

    fn sign(&self, key: &str, hash: &str, body: &Value, fault: Fault) -> (u16, Value) {
        let versions = self.versions.lock().unwrap();
        let newest = versions.len() as u64;
        let version = match body["key_version"].as_u64() {
            None | Some(0) => newest,
            Some(version) if version <= newest => version,
            Some(_) => return errors(400, "cannot sign: version is too new"),
        };
        let pairs = &versions[usize::try_from(version).unwrap() - 1];
        let Some(input) = body["input"].as_str().and_then(|text| STANDARD.decode(text).ok()) else {
            return errors(400, "unable to decode input as base64");
        };
        let signature = match key {
            "manifests" if hash != "sha2-256" => None,
            "manifests" => {
                let is_asn1 = matches!(body["marshaling_algorithm"].as_str(), None | Some("asn1"));
                if !is_asn1 {
                    return errors(400, "this stand-in knows asn1 alone");
                }
                if body["prehashed"] == true {
                    pairs.sign_digest(&input, fault)
                } else {
                    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &input);
                    pairs.sign_digest(digest.as_ref(), fault)
                }
            }
            // With `prehashed` it is Ed25519ph, which is another scheme.
            "log" if body["prehashed"] == true => None,
            "log" => Some(pairs.sign_message(&input, fault)),
            "secrets" => return errors(400, "key type aes256-gcm96 does not support signing"),
            _ => return errors(400, "signing key not found"),
        };
        let Some(signature) = signature else { return errors(400, "invalid input") };
        let said = if fault == Fault::AnotherKey { version + 1 } else { version };
        let signature = format!("vault:v{said}:{}", STANDARD.encode(signature));
        (200, json!({"data": {"signature": signature, "key_version": said}}))
    }
}

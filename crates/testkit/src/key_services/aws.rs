//! A stand-in for AWS KMS, with the keys `alias/manifests` (ECC_NIST_P256), `alias/log`
//! (ECC_NIST_EDWARDS25519) and `alias/secrets` (SYMMETRIC_DEFAULT).

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Fault, Pairs, Protocol, StandIn, header};

const ARN: &str = "arn:aws:kms:eu-test-1:111122223333:key/";
/// How far a caller's clock may be off. Seconds.
const SKEW: i64 = 300;

/// A stand-in for AWS KMS in the region `eu-test-1`.
#[derive(Debug)]
pub struct StandInAwsKms {
    server: StandIn,
    kms: Arc<Kms>,
}

struct Kms {
    key_id: String,
    secret: String,
    session: Option<String>,
    keys: Mutex<Vec<Pairs>>,
}

impl std::fmt::Debug for Kms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kms")
    }
}

impl StandInAwsKms {
    /// One that takes these credentials.
    #[must_use]
    pub fn start(key_id: &str, secret: &str, session: Option<&str>) -> Self {
        let kms = Arc::new(Kms {
            key_id: key_id.to_owned(),
            secret: secret.to_owned(),
            session: session.map(str::to_owned),
            keys: Mutex::new(vec![Pairs::new()]),
        });
        let protocol = Arc::clone(&kms);
        Self { server: StandIn::start(move |_| protocol), kms }
    }

    /// Points the aliases at new keys; the old ones stay, under their ARN.
    pub fn point_aliases_elsewhere(&self) {
        self.kms.keys.lock().unwrap().push(Pairs::new());
    }
}

impl Deref for StandInAwsKms {
    type Target = StandIn;

    fn deref(&self) -> &StandIn {
        &self.server
    }
}

fn fault_of(status: u16, kind: &str, message: &str) -> (u16, Value) {
    (status, json!({"__type": kind, "message": message}))
}

impl Protocol for Kms {
    fn answer(&self, request: &Parts, body: &[u8], fault: Fault) -> (u16, Value) {
        if let Err(why) = self.authenticate(request, body) {
            return fault_of(400, "InvalidSignatureException", &why);
        }
        match fault {
            Fault::Refuses => {
                return fault_of(400, "AccessDeniedException", "User is not authorized to perform");
            }
            Fault::Throttles => return fault_of(400, "ThrottlingException", "Rate exceeded"),
            _ => {}
        }
        if header(request, "content-type") != "application/x-amz-json-1.1" {
            return fault_of(404, "UnknownOperationException", "");
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some((name, generation)) = self.find(body["KeyId"].as_str().unwrap_or_default()) else {
            return fault_of(400, "NotFoundException", "Alias or key is not found.");
        };
        match header(request, "x-amz-target") {
            "TrentService.GetPublicKey" => self.public_key(&name, generation),
            "TrentService.Sign" => self.sign(&name, generation, &body, fault),
            _ => fault_of(400, "UnknownOperationException", ""),
        }
    }
}

impl Kms {
    /// The name of a key and which of that name it is; aliases are of the newest.
    fn find(&self, id: &str) -> Option<(String, usize)> {
        let newest = self.keys.lock().unwrap().len() - 1;
        let (name, generation) = match id.strip_prefix("alias/") {
            Some(name) => (name.to_owned(), newest),
            None => {
                let (name, generation) = id.strip_prefix(ARN)?.rsplit_once('-')?;
                (name.to_owned(), generation.parse().ok().filter(|one| *one <= newest)?)
            }
        };
        matches!(name.as_str(), "manifests" | "log" | "secrets").then_some((name, generation))
    }

    fn public_key(&self, name: &str, generation: usize) -> (u16, Value) {
        let keys = self.keys.lock().unwrap();
        let pairs = &keys[generation];
        let (spec, der, algorithms) = match name {
            "manifests" => ("ECC_NIST_P256", pairs.p256_spki(), json!(["ECDSA_SHA_256"])),
            "log" => (
                "ECC_NIST_EDWARDS25519",
                pairs.ed25519_spki(),
                json!(["ED25519_SHA_512", "ED25519_PH_SHA_512"]),
            ),
            _ => return fault_of(400, "UnsupportedOperationException", "KeySpec is symmetric"),
        };
        (
            200,
            json!({
                "KeyId": format!("{ARN}{name}-{generation}"),
                "KeySpec": spec,
                "KeyUsage": "SIGN_VERIFY",
                "PublicKey": STANDARD.encode(der),
                "SigningAlgorithms": algorithms,
            }),
        )
    }

    fn sign(&self, name: &str, generation: usize, body: &Value, fault: Fault) -> (u16, Value) {
        let keys = self.keys.lock().unwrap();
        let pairs = &keys[generation];
        let message = body["Message"].as_str().and_then(|text| STANDARD.decode(text).ok());
        let message = message.filter(|message| (1..=4096).contains(&message.len()));
        let Some(message) = message else {
            return fault_of(400, "ValidationException", "Message must have 1 to 4096 bytes");
        };
        let asked = (name, body["SigningAlgorithm"].as_str(), body["MessageType"].as_str());
        let signature = match asked {
            ("manifests", Some("ECDSA_SHA_256"), Some("DIGEST")) => {
                pairs.sign_digest(&message, fault)
            }
            ("log", Some("ED25519_SHA_512"), Some("RAW")) => {
                Some(pairs.sign_message(&message, fault))
            }
            _ => None,
        };
        let Some(signature) = signature else {
            return fault_of(400, "ValidationException", "algorithm, type and message do not fit");
        };
        let generation = if fault == Fault::AnotherKey { generation + 1 } else { generation };
        (
            200,
            json!({
                "KeyId": format!("{ARN}{name}-{generation}"),
                "Signature": STANDARD.encode(signature),
                "SigningAlgorithm": body["SigningAlgorithm"],
            }),
        )
    }

    /// Signature Version 4, computed again from the request as it arrived.
    fn authenticate(&self, request: &Parts, body: &[u8]) -> Result<(), String> {
        let given = header(request, "authorization");
        let given = given.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("no SigV4 signature")?;
        let part = |name: &str| {
            given.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        };
        let credential = part("Credential").ok_or("no Credential")?;
        let signed_headers = part("SignedHeaders").ok_or("no SignedHeaders")?;
        let signature = part("Signature").ok_or("no Signature")?;

        let date = header(request, "x-amz-date");
        let (day, _) = date.split_once('T').ok_or("no X-Amz-Date")?;
        let scope = format!("{day}/eu-test-1/kms/aws4_request");
        if credential != format!("{}/{scope}", self.key_id) {
            return Err("Credential should be scoped to a valid region and key".to_owned());
        }
        let at =
            jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).map_err(|e| e.to_string())?;
        let at = at.to_zoned(jiff::tz::TimeZone::UTC).map_err(|e| e.to_string())?.timestamp();
        if (Timestamp::now().as_second() - at.as_second()).abs() > SKEW {
            return Err("Signature expired".to_owned());
        }
        if header(request, "x-amz-security-token") != self.session.as_deref().unwrap_or_default() {
            return Err("The security token included in the request is invalid".to_owned());
        }

        let names: Vec<_> = signed_headers.split(';').collect();
        let must_be_signed = |name: &&str| *name == "host" || name.starts_with("x-amz-");
        let unsigned = request.headers.keys().map(|name| name.as_str()).filter(must_be_signed);
        if let Some(name) = unsigned.into_iter().find(|name| !names.contains(name)) {
            return Err(format!("`{name}` is not signed"));
        }
        let headers: String =
            names.iter().map(|name| format!("{name}:{}\n", header(request, name).trim())).collect();
        let canonical = format!(
            "{}\n{}\n{}\n{headers}\n{signed_headers}\n{}",
            request.method,
            request.uri.path(),
            request.uri.query().unwrap_or_default(),
            hex::encode(digest(&SHA256, body)),
        );
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
            hex::encode(digest(&SHA256, canonical.as_bytes()))
        );
        let step = |key: &[u8], data: &str| {
            sign(&Key::new(HMAC_SHA256, key), data.as_bytes()).as_ref().to_vec()
        };
        let key = format!("AWS4{}", self.secret).into_bytes();
        let key = [day, "eu-test-1", "kms", "aws4_request"]
            .iter()
            .fold(key, |key, data| step(&key, data));
        if hex::encode(step(&key, &to_sign)) == signature {
            Ok(())
        } else {
            Err("The request signature we calculated does not match".to_owned())
        }
    }
}

//! Stand-ins for services that hold keys: Vault, AWS KMS and Google Cloud KMS. They are not those
//! services, and say so by their names. What they take and return follows the documented protocols:
//! each checks who asks as the real one does, refuses other shapes of requests, and signs with a
//! real key. On demand they misbehave.

mod aws;
mod google;
mod vault;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use aws::StandInAwsKms;
pub use google::StandInGoogleKms;
pub use vault::StandInVault;

/// What a stand-in does wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It signs something else.
    WrongSignature,
    /// It says that the caller may not, as the service puts it.
    Refuses,
    /// It responds with 503 and a page that is not JSON.
    Fails,
    /// It responds with 503 to this many requests, and then as it should.
    FailsFirst(usize),
    /// It says that there were too many requests, as the service puts it.
    Throttles,
    /// It never responds.
    Hangs,
    /// Its response has no end.
    Floods,
    /// It responds with JSON of another shape.
    Babbles,
    /// The checksum of its response does not fit (Google).
    WrongChecksum,
    /// It does not say that it compared the checksum of what it got (Google).
    IgnoresChecksum,
    /// It responds with a signature by another key, and says so.
    AnotherKey,
}

/// The key pairs of a stand-in.
pub(crate) struct Pairs {
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Pairs {
    pub(crate) fn new() -> Self {
        Self {
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            ed25519: Ed25519KeyPair::generate().unwrap(),
        }
    }

    pub(crate) fn p256_spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der = self.p256.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    pub(crate) fn ed25519_spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der = self.ed25519.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    pub(crate) fn ed25519_bytes(&self) -> Vec<u8> {
        self.ed25519.public_key().as_ref().to_vec()
    }

    /// Signs a SHA-256; `None` when it is not one.
    pub(crate) fn sign_digest(&self, digest: &[u8], fault: Fault) -> Option<Vec<u8>> {
        let digest = Digest::import_less_safe(digest, &SHA256).ok()?;
        let signature = match fault {
            Fault::WrongSignature => self.p256.sign(&SystemRandom::new(), b"else").unwrap(),
            _ => self.p256.sign_digest(&digest).unwrap(),
        };
        Some(signature.as_ref().to_vec())
    }

    pub(crate) fn sign_message(&self, message: &[u8], fault: Fault) -> Vec<u8> {
        let message = if fault == Fault::WrongSignature { b"else".as_slice() } else { message };
        self.ed25519.sign(message).as_ref().to_vec()
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Handles one request, unless a fault did so before.
pub(crate) trait Protocol: Send + Sync + 'static {
    fn answer(&self, request: &Parts, body: &[u8], fault: Fault) -> (u16, Value);
}

/// A server of its own thread, for as long as it is kept.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    fault: Arc<Mutex<Fault>>,
    asked: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl StandIn {
    pub(crate) fn start(make: impl FnOnce(SocketAddr) -> Arc<dyn Protocol>) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let protocol = make(address);
        let (fault, asked) = (Arc::<Mutex<Fault>>::default(), Arc::<AtomicUsize>::default());
        let (stop, stopped) = oneshot::channel();
        let app = {
            let (fault, asked) = (Arc::clone(&fault), Arc::clone(&asked));
            Router::new().fallback(move |request: Request<Body>| {
                serve(request, Arc::clone(&protocol), Arc::clone(&fault), Arc::clone(&asked))
            })
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let server = axum::serve(TcpListener::from_std(listener).unwrap(), app);
                tokio::select! {
                    _ = server => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, fault, asked, stop: Some(stop), thread: Some(thread) }
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Misbehaves from now on.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// How many requests there have been.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    request: Request<Body>,
    protocol: Arc<dyn Protocol>,
    fault: Arc<Mutex<Fault>>,
    asked: Arc<AtomicUsize>,
) -> Response {
    asked.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let fault = {
        let mut set = fault.lock().unwrap();
        let now = *set;
        if let Fault::FailsFirst(more) = now {
            *set = if more > 1 { Fault::FailsFirst(more - 1) } else { Fault::None };
        }
        now
    };
    match fault {
        Fault::Fails | Fault::FailsFirst(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "<html>busy</html>").into_response()
        }
        Fault::Hangs => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            StatusCode::OK.into_response()
        }
        Fault::Floods => {
            let chunk = Bytes::from(vec![b' '; 64 * 1024]);
            let endless =
                futures::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            Body::from_stream(endless).into_response()
        }
        Fault::Babbles => axum::Json(serde_json::json!({"secret": "babble"})).into_response(),
        _ => {
            let (status, document) = protocol.answer(&parts, &body, fault);
            (StatusCode::from_u16(status).unwrap(), axum::Json(document)).into_response()
        }
    }
}

/// The text of a header, or nothing.
pub(crate) fn header<'a>(request: &'a Parts, name: &str) -> &'a str {
    request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

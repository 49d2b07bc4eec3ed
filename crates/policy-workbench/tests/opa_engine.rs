//! An OPA as the engine, and as the shadow of the embedded one: the real OPA, and servers that
//! behave as an OPA should not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sentinel_core::policy::{PolicyEngine as _, PolicyError};
use sentinel_policy::{EmbeddedConfig, EmbeddedEngine, OpaConfig, OpaEngine, ShadowEngine};
use sentinel_testkit::opa;
use serde_json::json;
use support::{call, now, usual, vetter};

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/shipped")
}

/// The embedded engine with the same policies, and time enough on a busy machine.
fn shipped() -> EmbeddedEngine {
    let engine = EmbeddedEngine::new(EmbeddedConfig {
        time_limit: PATIENT,
        vetter: Some(vetter()),
        ..EmbeddedConfig::default()
    });
    engine.load(&policies(), now()).unwrap();
    engine
}

fn opa_at(url: &str, timeout: Duration) -> OpaEngine {
    OpaEngine::new(&OpaConfig::new(url, timeout).unwrap()).unwrap()
}

/// A server that sends `answer` for every request, after `delay`, and counts them.
struct Stub {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Stub {
    fn start(answer: impl Into<Vec<u8>>, delay: Duration) -> Self {
        Self::start_slow_for(answer, "", delay)
    }

    /// One that delays only the responses to what has this text in it.
    fn start_slow_for(answer: impl Into<Vec<u8>>, slow: &'static str, delay: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answer, asked) = (answer.into(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, counter) = (answer.clone(), Arc::clone(&counter));
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut seen = Vec::new();
                    let mut buffer = [0; 4096];
                    while !seen.ends_with(b"}}") {
                        match stream.read(&mut buffer) {
                            Ok(0) | Err(_) => return,
                            Ok(count) => seen.extend_from_slice(&buffer[..count]),
                        }
                    }
                    counter.fetch_add(1, Ordering::SeqCst);
                    if String::from_utf8_lossy(&seen).contains(slow) {
                        std::thread::sleep(delay);
                    }
                    let _ = stream.write_all(&answer);
                });
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn http(status: &str, body: &str) -> Vec<u8> {
    let head = "content-type: application/json\r\nconnection: close\r\n";
    format!("HTTP/1.1 {status}\r\n{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

const PATIENT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn decides_as_the_embedded_engine_does() {
    let server = opa::Server::start(&policies());
    let (opa, embedded) = (opa_at(&server.url(), PATIENT), shipped());
    let mut other = usual().with_arguments(json!({"amount": 1.5, "to": ["a", null]}));
    other.usage = u64::MAX;
    for call in [
        usual(),
        call("platform-eng", "langsmith-docs-search", None, 0),
        call("secops", "incident-response-runbook", Some("curiosity"), 3),
        call("outsider", "nothing", Some("postmortem"), 3),
        other,
    ] {
        let decided = opa.evaluate(call.input()).await.unwrap();
        let mut expected = call.decide(&embedded).unwrap();
        assert_eq!(&*decided.revision, "opa");
        expected.revision = decided.revision.clone();
        assert_eq!(decided, expected);
    }
    assert!(opa.evaluate(usual().input()).await.unwrap().allow);
    assert_eq!(opa.counts().decided, 6);
}

#[tokio::test]
async fn its_health_and_the_revision_of_its_bundle_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle.tar.gz");
    let built = opa::command()
        .args(["build", "--bundle", "--revision", "release-7", "--output"])
        .arg(&bundle)
        .arg(policies())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let server = opa::Server::start(&bundle);
    let opa = opa_at(&server.url(), PATIENT);
    assert_eq!(opa.status().revision, None);
    opa.look(now()).await;
    assert_eq!(opa.status().revision.as_deref(), Some("release-7"));
    assert_eq!((opa.status().engine, opa.status().error), ("opa", None));
    assert_eq!(&*opa.evaluate(usual().input()).await.unwrap().revision, "release-7");
    drop(server);
    opa.look(now()).await;
    assert_eq!(opa.status().revision, None);
    assert!(opa.status().error.is_some() && !opa.is_up());
    let denied = opa.evaluate(usual().input()).await.unwrap_err();
    assert!(matches!(denied, PolicyError::Unavailable(_)), "{denied:?}");
}

#[tokio::test]
async fn a_rule_that_is_not_there_is_undefined() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.rego"), "package other\n\nallow := true\n").unwrap();
    let server = opa::Server::start(folder.path());
    let opa = opa_at(&server.url(), PATIENT);
    assert_eq!(opa.evaluate(usual().input()).await, Err(PolicyError::Undefined));
}

/// Every one of these would allow if it were read with any leniency.
#[tokio::test]
async fn whatever_is_not_an_answer_denies() {
    let allow = r#"{"result":{"allow":true}}"#;
    let good = Stub::start(http("200 OK", allow), Duration::ZERO);
    assert!(opa_at(&good.url, PATIENT).evaluate(usual().input()).await.unwrap().allow);
    let large = format!(r#"{{"result":{{"allow":true}},"x":"{}"}}"#, "a".repeat(300_000));
    let elsewhere = format!("307 Temporary Redirect\r\nlocation: {}/", good.url);
    type Expected = fn(&PolicyError) -> bool;
    let malformed: Expected = |error| matches!(error, PolicyError::Malformed(_));
    let unavailable: Expected = |error| matches!(error, PolicyError::Unavailable(_));
    let mut cut = http("200 OK", allow);
    cut.truncate(cut.len() - 1);
    for (what, answer, expected) in [
        ("no JSON", http("200 OK", "allow"), malformed),
        ("a list", http("200 OK", &format!("[{allow}]")), malformed),
        ("text", http("200 OK", r#"{"result":"true"}"#), malformed),
        ("a bare true", http("200 OK", r#"{"result":true}"#), malformed),
        ("repeated", http("200 OK", r#"{"result":{"allow":false,"allow":true}}"#), malformed),
        ("misspelt", http("200 OK", r#"{"result":{"allow":true,"reason":[]}}"#), malformed),
        ("too large", http("200 OK", &large), malformed),
        ("503", http("503 Service Unavailable", allow), unavailable),
        ("404", http("404 Not Found", allow), unavailable),
        ("201", http("201 Created", allow), unavailable),
        ("a redirect", http(&elsewhere, allow), unavailable),
        ("cut short", cut, unavailable),
        ("no HTTP", b"allow\r\n\r\n".to_vec(), unavailable),
        ("500", http("500 Internal Server Error", allow), |error| {
            matches!(error, PolicyError::Failed(_))
        }),
        ("undefined", http("200 OK", "{}"), |error| *error == PolicyError::Undefined),
        (
            "an obligation of the future",
            http("200 OK", r#"{"result":{"allow":true,"obligations":[{"type":"dance"}]}}"#),
            |error| matches!(error, PolicyError::UnknownObligation(_)),
        ),
    ] {
        let stub = Stub::start(answer, Duration::ZERO);
        let answer = opa_at(&stub.url, PATIENT).evaluate(usual().input()).await;
        let error = answer.expect_err(what);
        assert!(expected(&error), "{what}: {error:?}");
        assert_eq!(stub.asked(), 1, "{what}");
    }
}

#[tokio::test]
async fn an_opa_that_is_slow_is_not_waited_for_and_soon_not_asked() {
    let stub = Stub::start(http("200 OK", r#"{"result":{"allow":true}}"#), Duration::from_secs(3));
    let opa = opa_at(&stub.url, Duration::from_millis(50));
    for _ in 0..5 {
        assert_eq!(opa.evaluate(usual().input()).await, Err(PolicyError::TimedOut));
    }
    let asked = stub.asked();
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(opa.evaluate(usual().input()).await, Err(PolicyError::CircuitOpen));
    }
    assert!(started.elapsed() < Duration::from_millis(50), "{:?}", started.elapsed());
    assert_eq!(stub.asked(), asked);
    assert!(!opa.is_circuit_open(), "the time-outs of one caller are its own");
    let counts = opa.counts();
    assert_eq!((counts.timed_out, counts.circuit_open, counts.decided), (5, 20, 0));
    // Others have them too: it is not the caller.
    for other in 1..=2 {
        let call = usual().of_key(other);
        assert_eq!(opa.evaluate(call.input()).await, Err(PolicyError::TimedOut));
    }
    assert!(opa.is_circuit_open());
    assert_eq!(
        opa.evaluate(usual().of_key(3).input()).await,
        Err(PolicyError::CircuitOpen),
        "no caller waits for it any more"
    );
}

/// An OPA that takes its time over what one agent sends, and responds to all others at once.
#[tokio::test]
async fn slow_inputs_of_one_caller_deny_no_other() {
    let stub = Stub::start_slow_for(
        http("200 OK", r#"{"result":{"allow":true}}"#),
        "make it slow",
        Duration::from_secs(6),
    );
    let opa = opa_at(&stub.url, Duration::from_secs(1));
    let slow = usual().with_arguments(json!({"text": "make it slow"}));
    for _ in 0..5 {
        assert_eq!(opa.evaluate(slow.input()).await, Err(PolicyError::TimedOut));
    }
    let mut not_asked = 0;
    for _ in 0..20 {
        // Once a second one of its calls may try.
        match opa.evaluate(slow.input()).await {
            Err(PolicyError::CircuitOpen) => not_asked += 1,
            tried => assert_eq!(tried, Err(PolicyError::TimedOut)),
        }
        assert!(opa.evaluate(usual().of_key(1).input()).await.unwrap().allow);
    }
    assert!(not_asked > 0 && !opa.is_circuit_open(), "{not_asked} of 20 were not asked");
}

#[tokio::test]
async fn an_opa_that_comes_back_decides_again() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let opa = opa_at(&format!("http://{address}"), PATIENT);
    while !opa.is_circuit_open() {
        let down = opa.evaluate(usual().input()).await.unwrap_err();
        assert!(matches!(down, PolicyError::Unavailable(_)), "{down:?}");
    }
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 8192];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(&http("200 OK", r#"{"result":{"allow":true}}"#));
        }
    });
    assert_eq!(opa.evaluate(usual().input()).await, Err(PolicyError::CircuitOpen));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(opa.evaluate(usual().input()).await.unwrap().allow);
    assert!(!opa.is_circuit_open());
}

/// An input on which evaluation fails must not have everyone else denied.
#[tokio::test]
async fn evaluations_that_fail_do_not_open_the_circuit() {
    let stub = Stub::start(http("500 Internal Server Error", "{}"), Duration::ZERO);
    let opa = opa_at(&stub.url, PATIENT);
    for _ in 0..20 {
        let failed = opa.evaluate(usual().input()).await.unwrap_err();
        assert!(matches!(failed, PolicyError::Failed(_)), "{failed:?}");
    }
    assert_eq!(stub.asked(), 20);
}

async fn compared(shadow: &ShadowEngine, count: u64) {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let counts = shadow.counts();
        if counts.agreed + counts.disagreed + counts.errors + counts.dropped >= count {
            return;
        }
        assert!(Instant::now() < until, "{counts:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_same_policy_agrees_and_a_planted_change_is_reported() {
    let same = opa::Server::start(&policies());
    let embedded = Arc::new(shipped());
    let secret = json!({"token": "s3cr3t-argument"});
    let calls = [
        usual().with_arguments(secret.clone()),
        call("outsider", "nothing", None, 0),
        call("secops", "incident-response-runbook", Some("postmortem"), 3),
    ];
    let opa = Arc::new(opa_at(&same.url(), PATIENT));
    let shadow = ShadowEngine::start(Arc::clone(&embedded), &opa);
    for call in calls.iter().cycle().take(30) {
        assert_eq!(shadow.evaluate(call.input()).await, call.decide(&embedded));
    }
    compared(&shadow, 30).await;
    let report = shadow.shadow().unwrap();
    assert_eq!((report.counts.agreed, report.disagreements.len()), (30, 0), "{report:?}");

    let changed = tempfile::tempdir().unwrap();
    let planted = "package sentinel.policy\n\ndecision := {\"allow\": true}\n";
    std::fs::write(changed.path().join("policy.rego"), planted).unwrap();
    let other = opa::Server::start(changed.path());
    let opa = Arc::new(opa_at(&other.url(), PATIENT));
    let shadow = ShadowEngine::start(Arc::clone(&embedded), &opa);
    for call in &calls {
        // What OPA says changes no answer.
        assert_eq!(shadow.evaluate(call.input()).await, call.decide(&embedded));
    }
    compared(&shadow, 3).await;
    let report = shadow.shadow().unwrap();
    assert_eq!(report.counts.disagreed, 3, "{report:?}");
    let of_outsider =
        report.disagreements.iter().find(|d| d.tenant.as_str() == "outsider").unwrap();
    assert_eq!((of_outsider.decided.allow, of_outsider.shadow.allow), (false, true));
    assert!(of_outsider.input_hash.starts_with("sha256:"));
    assert!(!format!("{report:?}").contains("s3cr3t"), "{report:?}");
}

#[tokio::test]
async fn a_shadow_that_does_not_answer_delays_nothing_and_is_counted() {
    let stub = Stub::start(http("200 OK", "{}"), Duration::from_secs(30));
    let embedded = Arc::new(shipped());
    let opa = Arc::new(opa_at(&stub.url, Duration::from_secs(30)));
    let shadow = ShadowEngine::start(Arc::clone(&embedded), &opa);
    let started = Instant::now();
    for _ in 0..2000 {
        assert!(shadow.evaluate(usual().input()).await.unwrap().allow);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // 1,024 wait, and 8 at most are under way.
    let counts = shadow.counts();
    assert!((2000 - 1024 - 8..=2000 - 1024).contains(&counts.dropped), "{counts:?}");
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let opa = Arc::new(opa_at(&format!("http://{gone}"), PATIENT));
    let shadow = ShadowEngine::start(embedded, &opa);
    assert!(shadow.evaluate(usual().input()).await.unwrap().allow);
    compared(&shadow, 1).await;
    assert_eq!(shadow.counts().errors, 1);
}

//! Envoy's external authorization, asked by a client of gRPC as gateways are.

use std::collections::HashMap;

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use http_body_util::{BodyExt as _, Full};
use sentinel_core::principal::Role::{Admin, Agent, Auditor, Author, Operator};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{App, Key, Mode, Wanted};

/// A call that the gateway asks about.
struct Call {
    extensions: Vec<(&'static str, String)>,
    http: HttpRequest,
    source: Peer,
}

/// `GET /pages/7?q=s3cr3t` on a route for `acme/search`.
fn call(extensions: &[(&'static str, &str)]) -> Call {
    let mut all = vec![("tenant", "acme".to_owned()), ("tool", "search".to_owned())];
    all.extend(extensions.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let http = HttpRequest {
        method: "GET".to_owned(),
        path: "/pages/7?q=s3cr3t".to_owned(),
        host: "tools.example.com".to_owned(),
        scheme: "https".to_owned(),
        headers: HashMap::from([("x-request-id".to_owned(), "req-7".to_owned())]),
        ..HttpRequest::default()
    };
    Call { extensions: all, http, source: Peer::default() }
}

impl Call {
    fn without(mut self, name: &str) -> Self {
        self.extensions.retain(|(known, _)| *known != name);
        self
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.http.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    fn body(mut self, body: &str) -> Self {
        self.http.body = body.to_owned();
        self
    }

    fn message(self) -> CheckRequest {
        let extensions = self.extensions.into_iter();
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(self.source),
                request: Some(Request { http: Some(self.http), time: None }),
                context_extensions: extensions.map(|(k, v)| (k.to_owned(), v)).collect(),
                ..AttributeContext::default()
            }),
        }
    }
}

/// What came back, in words.
#[derive(Debug)]
struct Told {
    code: Code,
    /// What the agent gets; 0 when the call is forwarded.
    status: i32,
    headers: HashMap<String, String>,
    problem: Value,
    metadata: HashMap<String, Value>,
}

fn json_of(kind: Kind) -> Value {
    match kind {
        Kind::StringValue(text) => json!(text),
        Kind::BoolValue(is) => json!(is),
        Kind::NumberValue(number) => json!(number),
        Kind::ListValue(list) => {
            list.values.into_iter().map(|value| json_of(value.kind.unwrap())).collect()
        }
        Kind::StructValue(object) => {
            let fields = object.fields.into_iter();
            fields.map(|(name, value)| (name, json_of(value.kind.unwrap()))).collect()
        }
        Kind::NullValue(_) => Value::Null,
    }
}

impl Told {
    fn of(answer: CheckResponse) -> Self {
        let fields = answer.dynamic_metadata.unwrap().fields.into_iter();
        let metadata = fields.map(|(name, value)| (name, json_of(value.kind.unwrap())));
        let (status, headers, body) = match answer.http_response.unwrap() {
            HttpResponse::OkResponse(ok) => (0, ok.headers, String::new()),
            HttpResponse::DeniedResponse(denied) => {
                (denied.status.unwrap().code, denied.headers, denied.body)
            }
            HttpResponse::ErrorResponse(error) => panic!("{error:?}"),
        };
        let headers = headers.into_iter().map(|option| {
            assert_eq!(option.append_action, 2, "what the agent sent is overwritten");
            let header = option.header.unwrap();
            (header.key, header.value)
        });
        let told = Self {
            code: Code::from(answer.status.unwrap().code),
            status,
            headers: headers.collect(),
            problem: serde_json::from_str(&body).unwrap_or_default(),
            metadata: metadata.collect(),
        };
        assert_eq!(told.code == Code::Ok, told.status == 0, "{told:?}");
        assert_eq!(told.metadata["allow"], told.status == 0, "{told:?}");
        told
    }

    #[track_caller]
    fn allowed(self) -> Self {
        assert_eq!(self.code, Code::Ok, "{self:?}");
        assert!(self.headers["x-sentinel-permit"].starts_with("snp_"), "{self:?}");
        self
    }

    /// Asserts a deny, for both who read it.
    #[track_caller]
    fn denied(self, code: Code, status: i32, reason: &str) -> Self {
        assert_eq!((self.code, self.status), (code, status), "{self:?}");
        assert_eq!(self.problem["code"], reason, "{self:?}");
        assert_eq!(self.problem["status"], status, "{self:?}");
        assert_eq!(self.problem["allow"], false, "{self:?}");
        assert_eq!(self.metadata["code"], reason, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert!(!self.headers.contains_key("x-sentinel-permit"), "{self:?}");
        self
    }
}

async fn ask_with(app: &App, key: Option<&str>, message: CheckRequest) -> Told {
    let mut client = AuthorizationClient::connect(app.gateway.clone()).await.unwrap();
    let mut request = tonic::Request::new(message);
    if let Some(key) = key {
        let value = format!("Bearer {key}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    Told::of(client.check(request).await.unwrap().into_inner())
}

async fn ask(app: &App, key: &Key, call: Call) -> Told {
    ask_with(app, Some(&key.secret), call.message()).await
}

async fn recorded(app: &App, told: &Told) -> Value {
    let id = told.metadata["decision_id"].as_str().unwrap();
    app.get(&app.admin, &format!("/v1/decisions/{id}")).await.ok()
}

async fn decisions(app: &App) -> usize {
    app.get(&app.admin, "/v1/decisions").await.ok()["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn obligations_are_for_the_filters_of_the_gateway() {
    let app = App::seeded().await;
    app.policy(Mode::Alert);
    let told = ask(&app, &app.admin, call(&[("action", "read")])).await.allowed();
    let alert = json!([{"type": "alert", "channel": "security", "level": 2.0}]);
    assert_eq!(told.metadata["obligations"], alert);
    app.policy(Mode::Allow);
    let told = ask(&app, &app.admin, call(&[("action", "read")])).await.allowed();
    assert_eq!(told.metadata["obligations"], json!([]));
}

#[tokio::test]
async fn a_call_is_decided_recorded_and_counted() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(2));
    let mut asked = call(&[
        ("action", "read"),
        ("purpose", "docs"),
        ("agent", "alice"),
        ("arguments", "query"),
        ("context.environment", "prod"),
    ]);
    asked.source.principal = "spiffe://example/ns/agents".to_owned();
    let told = ask(&app, &app.admin, asked).await.allowed();
    assert_eq!(told.metadata["tool"], "search");
    assert_eq!(told.headers["x-sentinel-decision-id"], told.metadata["decision_id"]);
    let record = recorded(&app, &told).await;
    assert_eq!(
        (&record["tenant"], &record["action"], &record["purpose"], &record["agent"]),
        (&json!("acme"), &json!("read"), &json!("docs"), &json!("alice"))
    );
    assert_eq!(record["event_metadata"]["request_id"], "req-7");
    assert_eq!(
        record["event_metadata"]["context"],
        json!({
            "environment": "prod",
            "http": {
                "method": "GET", "scheme": "https", "host": "tools.example.com", "path": "/pages/7",
            },
            "peer": {"address": null, "principal": "spiffe://example/ns/agents"},
        })
    );
    assert!(!record.to_string().contains("s3cr3t"), "{record}");
    let same = app.check(json!({"arguments": {"q": "s3cr3t"}})).await.ok();
    let same = format!("/v1/decisions/{}", same["decision_id"].as_str().unwrap());
    let same = app.get(&app.admin, &same).await.ok();
    assert_eq!(record["argument_hash"], same["argument_hash"]);
    let over = ask(&app, &app.admin, call(&[])).await;
    let over = over.denied(Code::ResourceExhausted, 429, "quota_exceeded");
    assert_eq!(recorded(&app, &over).await["action"], "get", "the method, unless stated");
    let metrics = app.get(&app.admin, "/metrics").await.text;
    for counted in [
        "sentinel_checks_total{allow=\"true\",code=\"allowed\"} 2",
        "route=\"/envoy.service.auth.v3.Authorization/Check\",method=\"POST\",status=\"2xx\"} 1",
        "route=\"/envoy.service.auth.v3.Authorization/Check\",method=\"POST\",status=\"4xx\"} 1",
    ] {
        assert!(metrics.contains(counted), "no {counted} in {metrics}");
    }
}

#[tokio::test]
async fn the_permit_is_good_once_for_that_tool() {
    let app = App::seeded().await;
    let tools = app.get(&app.admin, "/v1/tools?tenant=acme").await.ok();
    let permit =
        ask(&app, &app.admin, call(&[])).await.allowed().headers["x-sentinel-permit"].clone();
    let body = json!({"permit": permit, "tool_id": tools["items"][0]["id"]});
    app.post(&app.admin, "/v1/permits/redeem", &body).await.ok();
    assert_ne!(app.post(&app.admin, "/v1/permits/redeem", &body).await.status, 200);
}

#[tokio::test]
async fn without_a_valid_key_everything_is_denied_in_an_answer() {
    let app = App::seeded().await;
    for (key, code) in [
        (None, "unauthenticated"),
        (Some("snt_agent_unknown"), "invalid_key"),
        (Some("nonsense"), "invalid_key"),
    ] {
        let told = ask_with(&app, key, call(&[]).message()).await;
        let told = told.denied(Code::Unauthenticated, 403, code);
        assert!(!told.metadata.contains_key("decision_id"), "{told:?}");
    }
    for role in [Operator, Author, Auditor] {
        let key = app.key(Wanted::role(role)).await;
        ask(&app, &key, call(&[])).await.denied(Code::PermissionDenied, 403, "role_forbidden");
    }
    let key = app.key(Wanted::role(Agent)).await;
    ask(&app, &key, call(&[])).await.allowed();
    let path = format!("/v1/keys/{}", key.id);
    app.send(app.request(reqwest::Method::DELETE, &path).bearer_auth(&app.admin.secret)).await;
    ask(&app, &key, call(&[])).await.denied(Code::Unauthenticated, 403, "invalid_key");
    assert_eq!(decisions(&app).await, 1);
}

#[tokio::test]
async fn a_key_is_good_for_its_tenant_and_agent() {
    let app = App::seeded().await;
    let foreign = app.key(Wanted::role(Agent).of("other")).await;
    let told = ask(&app, &foreign, call(&[])).await;
    let told = told.denied(Code::PermissionDenied, 403, "tenant_forbidden");
    assert_eq!(recorded(&app, &told).await["code"], "tenant_forbidden");
    let bound = app.key(Wanted { agent: Some("bob"), ..Wanted::role(Agent).of("acme") }).await;
    let told = ask(&app, &bound, call(&[]).without("tenant")).await.allowed();
    assert_eq!(
        (&told.metadata["tenant"], &told.metadata["agent"]),
        (&json!("acme"), &json!("bob"))
    );
    let told = ask(&app, &bound, call(&[("agent", "alice")])).await;
    told.denied(Code::PermissionDenied, 403, "agent_forbidden");
    let admin = app.key(Wanted::role(Admin).of("other")).await;
    ask(&app, &admin, call(&[])).await.denied(Code::PermissionDenied, 403, "tenant_forbidden");
}

#[tokio::test]
async fn the_agent_chooses_only_what_the_operator_lets_it() {
    let app = App::seeded().await;
    let forged = |call: Call| {
        call.header("x-sentinel-tenant", "other")
            .header("x-sentinel-tool", "ledger")
            .header("x-sentinel-agent", "mallory")
            .header("x-sentinel-purpose", "docs")
            .header("x-sentinel-permit", "snp_forged")
    };
    let told = ask(&app, &app.admin, forged(call(&[("agent", "alice")]))).await.allowed();
    let record = recorded(&app, &told).await;
    assert_eq!(
        (&record["tenant"], &record["tool"], &record["agent"], &record["purpose"]),
        (&json!("acme"), &json!("search"), &json!("alice"), &Value::Null)
    );
    let listed = call(&[("purpose", "default"), ("from_headers", "purpose, agent")]);
    let told = ask(&app, &app.admin, forged(listed)).await.allowed();
    let record = recorded(&app, &told).await;
    assert_eq!((&record["tool"], &record["agent"]), (&json!("search"), &json!("mallory")));
    assert_eq!(record["purpose"], "docs");
    let silent = call(&[("purpose", "default"), ("from_headers", "purpose")]);
    let told = ask(&app, &app.admin, silent).await.allowed();
    assert_eq!(recorded(&app, &told).await["purpose"], "default");
    let mut peer = call(&[("agent_from", "peer")]);
    peer.source.principal = "spiffe://example/alice".to_owned();
    let told = ask(&app, &app.admin, peer).await.allowed();
    assert_eq!(told.metadata["agent"], "spiffe://example/alice");
}

#[tokio::test]
async fn what_is_not_understood_is_denied_and_not_decided() {
    let app = App::seeded().await;
    let refused = [
        call(&[]).without("tool"),
        call(&[]).without("tenant"),
        call(&[("purpos", "docs")]),
        call(&[("context.", "x")]),
        call(&[("context.http", "x")]),
        call(&[("action", "NO")]),
        call(&[("purpose", "")]),
        call(&[("arguments", "everything")]),
        call(&[("agent_from", "peer")]),
        call(&[("agent_from", "header")]),
        call(&[("agent", "alice"), ("agent_from", "peer")]),
        call(&[("from_headers", "tool,usage")]),
        call(&[("from_headers", "purpose")]).header("x-sentinel-purpose", "a, b"),
    ];
    for call in refused {
        let told = ask(&app, &app.admin, call).await;
        told.denied(Code::PermissionDenied, 403, "unmapped_call");
    }
    let nothing = ask_with(&app, Some(&app.admin.secret), CheckRequest::default()).await;
    nothing.denied(Code::PermissionDenied, 403, "unmapped_call");
    for (body, code) in
        [("", "invalid_json"), ("[]", "invalid_field"), ("{\"a\":1", "invalid_json")]
    {
        let told = ask(&app, &app.admin, call(&[("arguments", "body")]).body(body)).await;
        assert_eq!((told.code, told.status), (Code::InvalidArgument, 400), "{code} {told:?}");
    }
    let twice =
        ask(&app, &app.admin, call(&[("arguments", "body")]).body("{\"a\":1,\"a\":2}")).await;
    twice.denied(Code::InvalidArgument, 400, "duplicate_key");
    let partial = call(&[("arguments", "body")]).body("{}");
    let told = ask(&app, &app.admin, partial.header("x-envoy-auth-partial-body", "true")).await;
    told.denied(Code::ResourceExhausted, 413, "body_too_large");
    let mut many = call(&[]);
    many.http.headers = (0..300).map(|n| (format!("x-{n}"), String::new())).collect();
    let told = ask(&app, &app.admin, many).await;
    told.denied(Code::InvalidArgument, 400, "too_many_headers");
    assert_eq!(decisions(&app).await, 0);
    let whole = call(&[("arguments", "body")]).body("{\"q\": 1}");
    let whole = whole.header("x-envoy-auth-partial-body", "false");
    ask(&app, &app.admin, whole).await.allowed();
}

#[tokio::test]
async fn kills_and_failures_are_denies_and_no_failed_calls() {
    let app = App::seeded().await;
    let kill = json!({"tenant_slug": "acme", "tool_name": "search", "reason": "leak"});
    app.kill(kill.clone()).await.ok();
    let told = ask(&app, &app.admin, call(&[])).await;
    let told = told.denied(Code::PermissionDenied, 403, "killed");
    assert_eq!(recorded(&app, &told).await["code"], "killed");
    assert_eq!(told.problem["request_id"], "req-7");
    app.post(&app.admin, "/kill/restore", &kill_scope(&kill)).await.ok();
    let nothing = call(&[]).without("tool");
    let nothing =
        Call { extensions: [nothing.extensions, vec![("tool", "no".into())]].concat(), ..nothing };
    let told = ask(&app, &app.admin, nothing).await;
    told.denied(Code::PermissionDenied, 403, "unknown_tool");
    for (mode, code, status, reason) in [
        (Mode::Deny, Code::PermissionDenied, 403, "policy_denied"),
        (Mode::Error, Code::PermissionDenied, 403, "policy_error"),
        (Mode::None, Code::PermissionDenied, 403, "no_policy"),
    ] {
        app.policy(mode);
        ask(&app, &app.admin, call(&[])).await.denied(code, status, reason);
    }
    app.policy(Mode::Panic);
    let told = ask(&app, &app.admin, call(&[])).await;
    assert_ne!(told.code, Code::Ok);
    assert!(!format!("{told:?}").contains("secret internals"), "{told:?}");
    app.policy(Mode::Allow);
    app.break_store(true);
    let told = ask(&app, &app.admin, call(&[])).await;
    let told = told.denied(Code::Unavailable, 503, "store_unavailable");
    assert!(!format!("{told:?}").contains("/var/lib"), "{told:?}");
    app.break_store(false);
    ask(&app, &app.admin, call(&[])).await.allowed();
}

fn kill_scope(kill: &Value) -> Value {
    json!({"tenant_slug": kill["tenant_slug"], "tool_name": kill["tool_name"]})
}

/// Asks with this `grpc-timeout`. A client of gRPC would itself give up first.
async fn within(app: &App, timeout: &str) -> Told {
    let message = prost::Message::encode_to_vec(&call(&[]).message());
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    let (_, _, answer) = raw(app, CHECK, &[GRPC, ("grpc-timeout", timeout)], framed).await;
    Told::of(prost::Message::decode(&answer[5..]).unwrap())
}

#[tokio::test]
async fn a_deadline_that_has_passed_decides_nothing() {
    let app = App::seeded().await;
    let late = within(&app, "0n").await.denied(Code::Unavailable, 503, "deadline_exceeded");
    assert_eq!(late.headers["retry-after"], "1");
    within(&app, "1s").await.denied(Code::InvalidArgument, 400, "invalid_timeout");
    assert_eq!(decisions(&app).await, 0);
    within(&app, "9S").await.allowed();
}

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// Posts these bytes by HTTP/2 and returns status, `grpc-status` of the head, and body.
async fn raw(
    app: &App,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, String, Vec<u8>) {
    let address = app.gateway.trim_start_matches("http://");
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut request = http::Request::post(format!("{}{path}", app.gateway))
        .header("authorization", format!("Bearer {}", app.admin.secret));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let rpc = head.headers.get("grpc-status").map(|value| value.to_str().unwrap().to_owned());
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    driver.abort();
    (head.status.as_u16(), rpc.unwrap_or_default(), body)
}

#[tokio::test]
async fn messages_that_cannot_be_read_are_denies_too() {
    let app = App::seeded().await;
    let told = |body: Vec<u8>| {
        let message: CheckResponse = prost::Message::decode(&body[5..]).unwrap();
        Told::of(message)
    };
    for body in [vec![], vec![0; 4], vec![1, 0, 0, 0, 0], vec![0, 0, 0, 0, 9, 1], {
        let mut nonsense = vec![0, 0, 0, 0, 4];
        nonsense.extend([0xff; 4]);
        nonsense
    }] {
        let (status, rpc, answer) = raw(&app, CHECK, &[GRPC], body).await;
        assert_eq!((status, rpc.as_str()), (200, ""));
        told(answer).denied(Code::InvalidArgument, 400, "malformed_message");
    }
    let huge = call(&[]).header("x-large", &"a".repeat(600 * 1024));
    ask(&app, &app.admin, huge).await.denied(Code::ResourceExhausted, 413, "body_too_large");
    assert_eq!(raw(&app, CHECK, &[("content-type", "application/json")], vec![]).await.0, 415);
    let (status, rpc, _) =
        raw(&app, "/envoy.service.auth.v2.Authorization/Check", &[GRPC], vec![]).await;
    assert_eq!((status, rpc.as_str()), (200, "12"));
    assert_eq!(decisions(&app).await, 0);
}

#[tokio::test]
async fn health_tells_whether_calls_can_be_decided() {
    for (broken, status) in [(false, 1), (true, 2)] {
        let app = App::seeded().await;
        app.break_store(broken);
        let path = "/grpc.health.v1.Health/Check";
        let (_, _, answer) = raw(&app, path, &[GRPC], vec![0; 5]).await;
        assert_eq!(answer, [0, 0, 0, 0, 2, 8, status]);
    }
}

//! Every route of the OpenAPI document: without a key, with a key of a role that may not, and with
//! a key of another tenant. A route that is missing here fails the test, and one that is served
//! without being in the document cannot be: both come from one table.

use std::collections::BTreeMap;

use reqwest::Method;
use sentinel_core::principal::Role::{self, Admin, Agent, Auditor, Author, Operator};
use serde_json::{Value, json};

use crate::support::{Answer, App, Key, Wanted, websocket};

/// What is expected of one route.
struct Route {
    /// Roles that may, `admin` left out: it always may.
    roles: &'static [Role],
    body: Option<Value>,
    /// Requests that aim at the tenant `other`: what is appended to the path, and a body.
    foreign: Vec<(&'static str, Option<Value>)>,
    /// Whether it returns decisions, so that a refused tenant is a deny rather than an error.
    decides: bool,
}

/// Identifiers of things of the tenant `other`.
struct Other {
    tool: String,
    upstream: String,
    decision: String,
    manifest: String,
    key: Key,
}

fn route(roles: &'static [Role]) -> Route {
    Route { roles, body: None, foreign: vec![("", None)], decides: false }
}

impl Route {
    fn body(self, body: Value) -> Self {
        Self { foreign: vec![("", Some(body.clone()))], body: Some(body), ..self }
    }

    fn query(self, query: &'static str) -> Self {
        Self { foreign: vec![("", None), (query, None)], ..self }
    }

    fn decides(self) -> Self {
        Self { decides: true, ..self }
    }

    fn also(mut self, body: Value) -> Self {
        self.foreign.push(("", Some(body)));
        self
    }
}

const PUBLIC: [&str; 7] = [
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/docs",
    "/docs/{file}",
    "/health",
    "/.well-known/authzen-configuration",
];

fn expected() -> BTreeMap<(&'static str, &'static str), Route> {
    let tool = json!({
        "tenant_slug": "other", "name": "probe", "url": "https://x.example.com", "owner": "o",
    });
    let check = json!({"tenant_slug": "other", "tool_name": "ledger", "action": "invoke"});
    let kill = json!({"tenant_slug": "other", "tool_name": "ledger", "reason": "probe"});
    let restore = json!({"tenant_slug": "other", "tool_name": "ledger"});
    let redeem = json!({"permit": "snp_x", "tool_id": uuid::Uuid::nil()});
    let resume = json!({
        "decision_id": uuid::Uuid::nil(), "tool_name": "vault", "action": "invoke",
    });
    let uncovered = json!({
        "tenant_slug": "other", "tool_name": "vault", "action": "call", "reason": "no_permit",
    });
    let key = json!({"name": "probe", "role": "agent", "tenant_slug": "other"});
    let readers: &[Role] = &[Agent, Operator, Author, Auditor];
    let input = json!({"input": {"tenant": "other", "tool": "vault", "action": "invoke"}});
    let by_query = "?input={\"tenant\":\"other\",\"tool\":\"vault\",\"action\":\"invoke\"}";
    let evaluation = json!({
        "subject": {"type": "agent", "id": "probe"}, "action": {"name": "invoke"},
        "resource": {"type": "tool", "id": "other/vault"},
    });
    let mut evaluations = evaluation.clone();
    evaluations["evaluations"] = json!([{}, {}]);
    let mut expected = of_policy();
    expected.extend(of_provenance());
    expected.extend(of_upstreams());
    expected.extend([
        (("post", "/v1/data/{path}"), route(&[Agent]).body(input).decides()),
        (("get", "/v1/data/{path}"), route(&[Agent]).query(by_query).decides()),
        (("get", "/v1/policies"), route(&[Author, Auditor])),
        (("get", "/v1/policies/"), route(&[Author, Auditor])),
        (("get", "/v1/policy/shadow"), route(&[Author, Auditor])),
        (("post", "/access/v1/evaluation"), route(&[Agent]).body(evaluation).decides()),
        (("post", "/access/v1/evaluations"), route(&[Agent]).body(evaluations).decides()),
        (("post", "/policy/check"), route(&[Agent]).body(check)),
        (("post", "/register"), route(&[]).body(tool)),
        (("get", "/register"), route(readers).query("?tenant_slug=other")),
        (("get", "/register/tenants"), route(&[Operator, Auditor])),
        (
            ("post", "/kill"),
            route(&[Operator])
                .body(kill)
                .also(json!({"tenant_slug": "other", "reason": "probe"}))
                .also(json!({"tenant_slug": "other", "agent": "a", "reason": "probe"}))
                .also(json!({"agent": "a", "reason": "probe"}))
                .also(json!({"scope": "global", "reason": "probe"})),
        ),
        (
            ("post", "/kill/restore"),
            route(&[Operator]).body(restore).also(json!({"scope": "global"})),
        ),
        (("get", "/v1/tenants"), route(&[Operator, Auditor])),
        (("post", "/v1/tenants"), route(&[]).body(json!({"slug": "probe"}))),
        (("get", "/v1/tools"), route(readers).query("?tenant=other")),
        (("get", "/v1/tools/{id}"), route(readers)),
        (("patch", "/v1/tools/{id}"), route(&[]).body(json!({"owner": "probe"}))),
        (("delete", "/v1/tools/{id}"), route(&[])),
        (("post", "/v1/tools/uncovered"), route(&[Agent]).body(uncovered)),
        (("get", "/v1/decisions"), route(&[Operator, Author, Auditor]).query("?tenant=other")),
        (("get", "/v1/decisions/export"), route(&[Auditor]).query("?tenant=other")),
        (("get", "/v1/decisions/{id}"), route(&[Operator, Author, Auditor])),
        (("get", "/v1/kills"), route(&[Operator, Auditor])),
        (("get", "/v1/quotas"), route(&[Operator, Auditor]).query("?tenant=other")),
        (("get", "/v1/policy"), route(&[Author, Auditor])),
        (("post", "/v1/permits/redeem"), route(&[Agent]).body(redeem)),
        (("post", "/v1/permits/resume"), route(&[Agent]).body(resume)),
        (("get", "/v1/keys"), route(&[])),
        (("post", "/v1/keys"), route(&[]).body(key)),
        (("delete", "/v1/keys/{id}"), route(&[])),
        (("get", "/v1/events"), route(&[Agent, Operator, Auditor])),
        (("get", "/v1/ws"), route(&[Agent, Operator, Auditor])),
        (("get", "/metrics"), route(&[Operator, Auditor])),
    ]);
    expected
}

/// Those about MCP servers and what their tools are pinned to.
fn of_upstreams() -> BTreeMap<(&'static str, &'static str), Route> {
    let upstream = json!({
        "tenant_slug": "other", "name": "probe",
        "transport": {"http": {"url": "https://x.example.com/mcp"}},
    });
    let command = json!({
        "tenant_slug": "other", "name": "probe", "transport": {"stdio": {"command": ["true"]}},
    });
    let review = json!({"digest": format!("sha256:{}", "0".repeat(64))});
    let standing = "/v1/upstreams/{tenant}/{name}/standing";
    BTreeMap::from([
        (("get", "/v1/upstreams"), route(&[Operator, Auditor]).query("?tenant=other")),
        (("post", "/v1/upstreams"), route(&[]).body(upstream).also(command)),
        (("get", "/v1/upstreams/{id}"), route(&[Operator, Auditor])),
        (("delete", "/v1/upstreams/{id}"), route(&[])),
        (("post", standing), route(&[Agent]).body(json!({"tools": []}))),
        (("get", "/v1/tools/{id}/drift"), route(&[Operator, Auditor])),
        (("post", "/v1/tools/{id}/approve"), route(&[Operator]).body(review.clone())),
        (("post", "/v1/tools/{id}/reject"), route(&[Operator]).body(review)),
    ])
}

/// Those about what is signed.
fn of_provenance() -> BTreeMap<(&'static str, &'static str), Route> {
    let sign = json!({
        "tenant_slug": "other", "tool_name": "ledger", "action": "invoke", "payload": 1,
    });
    let destroy = json!({"tenant_slug": "other", "reason": "probe"});
    let readers: &[Role] = &[Agent, Operator, Author, Auditor];
    let manifest: &[Role] = &[Agent, Auditor];
    BTreeMap::from([
        (("post", "/provenance/sign"), route(&[Agent]).body(sign)),
        (("get", "/provenance/verify/{id}"), route(manifest)),
        (("get", "/v1/manifests"), route(&[Auditor]).query("?tenant=other")),
        (("get", "/v1/manifests/{id}"), route(manifest)),
        (("get", "/v1/manifests/{id}/bundle"), route(manifest)),
        (("get", "/v1/manifests/{id}/salt"), route(manifest)),
        (("get", "/v1/manifests/{id}/payload"), route(manifest)),
        (("post", "/v1/payload-keys/destroy"), route(&[]).body(destroy)),
        (("get", "/v1/tombstones"), route(&[Auditor]).query("?tenant=other")),
        (("get", "/v1/tombstones/{id}/bundle"), route(&[Auditor])),
        (("get", "/v1/provenance/public-key"), route(readers)),
        (("get", "/v1/provenance/keys"), route(readers)),
        (("post", "/v1/provenance/keys/retire"), route(&[]).body(json!({"hint": "SHA256:probe"}))),
        (("post", "/v1/provenance/keys/revoke"), route(&[]).body(json!({"hint": "SHA256:probe"}))),
        (("get", "/v1/trusted-root"), route(readers)),
        (("get", "/v1/log/{path}"), route(readers)),
        (("get", "/v1/logs/{origin}/{path}"), route(readers)),
    ])
}

/// Those about the policy of all tenants.
fn of_policy() -> BTreeMap<(&'static str, &'static str), Route> {
    BTreeMap::from([
        (("get", "/v1/policy/rollout"), route(&[Author, Auditor])),
        (("post", "/v1/policy/rollout"), route(&[Author]).body(json!({"files": {}}))),
        (("post", "/v1/policy/rollout/promote"), route(&[Author]).body(json!({}))),
        (("post", "/v1/policy/rollout/drop"), route(&[Author]).body(json!({}))),
        (("get", "/v1/policy/changes"), route(&[Author, Auditor])),
        (("get", "/v1/policy/data"), route(&[Author, Auditor])),
        (("get", "/v1/policy/data-history"), route(&[Author, Auditor])),
        (("get", "/v1/policy/data/{path}"), route(&[Author, Auditor])),
        (("put", "/v1/policy/data/{path}"), route(&[Author]).body(json!({"probe": true}))),
        (("patch", "/v1/policy/data/{path}"), route(&[Author]).body(json!([]))),
        (("delete", "/v1/policy/data/{path}"), route(&[Author])),
    ])
}

/// Every operation of the document: method, path, whether it is public.
fn documented() -> Vec<(String, String, bool)> {
    let document = serde_json::to_value(sentinel_http::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let operations = item.as_object().unwrap().iter();
        let path = path.clone();
        operations
            .map(|(method, operation)| {
                (method.clone(), path.clone(), operation["security"] == json!([{}]))
            })
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// Sends, and reads the response; of an endless one the head only.
async fn send(
    app: &App,
    method: &str,
    path: &str,
    key: Option<&Key>,
    body: Option<&Value>,
) -> Answer {
    let mut request =
        app.request(Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), path);
    if let Some(key) = key {
        request = request.bearer_auth(&key.secret);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    if path.starts_with("/v1/ws") {
        request = websocket(request);
    }
    let response = request.send().await.unwrap();
    let media = response.headers().get("content-type");
    if response.status() == 101 || media.is_some_and(|media| media == "text/event-stream") {
        let headers = response.headers().clone();
        return Answer { status: response.status().as_u16(), headers, text: String::new() };
    }
    Answer::of(response).await
}

async fn seed_other(app: &App) -> Other {
    app.seed().await;
    let body = json!({
        "tenant_slug": "other", "name": "vault", "url": "https://secret-vault.example.com/mcp",
        "owner": "secret-owner", "metadata": {"note": "secret-note"},
    });
    let tool = app.post(&app.admin, "/register", &body).await.ok();
    let mut call = json!({"tenant_slug": "other", "tool_name": "vault", "action": "invoke"});
    let mut check = call.clone();
    check["context"] = json!({"note": "secret-context"});
    let decision = app.post(&app.admin, "/policy/check", &check).await.ok();
    call["payload"] = json!("secret-payload");
    call["metadata"] = json!({"note": "secret-metadata"});
    let manifest = app.post(&app.admin, "/provenance/sign", &call).await.ok();
    app.kill(json!({"tenant_slug": "other", "agent": "ghost", "reason": "secret-reason"}))
        .await
        .ok();
    // The log has no checkpoint in its first moments.
    while app.get(&app.admin, "/v1/log/checkpoint").await.status != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let upstream = json!({
        "tenant_slug": "other", "name": "secret-server", "transport": "wrapped",
    });
    let upstream = app.post(&app.admin, "/v1/upstreams", &upstream).await.ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Other {
        upstream: text(&upstream["id"]),
        tool: text(&tool["id"]),
        decision: text(&decision["decision_id"]),
        manifest: text(&manifest["manifest_id"]),
        key: app.key(Wanted::role(Agent).of("other")).await,
    }
}

fn path_of(template: &str, other: &Other) -> String {
    let id = match template {
        path if path.contains("/tools/") => &other.tool,
        path if path.contains("/upstreams/") => &other.upstream,
        path if path.contains("/decisions/") => &other.decision,
        path if path.contains("/keys/") => &other.key.id,
        _ => &other.manifest,
    };
    let path =
        if template.starts_with("/v1/log") { "checkpoint" } else { "sentinel/policy/decision" };
    template
        .replace("{id}", id)
        .replace("{origin}", "log.example")
        .replace("{tenant}", "other")
        .replace("{name}", "secret-server")
        .replace("{file}", "swagger-ui.css")
        .replace("{path}", path)
}

#[test]
fn every_route_is_expected_and_every_expected_route_is_there() {
    let documented = documented();
    let mut expected = expected();
    for (method, path, public) in &documented {
        assert_eq!(*public, PUBLIC.contains(&path.as_str()), "{method} {path}");
        if !public {
            let known = expected.remove(&(method.as_str(), path.as_str()));
            assert!(known.is_some(), "{method} {path} has no case in this test");
        }
    }
    let left: Vec<_> = expected.keys().collect();
    assert!(left.is_empty(), "not in the document: {left:?}");
}

#[tokio::test]
async fn without_a_valid_key_every_route_but_the_public_ones_returns_401() {
    let app = App::start().await;
    let other = seed_other(&app).await;
    let revoked = app.key(Wanted::role(Admin)).await;
    let path = format!("/v1/keys/{}", revoked.id);
    app.send(app.request(Method::DELETE, &path).bearer_auth(&app.admin.secret)).await.ok();
    let unknown = Key { id: String::new(), secret: "snt_admin_AAAAAAAAAAAAAAAAAAAAAA".to_owned() };
    for (method, template, public) in documented() {
        let path = path_of(&template, &other);
        let answer = send(&app, &method, &path, None, None).await;
        if public {
            assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
            continue;
        }
        let problem = answer.problem(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert_eq!(problem.get("allow") == Some(&json!(false)), template == "/policy/check");
        for key in [&unknown, &revoked] {
            let answer = send(&app, &method, &path, Some(key), None).await;
            answer.problem(401, "invalid_key");
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
    }
}

#[tokio::test]
async fn a_role_that_may_not_is_refused_before_its_body_is_read() {
    let app = App::start().await;
    let other = seed_other(&app).await;
    let mut keys = Vec::new();
    for role in Role::ALL {
        keys.push((role, app.key(Wanted::role(role)).await));
    }
    for ((method, template), route) in expected() {
        let path = path_of(template, &other);
        for (role, key) in &keys {
            let may = *role == Admin || route.roles.contains(role);
            if may {
                // Deleting comes once only: the administrator's turn is last.
                let answer = send(&app, method, &path, Some(key), route.body.as_ref()).await;
                assert_ne!(answer.status, 401, "{method} {path} {role:?}: {answer:?}");
                let forbidden = answer.text.contains("role_forbidden");
                assert!(!forbidden, "{method} {path} {role:?}: {answer:?}");
            } else {
                let answer = send(&app, method, &path, Some(key), None).await;
                answer.problem(403, "role_forbidden");
            }
        }
    }
}

#[tokio::test]
async fn a_key_of_another_tenant_reaches_nothing_and_changes_nothing() {
    let app = App::start().await;
    let other = seed_other(&app).await;
    let tenants = app.get(&app.admin, "/v1/tenants").await.ok();
    let tenant =
        tenants["items"].as_array().unwrap().iter().find(|t| t["slug"] == "other").unwrap();
    let tenant_id = tenant["id"].as_str().unwrap().to_owned();
    let before = app.get(&app.admin, &format!("/v1/tools/{}", other.tool)).await.ok();
    for ((method, template), route) in expected() {
        let path = path_of(template, &other);
        for role in route.roles.iter().copied().chain([Admin]) {
            let key = app.key(Wanted::role(role).of("acme")).await;
            for (query, body) in &route.foreign {
                let at = format!("{path}{query}");
                let answer = send(&app, method, &at, Some(&key), body.as_ref()).await;
                let what = format!("{method} {at} {role:?}: {answer:?}");
                if route.decides {
                    let denied = answer.text.contains("\"code\":\"tenant_forbidden\"")
                        && !answer.text.contains("true");
                    // Without an input there is nothing to decide.
                    assert!(denied || answer.status == 400, "{what}");
                    assert!(denied || (body.is_none() && query.is_empty()), "{what}");
                    assert!(!answer.text.contains("secret-") && !answer.text.contains(&tenant_id));
                    continue;
                }
                let aims = template.contains("{id}") || !query.is_empty() || body.is_some();
                if aims {
                    assert!(matches!(answer.status, 403 | 404), "{what}");
                } else {
                    assert!(matches!(answer.status, 101 | 200 | 403), "{what}");
                }
                assert!(!answer.text.contains("secret-"), "{what}");
                assert!(!answer.text.contains(&tenant_id), "{what}");
            }
        }
    }
    let after = app.get(&app.admin, &format!("/v1/tools/{}", other.tool)).await.ok();
    assert_eq!(before, after);
    app.get(&other.key, "/v1/tools").await.ok();
    let kills = app.get(&app.admin, "/v1/kills?in_force=true").await.ok();
    assert_eq!(kills["items"].as_array().unwrap().len(), 1, "{kills}");
}

#[tokio::test]
async fn a_foreign_tenant_and_an_unknown_one_look_the_same() {
    let app = App::seeded().await;
    let key = app.key(Wanted::role(Agent).of("acme")).await;
    let mut refusals = Vec::new();
    for tenant in ["other", "absent"] {
        let answer = app.check_as(&key, json!({"tenant_slug": tenant})).await;
        let mut problem = answer.problem(403, "tenant_forbidden");
        assert!(problem["decision_id"].is_string() && problem["allow"] == false, "{problem}");
        problem["decision_id"] = Value::Null;
        problem["request_id"] = Value::Null;
        refusals.push(problem.to_string().replace(tenant, "TENANT"));
    }
    assert_eq!(refusals[0], refusals[1]);
}

#[tokio::test]
async fn credentials_that_are_not_one_key_are_refused() {
    let app = App::seeded().await;
    let secret = &app.admin.secret;
    let get = || app.request(Method::GET, "/v1/tools");
    app.send(get().header("x-api-key", secret)).await.ok();
    app.send(get().header("authorization", format!("bearer {secret}"))).await.ok();
    let refused = [
        get().header("authorization", secret),
        get().header("authorization", format!("Basic {secret}")),
        get().header("authorization", format!("Bearer {secret} ,")),
        get().bearer_auth(secret).bearer_auth(secret),
        get().bearer_auth(secret).header("x-api-key", secret),
        get().header("x-api-key", secret).header("x-api-key", secret),
        get().header("authorization", format!("Bearer {}", secret.to_uppercase())),
        get().header("authorization", vec![0xff_u8, 0xfe]),
    ];
    for request in refused {
        app.send(request).await.problem(401, "invalid_key");
    }
    app.send(app.request(Method::GET, &format!("/v1/tools?api_key={secret}")))
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_key_of_one_agent_speaks_for_no_other() {
    let app = App::seeded().await;
    let wanted = Wanted { agent: Some("alice"), ..Wanted::role(Agent).of("acme") };
    let key = app.key(wanted).await;
    assert_eq!(app.check_as(&key, json!({})).await.ok()["allow"], true);
    assert_eq!(app.check_as(&key, json!({"agent": "alice"})).await.ok()["allow"], true);
    let denied = app.check_as(&key, json!({"agent": "bob"})).await.ok();
    assert_eq!((&denied["allow"], &denied["code"]), (&json!(false), &json!("agent_forbidden")));
}

#[tokio::test]
async fn with_authentication_off_everyone_is_the_administrator() {
    let options =
        sentinel_ingress::Options { auth: sentinel_ingress::AuthMode::Off, ..Default::default() };
    let app = App::with(options).await;
    app.send(app.request(Method::GET, "/v1/keys")).await.ok();
    // Except a page of somebody else's that the administrator's browser shows.
    let input = "/v1/data/sentinel/policy/decision?input=%7B%7D";
    for path in ["/v1/keys", input] {
        let from = |site| app.request(Method::GET, path).header("sec-fetch-site", site);
        app.send(from("cross-site")).await.problem(403, "origin_forbidden");
    }
    let typed = app.request(Method::GET, "/v1/keys").header("sec-fetch-site", "none");
    app.send(typed).await.ok();
}

#[tokio::test]
async fn other_names_of_the_server_are_refused_where_names_are_given() {
    let options = sentinel_ingress::Options {
        allowed_hosts: Some(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]),
        ..Default::default()
    };
    let app = App::with(options).await;
    let get = |path| app.request(Method::GET, path).bearer_auth(&app.admin.secret);
    app.send(get("/v1/tools")).await.ok();
    app.send(get("/v1/tools").header("origin", "http://localhost:3000")).await.ok();
    for request in [
        get("/v1/tools").header("host", "attacker.example"),
        get("/v1/tools").header("origin", "https://attacker.example"),
        get("/v1/tools").header("origin", "null"),
        get("/docs").header("host", "attacker.example"),
        get("/nowhere").header("host", "attacker.example"),
    ] {
        app.send(request).await.problem(403, "host_forbidden");
    }
    let check = app.request(Method::POST, "/policy/check").header("host", "attacker.example");
    assert_eq!(app.send(check).await.problem(403, "host_forbidden")["allow"], false);
}

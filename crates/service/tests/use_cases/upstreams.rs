//! Upstreams and pins: what is listed is registered, pinned, and quarantined when it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use sentinel_core::decision::ReasonCode;
use sentinel_core::id::ToolId;
use sentinel_core::pin::{QuarantineCause, Review};
use sentinel_core::ports::prelude::*;
use sentinel_core::principal::{Principal, Role};
use sentinel_core::upstream::{HttpTransport, StdioTransport, Transport};
use sentinel_service::upstreams::{
    AllowedCommand, NewTools, ToolStanding, UpstreamRules, UpstreamSpec, Viewer,
};
use sentinel_service::{ServiceError, Settings};
use sentinel_testkit::build::{self, name};
use serde_json::{Map, Value, json};

use crate::support::{ADMIN, App, decision, request};

type Definition = Arc<Map<String, Value>>;

fn definition(name: &str, description: &str) -> Definition {
    Arc::new(build::object(json!({
        "name": name, "description": description,
        "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": true, "title": "for people"},
    })))
}

fn viewer() -> Viewer {
    Viewer {
        principal: ADMIN,
        agent: None,
        purpose: None,
        context: Map::new(),
        request_id: "request-1".into(),
    }
}

fn http(url: &str) -> Transport {
    let (url, headers) = (url.parse().unwrap(), BTreeMap::new());
    Transport::Http(HttpTransport { url, headers })
}

fn stdio(command: &[&str]) -> Transport {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    Transport::Stdio(StdioTransport { command, env: BTreeMap::new() })
}

fn spec(transport: Transport) -> UpstreamSpec {
    UpstreamSpec { tenant: name("secops"), name: name("fs"), transport }
}

async fn with_upstream(rules: UpstreamRules) -> App {
    let app = App::start_with(Settings { upstreams: rules, ..Settings::default() }).await;
    let spec = spec(http("https://mcp.example.com/mcp"));
    app.services.upstreams.add(&ADMIN, spec).await.unwrap();
    app
}

async fn list(app: &App, tools: &[Definition]) -> Vec<ToolStanding> {
    let (tenant, upstream) = (name("secops"), name("fs"));
    app.services.upstreams.standing(&viewer(), &tenant, &upstream, tools).await.unwrap()
}

/// The standing of the first tool of a listing.
async fn first(app: &App, tool: Definition) -> (bool, Option<&'static str>) {
    let standing = list(app, &[tool]).await.remove(0);
    (standing.visible, standing.quarantined)
}

async fn epoch(app: &App) -> u64 {
    app.services.control.refresh().await.unwrap().epoch().0
}

async fn code(app: &App, tool: &str) -> ReasonCode {
    app.services.checker.check(request("secops", tool)).await.unwrap().decision.code
}

fn id_of(app: &App, tool: &str) -> ToolId {
    let control = app.services.control.current();
    let tenant = control.tenant(&name("secops")).unwrap().id;
    control.tool(tenant, &name(tool)).unwrap().id
}

#[tokio::test]
async fn a_listing_registers_and_pins_and_costs_nothing_the_second_time() {
    let app = with_upstream(UpstreamRules::default()).await;
    let before = epoch(&app).await;
    let tools = [definition("read", "Reads."), definition("write", "Writes.")];
    let standings = list(&app, &tools).await;
    let names: Vec<_> = standings.iter().map(|standing| standing.name.to_string()).collect();
    let doors = ["resources", "prompts", "completion", "sampling", "elicitation"];
    let doors = doors.map(|door| format!("fs__{door}"));
    assert_eq!(names[..2], ["fs__read", "fs__write"]);
    assert_eq!(names[2..], doors);
    assert!(standings.iter().all(|tool| tool.visible && tool.quarantined.is_none()));
    assert_eq!(epoch(&app).await, before + 1);
    assert_eq!(list(&app, &tools).await, standings);
    assert_eq!(epoch(&app).await, before + 1);
    assert_eq!(code(&app, "fs__read").await, ReasonCode::Allowed);
    let tool = app.services.control.current().tool_by_id(id_of(&app, "fs__read")).cloned().unwrap();
    let about = &tool.metadata["mcp"];
    assert_eq!((&about["kind"], &about["upstream"]), (&json!("tool"), &json!("fs")));
    // Text that the server chooses is not for policy.
    assert_eq!(about["annotations"], json!({"readOnlyHint": true}));
    assert_eq!(about["digest"], json!(tool.pin.unwrap().approved));
}

#[tokio::test]
async fn visibility_is_what_policy_says_of_the_action_list() {
    let app = with_upstream(UpstreamRules::default()).await;
    app.policy.set_rule(|input| {
        let is_list = input.action.as_str() == "list" && input.arguments.is_empty();
        decision(is_list && input.tool.as_str() != "fs__write", None)
    });
    let tools = [definition("read", "Reads."), definition("write", "Writes.")];
    let decided = app.store.decisions(Default::default(), sentinel_core::page::Page::first(100));
    let decided = decided.await.unwrap().items.len();
    let standings = list(&app, &tools).await;
    let seen: Vec<_> = standings.iter().take(2).map(|standing| standing.visible).collect();
    assert_eq!(seen, [true, false]);
    // Nothing is recorded or counted.
    let page = sentinel_core::page::Page::first(100);
    assert_eq!(app.store.decisions(Default::default(), page).await.unwrap().items.len(), decided);
    app.policy.set(Err(sentinel_core::policy::PolicyError::TimedOut));
    assert!(list(&app, &tools).await.iter().all(|standing| !standing.visible));
}

#[tokio::test]
async fn a_changed_definition_is_denied_until_it_is_approved_or_taken_back() {
    let app = with_upstream(UpstreamRules::default()).await;
    let (old, new) = (definition("read", "Reads."), definition("read", "Reads, and sends home."));
    assert_eq!(first(&app, old.clone()).await, (true, None));
    assert_eq!(first(&app, new.clone()).await, (false, Some("tool_drift")));
    assert_eq!(code(&app, "fs__read").await, ReasonCode::ToolDrift);
    // What is offered is still not what was approved.
    assert_eq!(first(&app, new.clone()).await, (false, Some("tool_drift")));
    assert_eq!(first(&app, old.clone()).await, (true, None));
    assert_eq!(code(&app, "fs__read").await, ReasonCode::Allowed);

    first(&app, new.clone()).await;
    let (upstreams, id) = (&app.services.upstreams, id_of(&app, "fs__read"));
    let drift = upstreams.drift(&ADMIN, id).await.unwrap().unwrap();
    let (approved, offered) = (drift.approved.unwrap(), drift.offered.unwrap());
    assert_eq!((&approved.definition, &offered.definition), (&*old, &*new));
    let wrong = upstreams.review(&ADMIN, id, Review::Approve, approved.digest).await.unwrap_err();
    assert_eq!(wrong.code(), "definition_not_offered");
    upstreams.review(&ADMIN, id, Review::Reject, offered.digest).await.unwrap();
    assert_eq!(first(&app, new.clone()).await, (false, Some("tool_drift")));
    let rejected = upstreams.drift(&ADMIN, id).await.unwrap().unwrap();
    assert_eq!(rejected.quarantine.unwrap().cause, QuarantineCause::Rejected);
    upstreams.review(&ADMIN, id, Review::Approve, offered.digest).await.unwrap();
    assert_eq!(code(&app, "fs__read").await, ReasonCode::Allowed);
    assert_eq!(first(&app, new).await, (true, None));
    assert_eq!(first(&app, old).await, (false, Some("tool_drift")));
}

#[tokio::test]
async fn what_is_pinned_is_everything_but_meta() {
    let app = with_upstream(UpstreamRules::default()).await;
    let base = definition("read", "Reads.");
    first(&app, base.clone()).await;
    for (member, value) in [
        ("title", json!("Read")),
        ("inputSchema", json!({"type": "object", "properties": {}})),
        ("outputSchema", json!({"type": "object"})),
        ("annotations", json!({"readOnlyHint": false})),
        ("surprise", json!(1)),
    ] {
        let mut changed = Map::clone(&base);
        changed.insert(member.to_owned(), value);
        assert_eq!(first(&app, Arc::new(changed)).await.1, Some("tool_drift"), "{member}");
    }
    let mut with_meta = Map::clone(&base);
    with_meta.insert("_meta".to_owned(), json!({"at": 1}));
    assert_eq!(first(&app, Arc::new(with_meta)).await, (true, None));
}

#[tokio::test]
async fn new_tools_wait_where_the_configuration_says_so() {
    let rules = UpstreamRules { new_tools: NewTools::Quarantine, ..UpstreamRules::default() };
    let app = with_upstream(rules).await;
    let tool = definition("read", "Reads.");
    assert_eq!(first(&app, tool.clone()).await, (false, Some("tool_unapproved")));
    assert_eq!(code(&app, "fs__read").await, ReasonCode::ToolUnapproved);
    let (upstreams, id) = (&app.services.upstreams, id_of(&app, "fs__read"));
    let offered = upstreams.drift(&ADMIN, id).await.unwrap().unwrap().offered.unwrap();
    upstreams.review(&ADMIN, id, Review::Approve, offered.digest).await.unwrap();
    assert_eq!(first(&app, tool).await, (true, None));
}

#[tokio::test]
async fn names_that_pass_for_others_are_refused() {
    let app = with_upstream(UpstreamRules::default()).await;
    let cyrillic = "r\u{0435}ad";
    let listed = [
        "read",
        "Read",
        "resources",
        "Re-sources",
        cyrillic,
        "",
        "re\u{200b}ad",
        "read.file",
        "read",
        "läs",
    ];
    let tools: Vec<_> = listed.iter().map(|name| definition(name, "x")).collect();
    let standings = list(&app, &tools).await;
    let found: Vec<_> = standings.iter().map(|standing| standing.quarantined).collect();
    let (collision, invalid) = (Some("tool_name_collision"), Some("tool_name_invalid"));
    let expected =
        [None, collision, collision, None, invalid, invalid, invalid, None, collision, None];
    assert_eq!(found[..listed.len()], expected);
    // A tool that was registered under a name that reads like it keeps the other out for good.
    let before = epoch(&app).await;
    let alike = [definition("rea1", "x"), definition("real", "x")];
    assert_eq!(list(&app, &alike[..1]).await[0].quarantined, None);
    for _ in 0..2 {
        assert_eq!(list(&app, &alike[1..]).await[0].quarantined, collision);
    }
    assert_eq!(epoch(&app).await, before + 1);
    assert_eq!(code(&app, "fs__real").await, ReasonCode::UnknownTool);
}

#[tokio::test]
async fn a_removed_upstream_is_denied_and_one_of_its_name_takes_over() {
    let app = with_upstream(UpstreamRules::default()).await;
    let tool = definition("read", "Reads.");
    first(&app, tool.clone()).await;
    let upstreams = &app.services.upstreams;
    let id = |app: &App| {
        let control = app.services.control.current();
        let tenant = control.tenant(&name("secops")).unwrap().id;
        control.upstream(tenant, &name("fs")).unwrap().id
    };
    upstreams.remove(&ADMIN, id(&app)).await.unwrap().unwrap();
    assert_eq!(code(&app, "fs__read").await, ReasonCode::UpstreamRemoved);
    assert_eq!(code(&app, "fs__resources").await, ReasonCode::UpstreamRemoved);
    upstreams.add(&ADMIN, spec(http("https://mcp.example.com/mcp"))).await.unwrap();
    assert_eq!(code(&app, "fs__resources").await, ReasonCode::Allowed);
    assert_eq!(code(&app, "fs__read").await, ReasonCode::UpstreamRemoved);
    assert_eq!(first(&app, tool.clone()).await, (true, None));
    assert_eq!(code(&app, "fs__read").await, ReasonCode::Allowed);
    // At another address it is another tool.
    upstreams.remove(&ADMIN, id(&app)).await.unwrap().unwrap();
    upstreams.add(&ADMIN, spec(http("https://elsewhere.example.com/mcp"))).await.unwrap();
    assert_eq!(first(&app, tool).await, (false, Some("tool_drift")));
}

#[tokio::test]
async fn a_transport_is_checked_before_it_is_added() {
    let rules = UpstreamRules {
        allowed_commands: vec![AllowedCommand::parse("mcp-server-time").unwrap()],
        ..UpstreamRules::default()
    };
    let app = App::start_with(Settings { upstreams: rules, ..Settings::default() }).await;
    let bound = build::key(Role::Admin);
    let tenant = app.services.control.current().tenant(&name("secops")).unwrap().id;
    let bound = sentinel_core::principal::ApiKey { tenant_id: Some(tenant), ..bound };
    let bound = Principal::of_key(Arc::new(bound));
    let add = async |principal: &Principal, transport| {
        let added = app.services.upstreams.add(principal, spec(transport)).await;
        added.map(|view| view.upstream.name.to_string()).map_err(|error| error.code())
    };
    let (with_secret, with_own) = (
        json!({"http": {"url": "https://x.example.com/", "headers": {"authorization": "env:T"}}}),
        json!({"http": {"url": "https://x.example.com/",
            "headers": {"authorization": "env:SENTINEL_DATABASE_URL"}}}),
    );
    let read = |value: Value| serde_json::from_value::<Transport>(value).unwrap();
    let time = || stdio(&["mcp-server-time"]);
    assert_eq!(add(&bound, time()).await, Err("unbound_principal_required"));
    assert_eq!(add(&bound, read(with_secret)).await, Err("unbound_principal_required"));
    assert_eq!(add(&ADMIN, read(with_own)).await, Err("invalid_upstream"));
    assert_eq!(add(&ADMIN, stdio(&["sh", "-c", "true"])).await, Err("command_not_allowed"));
    assert_eq!(add(&ADMIN, stdio(&["mcp-server-time", "-x"])).await, Err("command_not_allowed"));
    for url in [
        "http://127.0.0.1/",
        "http://169.254.169.254/",
        "ftp://x.example.com/",
        "http://u:p@x.example.com/",
    ] {
        assert_eq!(add(&bound, http(url)).await, Err("invalid_upstream"), "{url}");
    }
    assert_eq!(add(&ADMIN, time()).await, Ok("fs".to_owned()));
    assert_eq!(add(&bound, http("https://x.example.com/")).await, Err("upstream_exists"));
}

#[tokio::test]
async fn a_wrapped_server_is_added_by_its_first_listing_if_that_is_allowed() {
    let wrapped = async |app: &App, upstream: &str| {
        let (tenant, tools) = (name("secops"), [definition("read", "Reads.")]);
        let upstreams = &app.services.upstreams;
        let found =
            upstreams.standing_of_wrapped(&viewer(), &tenant, &name(upstream), &tools).await;
        found.map(|standings| standings[0].quarantined).map_err(|error| error.code())
    };
    let app = with_upstream(UpstreamRules::default()).await;
    assert_eq!(wrapped(&app, "mine").await, Err("wrap_not_allowed"));
    let app = with_upstream(UpstreamRules { wrap: true, ..UpstreamRules::default() }).await;
    assert_eq!(wrapped(&app, "mine").await, Ok(None));
    assert_eq!(wrapped(&app, "mine").await, Ok(None));
    // What a server that we connect to offers is not for an agent to say.
    assert_eq!(wrapped(&app, "fs").await, Err("upstream_not_wrapped"));
}

#[tokio::test]
async fn an_upstream_that_changes_without_end_is_held_up_and_stays_denied() {
    let app = with_upstream(UpstreamRules::default()).await;
    let (tenant, upstream) = (name("secops"), name("fs"));
    let mut refused = None;
    for round in 0..100 {
        let tools = [definition("read", &round.to_string())];
        let upstreams = &app.services.upstreams;
        let standing = upstreams.standing(&viewer(), &tenant, &upstream, &tools).await;
        if let Err(error) = standing {
            refused = Some(error);
            break;
        }
    }
    assert!(matches!(refused, Some(ServiceError::Overloaded)), "{refused:?}");
    assert_eq!(code(&app, "fs__read").await, ReasonCode::ToolDrift);
}

#[tokio::test]
async fn concurrent_listings_agree() {
    let app = Arc::new(with_upstream(UpstreamRules::default()).await);
    let other = Arc::new(app.replica(Settings::default(), Default::default()).await);
    let tools: Vec<_> = (0..20).map(|index| definition(&build::distinct(index), "one")).collect();
    let listings = (0..8).map(|index| {
        let services = if index % 2 == 0 { &app.services } else { &other };
        let (services, tools) = (Arc::clone(services), tools.clone());
        tokio::spawn(async move {
            let (tenant, upstream) = (name("secops"), name("fs"));
            services.upstreams.standing(&viewer(), &tenant, &upstream, &tools).await.unwrap()
        })
    });
    let listings: Vec<_> = listings.collect();
    for listing in listings {
        let standings = listing.await.unwrap();
        assert!(standings.iter().all(|standing| standing.quarantined.is_none()));
    }
    let control = app.services.control.refresh().await.unwrap();
    let tenant = control.tenant(&name("secops")).unwrap().id;
    assert_eq!(control.tools_of(tenant).filter(|tool| tool.pin.is_some()).count(), 25);
}

#[tokio::test]
async fn the_configuration_adds_replaces_and_removes_its_own() {
    let app = App::start().await;
    let (upstreams, registry) = (&app.services.upstreams, &app.services.registry);
    let listed = |url: &str| {
        vec![UpstreamSpec { tenant: name("brand-new"), name: name("docs"), transport: http(url) }]
    };
    let known = || {
        let control = app.services.control.current();
        let found: Vec<_> =
            control.upstreams().map(|known| known.transport.endpoint().join(" ")).collect();
        found
    };
    upstreams.configure(registry, &listed("https://one.example.com/")).await.unwrap();
    assert_eq!(known(), ["http https://one.example.com/"]);
    let before = epoch(&app).await;
    upstreams.configure(registry, &listed("https://one.example.com/")).await.unwrap();
    assert_eq!(epoch(&app).await, before);
    upstreams.configure(registry, &listed("https://two.example.com/")).await.unwrap();
    assert_eq!(known(), ["http https://two.example.com/"]);
    upstreams.add(&ADMIN, spec(http("https://mine.example.com/"))).await.unwrap();
    upstreams.configure(registry, &[]).await.unwrap();
    assert_eq!(known(), ["http https://mine.example.com/"]);
}

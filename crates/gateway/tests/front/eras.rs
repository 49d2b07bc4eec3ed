//! Clients of each era in front of servers of each era: what both can express passes, and means the
//! same. The server is the fixture, built with the SDK, over HTTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use sentinel_core::upstream::Upstream as Registered;
use sentinel_gateway::gateway::Connector;
use sentinel_gateway::upstream::{EraChoice, Spec, Transport, Upstream, connect};
use sentinel_mcp_fixture::{Eras, Options};
use sentinel_service::networks::Networks;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::modern::{addressed, meta, modern};
use crate::support::app::within;
use crate::support::http::request;
use crate::support::{App, Client};

/// Connects to one server, wherever an upstream is said to be.
#[derive(Debug)]
pub(crate) struct ToServer(pub(crate) String);

impl Connector for ToServer {
    fn connect(&self, upstream: &Registered) -> Result<Arc<dyn Upstream>, String> {
        let url = self.0.parse().map_err(|_| "not a url".to_owned())?;
        let transport = Transport::Http { url, headers: Vec::new() };
        let mut spec = Spec::new(upstream.name.as_str(), transport);
        (spec.networks, spec.era) = (Networks::PublicAndPrivate, EraChoice::Auto);
        Ok(connect(spec))
    }
}

/// A gateway in front of a server of one era.
struct World {
    app: App,
    witness: PathBuf,
    _folder: TempDir,
}

impl World {
    async fn start(eras: Eras) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let witness = folder.path().join("witness");
        let options = Options { eras, odd: false, witness: Some(witness.clone()) };
        let url = sentinel_mcp_fixture::start(options).await.unwrap();
        let app = App::before(Arc::new(ToServer(url))).await;
        Self { app, witness, _folder: folder }
    }

    /// A client of each era, that can be asked everything.
    async fn speakers(&self) -> [Speaker; 2] {
        let capabilities = json!({"elicitation": {"form": {}}, "sampling": {}, "roots": {}});
        let client = self.app.client(&self.app.agent().await);
        let session = client.clone().initialized(capabilities.clone()).await;
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(session.post(&initialized).await.status, 202);
        let other = self.app.client(&self.app.agent().await);
        [Speaker::Legacy(session), Speaker::Modern(other, meta(capabilities))]
    }
}

/// Every era of a server before every era of a client.
async fn worlds() -> Vec<(World, [Speaker; 2], &'static str)> {
    let mut worlds = Vec::new();
    for (eras, server) in [(Eras::Legacy, "legacy server"), (Eras::Modern, "modern server")] {
        let world = World::start(eras).await;
        let speakers = world.speakers().await;
        worlds.push((world, speakers, server));
    }
    worlds
}

enum Speaker {
    Legacy(Client),
    Modern(Client, Value),
}

impl Speaker {
    fn is_modern(&self) -> bool {
        matches!(self, Self::Modern(..))
    }

    fn name(&self) -> &'static str {
        if self.is_modern() { "modern client" } else { "legacy client" }
    }

    /// The client with the headers of a request, and the request.
    fn prepare(&self, id: u64, method: &str, mut params: Value) -> (Client, Value) {
        match self {
            Self::Legacy(client) => (client.clone(), request(id, method, params)),
            Self::Modern(client, meta) => {
                let mut all = meta.clone();
                for (key, value) in params["_meta"].as_object().into_iter().flatten() {
                    all[key] = value.clone();
                }
                params["_meta"] = all;
                let body = modern(id, method, params);
                (addressed(client, &body), body)
            }
        }
    }

    /// Sends a request, and returns every message up to its response.
    async fn messages(&self, id: u64, method: &str, params: Value) -> Vec<Value> {
        let (client, body) = self.prepare(id, method, params);
        let sent = client.request(Method::POST).header("content-type", "application/json");
        let response = sent.body(body.to_string()).send().await.unwrap();
        assert_eq!(response.status(), 200, "{method}");
        let is_stream = response.headers()["content-type"] == "text/event-stream";
        let text = response.text().await.unwrap();
        if !is_stream {
            return vec![serde_json::from_str(&text).unwrap()];
        }
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| !data.is_empty())
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    #[track_caller]
    fn result(&self, what: &str, messages: Vec<Value>) -> Value {
        let last = messages.into_iter().last().unwrap_or_default();
        let result = last["result"].clone();
        assert!(result.is_object(), "{} {what}: {last}", self.name());
        // Each client sees results of its own era.
        let kind = result.get("resultType").and_then(Value::as_str);
        assert_eq!(kind.is_some(), self.is_modern(), "{} {what}: {result}", self.name());
        result
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        let messages = self.messages(7, method, params).await;
        self.result(method, messages)
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let name = format!("files__{tool}");
        self.ask("tools/call", json!({"name": name, "arguments": arguments})).await
    }

    /// Calls a tool, answers each question by its method, and returns the result and how many
    /// questions there were.
    async fn converse(&self, tool: &str, arguments: Value) -> (Value, usize) {
        let params = json!({"name": format!("files__{tool}"), "arguments": arguments});
        match self {
            Self::Legacy(client) => self.converse_in_session(client, params).await,
            Self::Modern(..) => self.converse_by_retries(params).await,
        }
    }

    async fn converse_in_session(&self, client: &Client, params: Value) -> (Value, usize) {
        let (_, body) = self.prepare(8, "tools/call", params);
        let mut stream = client.stream(&body).await;
        let mut questions = 0;
        loop {
            let message = stream.message().await;
            let Some(method) = message["method"].as_str() else {
                return (self.result("tools/call", vec![message]), questions);
            };
            questions += 1;
            let response =
                json!({"jsonrpc": "2.0", "id": message["id"], "result": respond(method)});
            assert_eq!(client.post(&response).await.status, 202);
        }
    }

    async fn converse_by_retries(&self, params: Value) -> (Value, usize) {
        let mut result = self.ask("tools/call", params.clone()).await;
        let mut questions = 0;
        while result["resultType"] == "input_required" {
            let mut retry = params.clone();
            for (key, question) in result["inputRequests"].as_object().unwrap() {
                questions += 1;
                retry["inputResponses"][key] = respond(question["method"].as_str().unwrap());
            }
            assert!(questions < 10, "{result}");
            retry["requestState"] = result["requestState"].clone();
            result = self.ask("tools/call", retry).await;
        }
        (result, questions)
    }
}

/// What every client here responds to a question.
fn respond(method: &str) -> Value {
    match method {
        "elicitation/create" => {
            let content = json!({"username": "ada", "email": "a@example.com", "name": "ada"});
            json!({"action": "accept", "content": content})
        }
        "sampling/createMessage" => json!({
            "role": "assistant", "model": "none", "content": {"type": "text", "text": "Paris"},
        }),
        "roots/list" => json!({"roots": [{"uri": "file:///work", "name": "work"}]}),
        other => panic!("asked {other}"),
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"))
}

fn names<'a>(result: &'a Value, list: &str, key: &str) -> Vec<&'a str> {
    let items = result[list].as_array().unwrap_or_else(|| panic!("{result}"));
    items.iter().map(|item| item[key].as_str().unwrap()).collect()
}

#[tokio::test]
async fn tools_prompts_resources_and_completions_pass_between_the_eras() {
    for (_world, speakers, server) in worlds().await {
        for client in speakers {
            let what = format!("{} {server}", client.name());
            let tools = client.ask("tools/list", json!({})).await;
            assert!(names(&tools, "tools", "name").contains(&"files__echo"), "{what}");
            assert_eq!(text(&client.call("echo", json!({"message": "hé"})).await), "hé", "{what}");
            let failed = client.call("test_error_handling", json!({})).await;
            assert_eq!(failed["isError"], true, "{what}");
            let embedded = client.call("test_embedded_resource", json!({})).await;
            let uri = &embedded["content"][0]["resource"]["uri"];
            assert_eq!(uri, "mcp+files+test://embedded-resource", "{what}");

            let prompts = client.ask("prompts/list", json!({})).await;
            let prompt = "files__test_prompt_with_arguments";
            assert!(names(&prompts, "prompts", "name").contains(&prompt), "{what}");
            let arguments = json!({"arg1": "one", "arg2": "two"});
            let params = json!({"name": prompt, "arguments": arguments});
            let got = client.ask("prompts/get", params).await;
            assert!(got["messages"].to_string().contains("arg1='one', arg2='two'"), "{what}");

            let resources = client.ask("resources/list", json!({})).await;
            let uri = "mcp+files+test://static-text";
            assert!(names(&resources, "resources", "uri").contains(&uri), "{what}");
            let read = client.ask("resources/read", json!({"uri": uri})).await;
            assert_eq!(read["contents"][0]["uri"], uri, "{what}");
            let templates = client.ask("resources/templates/list", json!({})).await;
            let template = names(&templates, "resourceTemplates", "uriTemplate")[0].to_owned();
            let expanded = template.replace("{id}", "5");
            let read = client.ask("resources/read", json!({"uri": expanded})).await;
            assert!(read["contents"][0]["text"].to_string().contains("Data for ID: 5"), "{what}");

            let complete = json!({
                "ref": {"type": "ref/prompt", "name": prompt},
                "argument": {"name": "arg1", "value": "par"},
            });
            let completed = client.ask("completion/complete", complete).await;
            let values = &completed["completion"]["values"];
            assert_eq!(*values, json!(["paris", "park", "party"]), "{what}");
        }
    }
}

#[tokio::test]
async fn progress_and_the_log_pass_between_the_eras() {
    for (_world, speakers, server) in worlds().await {
        for client in speakers {
            let what = format!("{} {server}", client.name());
            let params = |tool: &str, meta: Value| json!({"name": format!("files__{tool}"), "arguments": {}, "_meta": meta});
            let wanted = params("test_tool_with_progress", json!({"progressToken": "mine"}));
            let messages = client.messages(3, "tools/call", wanted).await;
            let progress: Vec<_> = messages
                .iter()
                .filter(|message| message["method"] == "notifications/progress")
                .map(|message| {
                    (&message["params"]["progressToken"], &message["params"]["progress"])
                })
                .collect();
            assert_eq!(progress.len(), 3, "{what}: {messages:?}");
            assert!(progress.iter().all(|(token, _)| *token == "mine"), "{what}: {progress:?}");
            assert_eq!(*progress[2].1, 100.0, "{what}");
            let unwanted = params("test_tool_with_progress", json!({}));
            assert_eq!(client.messages(4, "tools/call", unwanted).await.len(), 1, "{what}");
            // The SDK sends the log of a session on a stream that belongs to no request, which
            // leads to no client of the gateway.
            if server == "legacy server" {
                continue;
            }
            // A session wants the log from `info` on, a request only what it asks for.
            let level = match client.is_modern() {
                true => json!({"io.modelcontextprotocol/logLevel": "info"}),
                false => json!({}),
            };
            let wanted = params("test_tool_with_logging", level);
            let messages = client.messages(5, "tools/call", wanted).await;
            let said = messages.iter().filter(|said| said["method"] == "notifications/message");
            assert_eq!(said.count(), 3, "{what}: {messages:?}");
        }
    }
}

#[tokio::test]
async fn questions_pass_between_the_eras() {
    for (_world, speakers, server) in worlds().await {
        for client in speakers {
            let what = format!("{} {server}", client.name());
            let (result, questions) =
                client.converse("test_elicitation", json!({"message": "who?"})).await;
            assert_eq!(questions, 1, "{what}");
            assert!(text(&result).contains("action=accept"), "{what}: {result}");
            assert!(text(&result).contains("ada"), "{what}: {result}");
            let (result, questions) =
                client.converse("test_sampling", json!({"prompt": "?"})).await;
            assert_eq!((text(&result), questions), ("LLM response: Paris", 1), "{what}");
            let several = "test_input_required_result_multi_round";
            let (result, questions) = client.converse(several, json!({})).await;
            assert_eq!((text(&result), questions), ("Multi-round flow complete", 2), "{what}");
            if server == "modern server" {
                // Folders are not declared to a legacy server: it is shared by all clients.
                let roots = "test_input_required_result_list_roots";
                let (result, _) = client.converse(roots, json!({})).await;
                assert!(text(&result).contains("file:///work"), "{what}: {result}");
            }
        }
    }
}

fn witnessed(witness: &Path) -> usize {
    let text = std::fs::read_to_string(witness).unwrap_or_default();
    text.lines().filter(|line| line.contains("cancelled")).count()
}

fn started(witness: &Path) -> usize {
    let text = std::fs::read_to_string(witness).unwrap_or_default();
    text.lines().filter(|line| line.contains("sleep") && line.contains("started")).count()
}

#[tokio::test]
async fn a_cancellation_passes_between_the_eras() {
    for (world, speakers, server) in worlds().await {
        for (number, client) in (1..).zip(speakers) {
            let params = json!({"name": "files__sleep", "arguments": {"seconds": 30 + number}});
            let (sender, body) = client.prepare(9, "tools/call", params);
            let mut stream = sender.stream(&body).await;
            within(|| started(&world.witness) == number).await;
            match &client {
                Speaker::Legacy(session) => {
                    let params = json!({"requestId": 9});
                    let method = "notifications/cancelled";
                    let cancel = json!({"jsonrpc": "2.0", "method": method, "params": params});
                    assert_eq!(session.post(&cancel).await.status, 202);
                    assert_eq!(stream.message().await["id"], 9, "the stream ends with an answer");
                }
                Speaker::Modern(..) => drop(stream),
            }
            let cancelled = async { within(|| witnessed(&world.witness) == number).await };
            let waited = tokio::time::timeout(Duration::from_secs(10), cancelled).await;
            waited.unwrap_or_else(|_| panic!("{} {server}: it goes on", client.name()));
        }
    }
}

#[tokio::test]
async fn changed_lists_are_told_between_the_eras() {
    for (_world, speakers, server) in worlds().await {
        for client in speakers {
            let what = format!("{} {server}", client.name());
            client.ask("tools/list", json!({})).await;
            client.ask("prompts/list", json!({})).await;
            let mut changes = match &client {
                Speaker::Legacy(session) => session.listen(None).await,
                Speaker::Modern(..) => {
                    let wanted = json!({"toolsListChanged": true, "promptsListChanged": true});
                    let wanted = json!({"notifications": wanted});
                    let (sender, body) = client.prepare(10, "subscriptions/listen", wanted);
                    let mut stream = sender.stream(&body).await;
                    let first = stream.message().await;
                    let acknowledged = "notifications/subscriptions/acknowledged";
                    assert_eq!(first["method"], acknowledged, "{what}");
                    stream
                }
            };
            for (trigger, method) in [
                ("test_trigger_tool_change", "notifications/tools/list_changed"),
                ("test_trigger_prompt_change", "notifications/prompts/list_changed"),
            ] {
                client.call(trigger, json!({})).await;
                let told = changes.message().await;
                assert_eq!(told["method"], method, "{what}");
            }
            let tools = client.ask("tools/list", json!({})).await;
            let added = names(&tools, "tools", "name").contains(&"files__test_added_tool");
            let prompts = client.ask("prompts/list", json!({})).await;
            let prompts = names(&prompts, "prompts", "name");
            // The first client adds, the second removes.
            let is_added = prompts.contains(&"files__test_added_prompt");
            assert_eq!(is_added, !client.is_modern(), "{what}: {prompts:?}");
            assert!(added || client.is_modern(), "{what}");
        }
    }
}

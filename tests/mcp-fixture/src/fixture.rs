//! The server: routes what the SDK has parsed to the catalog and to the tools.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
    CompleteResult, CompletionInfo, GetPromptRequestParams, GetPromptResponse, GetPromptResult,
    GetTaskParams, GetTaskResult, Implementation, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, Prompt, PromptMessage,
    ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    Reference, RequestStateCodec, Role, ServerCapabilities, ServerConfig, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext, SubscriptionSink};
use rmcp::task_manager::TaskManager;
use rmcp::{ErrorData, Peer, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::ask::{Asked, ask, content, form, one};
use crate::catalog::Catalog;

/// How long a modern client may keep a list or a resource.
const TTL_MS: u64 = 60_000;
/// Tests only; a real server keeps its key secret.
const STATE_KEY: &[u8] = b"the key of the test fixture, not a secret";

/// Which eras the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eras {
    Both,
    Legacy,
    Modern,
}

#[derive(Debug, Clone)]
pub struct Options {
    pub eras: Eras,
    /// Whether tools are listed that misbehave.
    pub odd: bool,
    /// A file to which a line is appended when a tool starts, ends or is cancelled.
    pub witness: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { eras: Eras::Both, odd: false, witness: None }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Tools,
    Prompts,
}

/// One server. Clones share their state.
#[derive(Clone)]
pub struct Fixture {
    options: Options,
    catalog: Arc<Catalog>,
    state: RequestStateCodec,
    pub(crate) tasks: TaskManager,
    pub(crate) drifts: Arc<AtomicU64>,
    /// How often each list was changed. After an odd number it has one entry more.
    tool_changes: Arc<AtomicU64>,
    prompt_changes: Arc<AtomicU64>,
    listeners: Arc<Mutex<HashMap<u64, SubscriptionSink>>>,
    next_listener: Arc<AtomicU64>,
    /// Clients with sessions.
    peers: Arc<Mutex<Vec<Peer<RoleServer>>>>,
}

impl std::fmt::Debug for Fixture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fixture").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Fixture {
    /// # Errors
    /// When the catalog is broken.
    pub fn new(options: Options) -> Result<Self> {
        Ok(Self {
            catalog: Arc::new(Catalog::load(options.odd)?),
            options,
            state: RequestStateCodec::new_unchecked(STATE_KEY),
            tasks: TaskManager::new(),
            drifts: Arc::default(),
            tool_changes: Arc::default(),
            prompt_changes: Arc::default(),
            listeners: Arc::default(),
            next_listener: Arc::default(),
            peers: Arc::default(),
        })
    }

    pub(crate) fn form(&self, name: &str) -> Result<&Value, ErrorData> {
        let missing = || ErrorData::internal_error(format!("no form `{name}`"), None);
        self.catalog.forms.get(name).ok_or_else(missing)
    }

    pub(crate) fn seal(&self, state: &Value) -> Result<String, ErrorData> {
        let failed = |error| ErrorData::internal_error(format!("{error}"), None);
        self.state.seal_json(state).map_err(failed)
    }

    pub(crate) fn open(&self, state: &str) -> Result<Value, ErrorData> {
        let tampered = |_| ErrorData::invalid_params("requestState is not what was sent", None);
        self.state.open_json(state).map_err(tampered)
    }

    /// Writes down what happened to a tool, for tests that look from outside.
    pub(crate) fn witness(&self, tool: &str, event: &str) {
        let Some(path) = &self.options.witness else { return };
        let line = json!({ "tool": tool, "event": event });
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
            eprintln!("fixture: cannot write {}: {error}", path.display());
        }
    }

    /// Adds an entry to a list, or removes it again, and says so.
    pub(crate) async fn change(&self, change: Change) {
        let changes = match change {
            Change::Tools => &self.tool_changes,
            Change::Prompts => &self.prompt_changes,
        };
        changes.fetch_add(1, Ordering::Relaxed);
        self.announce(change).await;
    }

    /// Tells every listener, in the way of its era.
    pub(crate) async fn announce(&self, change: Change) {
        let sinks: Vec<_> = self.listeners.lock().await.values().cloned().collect();
        for sink in sinks {
            let _ = match change {
                Change::Tools => sink.notify_tool_list_changed().await,
                Change::Prompts => sink.notify_prompt_list_changed().await,
            };
        }
        let peers: Vec<_> = self.peers.lock().await.clone();
        for peer in peers {
            let _ = match change {
                Change::Tools => peer.notify_tool_list_changed().await,
                Change::Prompts => peer.notify_prompt_list_changed().await,
            };
        }
    }

    fn tools(&self) -> Vec<Tool> {
        let mut tools = self.catalog.tools.clone();
        let drifts = self.drifts.load(Ordering::Relaxed);
        for tool in tools.iter_mut().filter(|tool| tool.name == "drift") {
            tool.description = Some(format!("Has been called {drifts} times.").into());
        }
        if self.tool_changes.load(Ordering::Relaxed) % 2 == 1
            && let Some(mut added) = tools.first().cloned()
        {
            added.name = "test_added_tool".into();
            tools.push(added);
        }
        tools
    }

    fn prompts(&self) -> Vec<Prompt> {
        let mut prompts = self.catalog.prompts.clone();
        if self.prompt_changes.load(Ordering::Relaxed) % 2 == 1
            && let Some(mut added) = prompts.first().cloned()
        {
            added.name = "test_added_prompt".into();
            prompts.push(added);
        }
        prompts
    }

    async fn call(
        &self,
        request: &CallToolRequestParams,
        cx: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(result) = self.catalog.result(&request.name) {
            return Ok(result.into());
        }
        if let Some(answer) = self.call_plain(request, cx).await {
            return answer;
        }
        if let Some(answer) = self.call_asking(request, cx).await {
            return answer;
        }
        if let Some(answer) = self.call_job(request, cx).await {
            return answer;
        }
        Err(ErrorData::invalid_params(format!("Unknown tool: {}", request.name), None))
    }

    /// The prompt that asks for its context first.
    async fn prompt_with_context(
        &self,
        request: &GetPromptRequestParams,
        cx: &RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let question = one("user_context", form("Which context?", self.form("context")?)?);
        match ask(cx, request.input_responses.as_ref(), question).await? {
            Asked::Required(required) => Ok(required.into()),
            Asked::Responses(responses) => {
                let context = content(&responses, "user_context", "context");
                let context = context.and_then(Value::as_str).unwrap_or("no context");
                Ok(message(format!("Prompt with elicited context: {context}")))
            }
        }
    }
}

fn message(text: String) -> GetPromptResponse {
    GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).into()
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_resources_list_changed()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_completions()
            .enable_logging()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("sentinel-mcp-fixture", "1.0.0"))
            .with_instructions("A server for tests.")
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        let modern = ProtocolVersion::V_2026_07_28;
        let is_modern = |version: &ProtocolVersion| version.as_str() >= modern.as_str();
        let versions = ProtocolVersion::KNOWN_VERSIONS.iter();
        match self.options.eras {
            Eras::Both => versions.cloned().collect(),
            Eras::Legacy => versions.filter(|version| !is_modern(version)).cloned().collect(),
            Eras::Modern => versions.filter(|version| is_modern(version)).cloned().collect(),
        }
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.catalog.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn on_initialized(&self, cx: rmcp::service::NotificationContext<RoleServer>) {
        self.peers.lock().await.push(cx.peer);
    }

    async fn ping(&self, _cx: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn set_level(
        &self,
        _request: SetLevelRequestParams,
        _cx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(
        &self,
        _request: SubscribeRequestParams,
        _cx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _request: UnsubscribeRequestParams,
        _cx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let key = self.next_listener.fetch_add(1, Ordering::Relaxed);
        self.listeners.lock().await.insert(key, context.sink().clone());
        context.cancelled().await;
        self.listeners.lock().await.remove(&key);
        Ok(())
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _cx: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let list = ListToolsResult { tools: self.tools(), ..Default::default() };
        Ok(list.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.witness(&request.name, "started");
        let answer = self.call(&request, &cx).await;
        self.witness(&request.name, "ended");
        answer
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _cx: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resources = self.catalog.resources.clone();
        let list = ListResourcesResult { resources, ..Default::default() };
        Ok(list.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _cx: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let resource_templates = self.catalog.templates.clone();
        let list = ListResourceTemplatesResult { resource_templates, ..Default::default() };
        Ok(list.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _cx: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let missing = || {
            let data = json!({ "uri": request.uri });
            ErrorData::resource_not_found(format!("No resource {}", request.uri), Some(data))
        };
        let contents = self.catalog.contents(&request.uri).ok_or_else(missing)?;
        let result = ReadResourceResult::new(vec![contents]);
        Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public).into())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _cx: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = self.prompts();
        let list = ListPromptsResult { prompts, ..Default::default() };
        Ok(list.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if let Some(messages) = self.catalog.messages(&request.name) {
            return Ok(messages.into());
        }
        match request.name.as_str() {
            "test_prompt_with_arguments" => {
                let argument = |key| {
                    let value = request.arguments.as_ref().and_then(|given| given.get(key));
                    value.and_then(Value::as_str).unwrap_or_default()
                };
                let (first, second) = (argument("arg1"), argument("arg2"));
                Ok(message(format!("Prompt with arguments: arg1='{first}', arg2='{second}'")))
            }
            "test_input_required_result_prompt" => self.prompt_with_context(&request, &cx).await,
            name => Err(ErrorData::invalid_params(format!("Unknown prompt: {name}"), None)),
        }
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _cx: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let values: &[&str] = match &request.r#ref {
            Reference::Resource(_) => &["1", "2", "3"],
            _ => &["paris", "park", "party"],
        };
        let matching = values.iter().filter(|value| value.starts_with(&request.argument.value));
        let info = CompletionInfo::new(matching.map(|value| (*value).to_owned()).collect());
        let failed = |error: String| ErrorData::internal_error(error, None);
        Ok(CompleteResult::new(info.map_err(failed)?))
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _cx: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        Ok(GetTaskResult::new(self.tasks.get_task(&request.task_id)?))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _cx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _cx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.cancel_task(&request.task_id)
    }
}

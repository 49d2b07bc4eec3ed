//! `sentinel hook claude-code`: decides a tool call before Claude Code makes it, and signs what
//! became of it.
//!
//! Claude Code makes a call when its hook fails in any way but one: exit status 2, whose standard
//! error the model reads. So every failure before a call ends with that status, a panic included.
//! An allow is `{}` and not an `allow` of the hook, which would skip the user's own permission
//! prompt.

use std::io::Write as _;
use std::time::Duration;

use sentinel_client::api::{CheckRequest, SignRequest};
use sentinel_core::check::Arguments;
use sentinel_core::name::{
    Action, AgentName, CallId, IdempotencyKey, Purpose, TenantSlug, ToolName,
};
use sentinel_core::principal::Role;
use sentinel_gateway::authority::{Denied, remote};
use sentinel_gateway::denial;
use sentinel_provenance::Sha256Digest;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::event::{Event, Name};
use super::records::{Decided, Records};
use crate::client::{Connection, name, name_if};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;

/// The longest call id.
const MAX_CALL_ID: usize = 128;
/// Records of earlier calls that one event signs at most, so that a hook stays short.
const MOST_OLD: usize = 16;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// Tenant whose policy decides.
    #[arg(long, env = "SENTINEL_TENANT", value_name = "TENANT")]
    tenant: Option<String>,
    /// Name of the agent that calls.
    #[arg(long, env = "SENTINEL_AGENT", value_name = "NAME")]
    agent: Option<String>,
    /// What the calls are for.
    #[arg(long, value_name = "PURPOSE")]
    purpose: Option<String>,
    /// Put in front of each tool's name: `claude-` makes `Bash` the tool `claude-Bash`.
    #[arg(long, default_value = "", value_name = "TEXT")]
    tool_prefix: String,
    /// Milliseconds that a decision may take. Keep the timeout of the hook above it.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    deadline_ms: u64,
}

/// One event, and all that is needed to act on it.
struct Hook {
    event: Event,
    client: sentinel_client::Client,
    tenant: TenantSlug,
    tool: ToolName,
    action: Action,
    agent: Option<AgentName>,
    purpose: Option<Purpose>,
    deadline: Duration,
    records: Records,
}

pub(super) async fn run(args: Args) -> Outcome {
    let event = match Event::read(std::io::stdin().lock()) {
        Ok(event) => event,
        Err(error) => return block(&error.to_string()),
    };
    let before = event.name.is_before();
    let handled = async { Hook::of(event, &args)?.handle().await };
    match (handled.await, before) {
        (Ok(()), _) => Ok(()),
        (Err(failure), true) => {
            let (what, help) = failure.summary();
            block(&format!("{what} {help}"))
        }
        // The call was made. All that is left is to say that it was not signed.
        (Err(failure), false) => {
            output::tell(&format!("sentinel: {}", output::printable(&failure.summary().0)));
            Ok(())
        }
    }
}

/// Blocks the call. The model reads the text.
fn block(why: &str) -> Outcome {
    let why = output::printable(why.trim());
    output::tell(&format!(
        "Denied: Sentinel could not decide this call, so it was not made. {why} Do not retry at \
         once; tell the user."
    ));
    Err(Failure::blocked())
}

impl Hook {
    fn of(event: Event, args: &Args) -> Outcome<Self> {
        let tenant = args.tenant.as_ref().ok_or_else(|| {
            Failure::usage("no tenant is named.").help("Set SENTINEL_TENANT or --tenant.")
        })?;
        Ok(Self {
            client: args.connection.client(Role::Agent)?.api,
            tenant: name("--tenant", tenant)?,
            tool: name("tool_name", &format!("{}{}", args.tool_prefix, event.tool_name))?,
            action: name("action", "call")?,
            agent: name_if("--agent", args.agent.as_ref())?,
            purpose: name_if("--purpose", args.purpose.as_ref())?,
            deadline: Duration::from_millis(args.deadline_ms),
            records: Records::open()?,
            event,
        })
    }

    async fn handle(self) -> Outcome {
        match self.event.name {
            Name::PreToolUse | Name::PreSkillShellCommand => self.decide().await,
            Name::PostToolUse | Name::PostToolUseFailure => {
                let signed = self.sign().await;
                self.sign_old().await;
                signed
            }
        }
    }

    /// Decides the call, and says so.
    async fn decide(&self) -> Outcome {
        match self.ask().await? {
            Ok(()) => say(&json!({})),
            Err(denied) => say(&json!({ "hookSpecificOutput": {
                "hookEventName": self.event.name.as_str(),
                "permissionDecision": "deny",
                "permissionDecisionReason": denial::text(&denied),
            }})),
        }
    }

    async fn ask(&self) -> Outcome<Result<(), Denied>> {
        if self.records.are_full()? {
            let reason = "the records of earlier calls take up all the room that they have";
            return Ok(Err(undecided("records_full", reason)));
        }
        let arguments = Arguments::new(self.event.tool_input.clone());
        let request = CheckRequest {
            purpose: self.purpose.clone(),
            agent: self.agent.clone(),
            context: Some(self.context()),
            arguments: Some(arguments.value().clone()),
            call_id: Some(name::<CallId>("call id", &self.call_id())?),
            ..CheckRequest::new(self.tenant.clone(), self.tool.clone(), self.action.clone())
        };
        let asked = tokio::time::timeout(self.deadline, self.client.check(&request)).await;
        let answer = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Ok(Err(remote::denied(error))),
            Err(_) => {
                let reason = "the control plane did not respond in time";
                return Ok(Err(undecided(remote::UNREACHABLE, reason)));
            }
        };
        if !answer.allow {
            let (code, reason) = (answer.code.as_str().to_owned(), answer.reason.into_owned());
            let decision = Some(answer.decision_id);
            return Ok(Err(Denied { code, reason, decision, retry_after: None }));
        }
        // Without this the outcome of the call could not be signed.
        let arguments = arguments.hash().to_string();
        self.records.note(&self.call_id(), &Decided { decision: answer.decision_id, arguments })?;
        Ok(Ok(()))
    }

    /// What policy sees of where the call comes from.
    fn context(&self) -> Map<String, Value> {
        let mut context = Map::new();
        context.insert("client".to_owned(), json!("claude-code"));
        context.insert("session_id".to_owned(), json!(self.event.session_id));
        if let Some(kind) = &self.event.agent_type {
            context.insert("subagent".to_owned(), json!(kind));
        }
        context
    }

    /// Identifies the call, in both of its events.
    fn call_id(&self) -> String {
        let id = format!("{}:{}", self.event.session_id, self.event.tool_use_id);
        let usable = id.len() <= MAX_CALL_ID && id.chars().all(|c| c.is_ascii_graphic());
        if usable { id } else { Sha256Digest::of(id.as_bytes()).to_hex() }
    }

    /// Signs what became of the call, or keeps it to be signed later.
    async fn sign(&self) -> Outcome {
        // A call that was denied has no outcome, and neither has one that another hook blocked.
        let Some(decided) = self.records.take(&self.call_id())? else { return Ok(()) };
        let (call_id, arguments) = (self.call_id(), &self.event.tool_input);
        let ran = Arguments::new(arguments.clone()).hash().to_string();
        let changed = ran != decided.arguments;
        let request = SignRequest {
            agent: self.agent.clone(),
            decision_id: Some(decided.decision),
            idempotency_key: Some(name::<IdempotencyKey>("idempotency key", &call_id)?),
            metadata: changed.then(|| {
                let mut metadata = Map::new();
                metadata.insert("arguments_changed".to_owned(), Value::Bool(true));
                metadata
            }),
            ..SignRequest::new(
                self.tenant.clone(),
                self.tool.clone(),
                self.action.clone(),
                self.payload(&ran)?,
            )
        };
        self.records.keep(&call_id, &request)?;
        let signed = self.sign_kept(&call_id, &request).await;
        if changed {
            return say(&json!({ "decision": "block", "reason": ARGUMENTS_CHANGED }));
        }
        signed
    }

    /// What the manifest commits to: never the arguments or the result themselves.
    fn payload(&self, arguments: &str) -> Outcome<Box<RawValue>> {
        let salt = Sha256Digest::of(uuid::Uuid::new_v4().as_bytes());
        let outcome = match self.event.name {
            Name::PostToolUse => "succeeded",
            _ if self.event.is_interrupt => "cancelled",
            _ => "failed",
        };
        let result = match self.event.name {
            Name::PostToolUse => &self.event.tool_response,
            _ => &self.event.error,
        };
        let mut salted = salt.as_bytes().to_vec();
        salted.extend(sentinel_core::json::canonical(result));
        let payload = json!({
            "outcome": outcome,
            "arguments_sha256": arguments,
            "result_sha256": Sha256Digest::of(&salted).to_hex(),
            "salt": salt.to_hex(),
        });
        to_raw_value(&payload).or_fail(|| "cannot write the outcome".to_owned())
    }

    async fn sign_kept(&self, call_id: &str, request: &SignRequest) -> Outcome {
        match tokio::time::timeout(self.deadline, self.client.sign(request)).await {
            Ok(Ok(_)) => self.records.done(call_id),
            // The server will never take it, so keeping it only fills the directory.
            Ok(Err(sentinel_client::Error::Refused(problem)))
                if matches!(problem.status, 400 | 404 | 409 | 413 | 422) =>
            {
                self.records.done(call_id)?;
                Err(Failure::new(format!("the outcome was not signed: {}", problem.detail)))
            }
            Ok(Err(error)) => Err(Failure::new(format!("the outcome is signed later: {error}"))),
            Err(_) => Err(Failure::new("the outcome is signed later: no response in time")),
        }
    }

    /// Signs outcomes of earlier calls that could not be signed then.
    async fn sign_old(&self) {
        for (call_id, request) in self.records.kept(MOST_OLD) {
            if self.sign_kept(&call_id, &request).await.is_err() {
                return;
            }
        }
    }
}

/// What the model reads when another hook changed the call after it was decided.
const ARGUMENTS_CHANGED: &str = "Sentinel: the arguments were changed after this call was decided, \
    by another hook. What ran is not what was allowed. Stop and tell the user.";

fn undecided(code: &str, reason: &str) -> Denied {
    Denied { code: code.to_owned(), reason: reason.to_owned(), decision: None, retry_after: None }
}

fn say(answer: &Value) -> Outcome {
    writeln!(std::io::stdout(), "{answer}").or_fail(|| "cannot write to standard output".to_owned())
}

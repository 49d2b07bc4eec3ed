//! What a panic of the interpreter comes to, by a builtin that panics in tests only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::sync::Arc;

use jiff::Timestamp;
use sentinel_core::id::{DecisionId, TenantId, ToolId};
use sentinel_core::policy::{PolicyDecision, PolicyError, PolicyInput};
use sentinel_core::principal::Principal;
use sentinel_core::rollout::PolicyState;
use sentinel_core::tool::Tool;
use sentinel_policy::{EmbeddedConfig, EmbeddedEngine};
use sentinel_policy_analysis::{PolicySource, Vetted};
use serde_json::{Map, Value, json};
use uuid::Uuid;

fn decide(engine: &EmbeddedEngine, panics: bool) -> Result<PolicyDecision, PolicyError> {
    let Value::Object(arguments) = json!({"panic": panics}) else { unreachable!() };
    let record = Arc::new(Tool {
        id: ToolId(Uuid::nil()),
        tenant_id: TenantId(Uuid::nil()),
        name: "probe".parse().unwrap(),
        url: "https://tool.example/".parse().unwrap(),
        owner: "platform".parse().unwrap(),
        scopes: Vec::new(),
        metadata: Map::new(),
        healthcheck: None,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        retired_at: None,
        pin: None,
    });
    engine.decide(&PolicyInput {
        tenant: &"lab".parse().unwrap(),
        tool: &"probe".parse().unwrap(),
        action: &"call".parse().unwrap(),
        purpose: None,
        usage: 0,
        context: &Map::new(),
        agent: None,
        arguments: &arguments,
        principal: &Principal::LOCAL,
        tool_record: &record,
        time: Timestamp::UNIX_EPOCH,
        state: &Arc::<PolicyState>::default(),
        decision_id: DecisionId(Uuid::nil()),
    })
}

#[test]
fn a_panic_of_the_interpreter_is_a_deny_and_the_thread_goes_on() {
    let rules = "package sentinel.policy\n\ndecision := {\"allow\": true} if {\n\
                 input.arguments.panic\nplanted.panic(1)\n} else := {\"allow\": true}\n";
    let engine = EmbeddedEngine::new(EmbeddedConfig::default());
    let policy = Vetted::trusted(PolicySource::from_files([("p.rego", rules)]).unwrap());
    engine.install(&policy, Timestamp::UNIX_EPOCH).unwrap();
    for _ in 0..3 {
        let panicking = decide(&engine, true);
        assert!(matches!(panicking, Err(PolicyError::Failed(_))), "{panicking:?}");
        assert!(decide(&engine, false).unwrap().allow);
    }
}

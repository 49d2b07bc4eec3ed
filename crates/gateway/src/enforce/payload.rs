//! What a call consists of, as far as the methods differ: what is decided, and what is sent.
//!
//! Both come from one value, and the arguments of a tool are the very object that was decided.

use sentinel_core::check::Arguments;
use serde_json::Value;

use super::OWN;
use sentinel_mcp_protocol::call_params::{
    Completion, Continuation, PromptGet, ResourceRead, Subscription, ToolCall,
};
use sentinel_mcp_protocol::jsonrpc::{Object, RpcError};

/// One call.
#[derive(Debug)]
pub(super) struct Payload {
    /// What policy decides on.
    pub(super) arguments: Arguments,
    /// `_meta` as the client wrote it, without what is the gateway's.
    meta: Option<Object>,
    pub(super) purpose: Option<String>,
    pub(super) continuation: Continuation,
    rest: Rest,
}

/// What is sent besides. The parts that are above are empty in it.
#[derive(Debug)]
enum Rest {
    /// Whether the client sent arguments at all.
    Tool(bool),
    Prompt(PromptGet),
    Resource(ResourceRead),
    Subscription(Subscription),
    Completion(Completion),
}

impl Payload {
    pub(super) fn tool(call: ToolCall) -> Result<Self, RpcError> {
        let ToolCall { arguments, meta, continuation, .. } = call;
        let rest = Rest::Tool(arguments.is_some());
        Self::new(arguments.unwrap_or_default(), meta, continuation, rest)
    }

    pub(super) fn prompt(mut get: PromptGet) -> Result<Self, RpcError> {
        let (meta, continuation) = (get.meta.take(), std::mem::take(&mut get.continuation));
        Self::new(get.governed(), meta, continuation, Rest::Prompt(get))
    }

    pub(super) fn resource(mut read: ResourceRead) -> Result<Self, RpcError> {
        let (meta, continuation) = (read.meta.take(), std::mem::take(&mut read.continuation));
        Self::new(of_uri(&read.uri), meta, continuation, Rest::Resource(read))
    }

    pub(super) fn subscription(mut subscription: Subscription) -> Result<Self, RpcError> {
        let meta = subscription.meta.take();
        let arguments = of_uri(&subscription.uri);
        Self::new(arguments, meta, Continuation::default(), Rest::Subscription(subscription))
    }

    pub(super) fn completion(mut completion: Completion) -> Result<Self, RpcError> {
        let meta = completion.meta.take();
        let arguments = completion.clone().into_params();
        Self::new(arguments, meta, Continuation::default(), Rest::Completion(completion))
    }

    fn new(
        arguments: Object,
        meta: Option<Object>,
        continuation: Continuation,
        rest: Rest,
    ) -> Result<Self, RpcError> {
        let mut meta = meta;
        let purpose = match meta.as_ref().and_then(|meta| meta.get(super::PURPOSE)) {
            None => None,
            Some(Value::String(purpose)) => Some(purpose.clone()),
            // Policy would decide as if the client had stated none.
            Some(_) => {
                let what = format!("`{}` must be a string", super::PURPOSE);
                return Err(RpcError::invalid_params(what));
            }
        };
        if let Some(meta) = &mut meta {
            meta.retain(|key, _| !key.starts_with(OWN));
        }
        let meta = meta.filter(|meta| !meta.is_empty());
        Ok(Self { arguments: Arguments::new(arguments), meta, purpose, continuation, rest })
    }

    /// The parameters for the server, which knows what is called by `name`.
    pub(super) fn into_params(self, name: &str) -> Object {
        let Self { arguments, meta, continuation, rest, .. } = self;
        match rest {
            Rest::Tool(stated) => {
                let arguments = stated.then(|| arguments.into_value());
                ToolCall { name: name.to_owned(), arguments, meta, continuation }.into_params()
            }
            Rest::Prompt(get) => PromptGet { meta, continuation, ..get }.into_params(),
            Rest::Resource(read) => ResourceRead { meta, continuation, ..read }.into_params(),
            Rest::Subscription(subscription) => Subscription { meta, ..subscription }.into_params(),
            Rest::Completion(completion) => Completion { meta, ..completion }.into_params(),
        }
    }
}

fn of_uri(uri: &str) -> Object {
    let mut arguments = Object::new();
    arguments.insert("uri".to_owned(), Value::from(uri));
    arguments
}

//! The JSON-RPC envelope and the parameters of the methods that are decided: what is accepted is
//! written in one way, and reads as the same message again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_mcp_protocol::call_params::{
    Completion, Listen, Page, PromptGet, ResourceRead, Subscription, ToolCall,
};
use sentinel_mcp_protocol::era::{ClientMeta, ParamHeaders, write_meta};
use sentinel_mcp_protocol::jsonrpc::{LIMITS, Message, Object, RpcError, parse};
use sentinel_mcp_protocol::method::{Sender, governance, notice};
use serde_json::Value;

/// Parameters that are accepted are forwarded unchanged.
fn reread<T>(
    params: &Object,
    read: impl Fn(Object) -> Result<T, RpcError>,
    write: impl Fn(T) -> Object,
) {
    if let Ok(call) = read(params.clone()) {
        assert_eq!(&write(call), params);
    }
}

fn check_params(params: &Object) {
    reread(params, ToolCall::read, ToolCall::into_params);
    reread(params, PromptGet::read, PromptGet::into_params);
    reread(params, ResourceRead::read, ResourceRead::into_params);
    reread(params, Subscription::read, Subscription::into_params);
    reread(params, Completion::read, Completion::into_params);
    let _ = Page::read(params.clone());
    if let Ok(listen) = Listen::read(params.clone()) {
        let filter = Object::from_iter([("notifications".into(), listen.to_filter().into())]);
        assert_eq!(Listen::read(filter).as_ref(), Ok(&listen));
    }
    let mut rest = params.clone();
    if let Ok(meta) = ClientMeta::take(&mut rest) {
        write_meta(&mut rest, &meta).expect("what was taken can be put back");
        let mut again = rest.clone();
        assert_eq!(ClientMeta::take(&mut again).as_ref(), Ok(&meta));
    }
    if let Ok(declared) = ParamHeaders::of_schema(params) {
        let mut headers = Default::default();
        if let Some(Value::Object(arguments)) = params.get("arguments")
            && declared.write(&mut headers, arguments).is_ok()
        {
            assert_eq!(declared.check(&headers, arguments), Ok(()));
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let small =
        sentinel_core::json::Limits { max_bytes: 256, max_depth: 4, max_nodes: 20, ..LIMITS };
    for limits in [LIMITS, small] {
        match parse(bytes, &limits) {
            Ok(message) => {
                let written = message.to_bytes();
                assert!(!written.contains(&b'\n'));
                assert_eq!(parse(&written, &LIMITS).as_ref(), Ok(&message));
                if let Message::Request(request) = &message {
                    for sender in [Sender::Client, Sender::Server] {
                        let _ =
                            (governance(sender, &request.method), notice(sender, &request.method));
                    }
                    check_params(&request.params);
                }
            }
            Err(malformed) => {
                let message = &malformed.error.message;
                assert!(!message.contains(char::is_control) && message.len() < 1024, "{message:?}");
            }
        }
    }
});

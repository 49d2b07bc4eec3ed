//! Reads a check out of a gateway's question.
//!
//! Two parties speak in it. The operator of the gateway, in `context_extensions`, which Envoy takes
//! from the configuration of the route and nowhere else; and the agent, in everything that it
//! sends. What is called is the operator's to say. The agent has a say in what `from_headers`
//! lists.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::address::Address;
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer};
use sentinel_core::check::{Arguments, CheckRequest};
use sentinel_core::json::{Limits, parse_object_as};
use sentinel_core::name::{NameError, TenantSlug};
use sentinel_ingress::ask::Asker;
use sentinel_ingress::problem::Problem;
use serde_json::{Map, Value, json};

/// Headers that a call may have.
const MAX_HEADERS: usize = 256;
/// The fields of a check that a gateway states.
const FIELDS: [&str; 6] = ["tenant", "tool", "action", "purpose", "agent", "call_id"];
/// What begins so is the check's `context`, without this.
const CONTEXT: &str = "context.";
/// Envoy says with it whether it has cut the body off.
const PARTIAL: &str = "x-envoy-auth-partial-body";

/// The identifier that the gateway gave to the call.
pub(super) fn request_id(attributes: &AttributeContext) -> Option<&str> {
    let http = attributes.request.as_ref()?.http.as_ref()?;
    http.headers.get("x-request-id").map(String::as_str)
}

/// Reads the check that `asker` asks for; `bound` is the tenant that its key is bound to. What is
/// stated and not understood is refused: a misspelt `purpose` is not a call without one.
pub(super) fn request(
    attributes: AttributeContext,
    asker: Asker,
    bound: Option<TenantSlug>,
) -> Result<CheckRequest, Problem> {
    let http = attributes.request.and_then(|request| request.http);
    let http = http.ok_or_else(|| unmapped("the question is not about a request of HTTP"))?;
    let mut stated = Stated::new(attributes.context_extensions, &http)?;
    let source = attributes.source.unwrap_or_default();
    let tenant = match stated.take("tenant")? {
        Some(text) => parsed("tenant", &text)?,
        None => bound.ok_or_else(|| missing("tenant"))?,
    };
    let tool = stated.take("tool")?.ok_or_else(|| missing("tool"))?;
    let action = stated.take("action")?.unwrap_or_else(|| http.method.to_ascii_lowercase());
    let purpose = stated.take("purpose")?;
    let agent = stated.agent(&source)?;
    let call_id = stated.take("call_id")?;
    let arguments = stated.arguments()?;
    let context = stated.context(&source)?;
    Ok(CheckRequest {
        principal: asker.principal,
        tenant,
        tool: parsed("tool", &tool)?,
        action: parsed("action", &action)?,
        purpose: purpose.map(|text| parsed("purpose", &text)).transpose()?,
        usage: 0,
        context,
        agent: agent.map(|text| parsed("agent", &text)).transpose()?,
        arguments: Arguments::new(arguments),
        call_id: call_id.map(|text| parsed("call_id", &text)).transpose()?,
        request_id: asker.request_id,
        arrived: asker.arrived,
        deadline: asker.deadline,
    })
}

/// What the operator states about the route, and the call that it is about.
struct Stated<'a> {
    extensions: HashMap<String, String>,
    from_headers: Vec<&'static str>,
    http: &'a HttpRequest,
}

impl<'a> Stated<'a> {
    fn new(
        mut extensions: HashMap<String, String>,
        http: &'a HttpRequest,
    ) -> Result<Self, Problem> {
        let raw = http.header_map.as_ref().map_or(0, |map| map.headers.len());
        if http.headers.len() + raw > MAX_HEADERS {
            let detail = format!("a call may have at most {MAX_HEADERS} headers");
            return Err(Problem::bad_request("too_many_headers", detail));
        }
        let listed = extensions.remove("from_headers").unwrap_or_default();
        let names = listed.split(',').map(str::trim).filter(|name| !name.is_empty());
        let known = names.map(|name| {
            let known = FIELDS.into_iter().find(|field| *field == name);
            known.ok_or_else(|| invalid("from_headers", &format!("`{name}` is not a field")))
        });
        let from_headers = known.collect::<Result<_, _>>()?;
        Ok(Self { extensions, from_headers, http })
    }

    /// The value of a field: the agent's header where the operator lets it choose, else what the
    /// operator states.
    fn take(&mut self, field: &'static str) -> Result<Option<String>, Problem> {
        let stated = self.extensions.remove(field);
        if !self.from_headers.contains(&field) {
            return Ok(stated);
        }
        let name = format!("x-sentinel-{}", field.replace('_', "-"));
        Ok(header(self.http, &name)?.or(stated))
    }

    /// The agent, or with `agent_from: peer` the peer that the gateway has authenticated by TLS.
    fn agent(&mut self, source: &Peer) -> Result<Option<String>, Problem> {
        let named = self.take("agent")?;
        match self.extensions.remove("agent_from").as_deref() {
            None => Ok(named),
            Some("peer") if named.is_some() || self.from_headers.contains(&"agent") => {
                Err(invalid("agent_from", "the agent is named otherwise, too"))
            }
            Some("peer") if source.principal.is_empty() => {
                Err(invalid("agent_from", "the gateway has authenticated no peer"))
            }
            Some("peer") => Ok(Some(source.principal.clone())),
            Some(_) => Err(invalid("agent_from", "must be `peer`")),
        }
    }

    fn arguments(&mut self) -> Result<Map<String, Value>, Problem> {
        match self.extensions.remove("arguments").as_deref() {
            None | Some("none") => Ok(Map::new()),
            Some("query") => query(self.http),
            Some("body") => body(self.http),
            Some(_) => Err(invalid("arguments", "must be `none`, `query` or `body`")),
        }
    }

    /// What is left: facts about the call, and what the operator adds to them. No header and no
    /// query is among them, since it is recorded.
    fn context(self, source: &Peer) -> Result<Map<String, Value>, Problem> {
        let http = self.http;
        let (path, _) = split(&http.path);
        let facts = json!({
            "method": http.method, "scheme": http.scheme, "host": http.host, "path": path,
        });
        let mut context = Map::from_iter([("http".to_owned(), facts)]);
        if let Some(peer) = peer(source) {
            context.insert("peer".to_owned(), peer);
        }
        for (name, value) in self.extensions {
            let fact = name.strip_prefix(CONTEXT).filter(|fact| !fact.is_empty());
            let fact = fact.ok_or_else(|| invalid(&name, "is not known"))?;
            if context.insert(fact.to_owned(), Value::String(value)).is_some() {
                return Err(invalid(&name, "is stated by the server"));
            }
        }
        Ok(context)
    }
}

fn peer(source: &Peer) -> Option<Value> {
    let address = source.address.as_ref().and_then(|address| match address.address.as_ref()? {
        Address::SocketAddress(socket) => Some(socket.address.clone()),
        _ => None,
    });
    let principal = (!source.principal.is_empty()).then_some(&source.principal);
    (address.is_some() || principal.is_some())
        .then(|| json!({"address": address, "principal": principal}))
}

/// The value of a header that may come once; Envoy joins several by commas, which no name has.
fn header(http: &HttpRequest, name: &str) -> Result<Option<String>, Problem> {
    let raw = http.header_map.as_ref().map(|map| map.headers.as_slice()).unwrap_or_default();
    let mut found =
        raw.iter().filter(|header| header.key.eq_ignore_ascii_case(name)).map(|header| {
            if header.raw_value.is_empty() {
                return Some(header.value.clone());
            }
            String::from_utf8(header.raw_value.clone()).ok()
        });
    match (http.headers.get(name), found.next(), found.next()) {
        (value, None, None) => Ok(value.cloned()),
        (None, Some(Some(value)), None) => Ok(Some(value)),
        _ => Err(unmapped(&format!("the header `{name}` must come once, as text"))),
    }
}

/// Path and query; Envoy hands both over as the path.
fn split(path: &str) -> (&str, &str) {
    let (path, _) = path.split_once('#').unwrap_or((path, ""));
    path.split_once('?').unwrap_or((path, ""))
}

fn query(http: &HttpRequest) -> Result<Map<String, Value>, Problem> {
    let (_, query) = split(&http.path);
    let mut arguments = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if arguments.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
            return Err(Problem::bad_request("duplicate_key", "a parameter comes twice"));
        }
    }
    Ok(arguments)
}

/// The body, which must be there as a whole: what a tool gets and policy has not seen could be
/// anything.
fn body(http: &HttpRequest) -> Result<Map<String, Value>, Problem> {
    let partial = header(http, PARTIAL)?;
    if partial.is_some_and(|partial| partial != "false") {
        let status = http::StatusCode::PAYLOAD_TOO_LARGE;
        let detail = "the body is larger than what the gateway hands over";
        return Err(Problem::new(status, "body_too_large", detail));
    }
    let bytes = if http.raw_body.is_empty() { http.body.as_bytes() } else { &http.raw_body };
    Ok(parse_object_as(bytes, &Limits::REQUEST)?)
}

fn parsed<T: std::str::FromStr<Err = NameError>>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: NameError| invalid(field, &error.to_string()))
}

fn missing(field: &str) -> Problem {
    invalid(field, "is missing; state it in `context_extensions` of the route")
}

fn invalid(field: &str, why: &str) -> Problem {
    unmapped(&format!("`{field}`: {why}"))
}

fn unmapped(detail: &str) -> Problem {
    Problem::forbidden("unmapped_call", detail)
}

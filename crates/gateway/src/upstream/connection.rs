//! One server, whatever it is connected by at the moment.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::{SemaphorePermit, broadcast};

use super::link::{Link, Links};
use super::spec::Spec;
use super::status::Status;
use super::ticket::Ticket;
use super::wire::{Answer, Call, Effect, Fault, Stop};
use super::{Failure, Outbound, Reply, Server, Upstream};
use crate::exchange::Exchange;
use sentinel_mcp_protocol::jsonrpc::{Id, Notification, Object, Request};

const CANCELLED: &str = "the client cancelled the request";

/// Code and detail of what ended a request before its response.
struct Stopped(&'static str, String);

/// The upstream of a specification. Nothing is started or dialled before it is first used.
#[must_use]
pub fn connect(spec: Spec) -> Arc<dyn Upstream> {
    Arc::new(Connection { links: Links::new(spec) })
}

#[derive(Debug)]
struct Connection {
    links: Arc<Links>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.links.end();
    }
}

#[async_trait]
impl Upstream for Connection {
    fn name(&self) -> &str {
        &self.links.spec.name
    }

    async fn server(&self) -> Result<Arc<Server>, Failure> {
        Ok(Arc::clone(&self.links.link().await?.server))
    }

    async fn request(&self, outbound: Outbound, exchange: &dyn Exchange) -> Result<Reply, Failure> {
        let Outbound { method, params, grant } = outbound;
        let ticket = Arc::new(Ticket::new(grant));
        check(&method, &ticket)?;
        let limits = &self.links.spec.limits;
        let limit = if ticket.is_lifecycle() { limits.list } else { limits.call };
        let stopped = tokio::select! {
            biased;
            why = ticket.withdrawn() => Stopped("withdrawn", why.reason),
            () = exchange.cancelled() => Stopped("cancelled", CANCELLED.to_owned()),
            () = tokio::time::sleep(limit) => {
                self.overdue(&ticket);
                Stopped("upstream_timeout", "the server did not respond in time".to_owned())
            }
            reply = self.carry_out(method, params, &ticket, exchange) => return reply,
        };
        let Stopped(code, detail) = stopped;
        Err(Failure { code, detail, may_have_run: ticket.has_started() })
    }

    async fn notify(&self, notification: Notification) -> Result<(), Failure> {
        let link = self.links.link().await?;
        if link.dialect.is_modern() {
            // There are no notifications of clients in the modern era.
            return Ok(());
        }
        let sent = link.wire.notify(notification).await;
        sent.map_err(|fault| self.links.lost(&link, fault))
    }

    fn news(&self) -> broadcast::Receiver<Notification> {
        self.links.news.subscribe()
    }

    async fn close(&self) {
        self.links.close().await;
    }

    fn status(&self) -> Status {
        self.links.status()
    }
}

/// Refuses to send without a decision what needs one.
fn check(method: &str, ticket: &Ticket) -> Result<(), Failure> {
    let harmless = matches!(
        method,
        "logging/setLevel"
            | "ping"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/unsubscribe"
            | "tools/list"
    );
    let governed = matches!(
        method,
        "completion/complete"
            | "prompts/get"
            | "resources/read"
            | "resources/subscribe"
            | "tools/call"
    );
    if harmless || (governed && !ticket.is_lifecycle()) {
        return Ok(());
    }
    let detail =
        if governed { "the request needs a decision" } else { "the method is not governed" };
    Err(Failure { code: "upstream_protocol", detail: detail.to_owned(), may_have_run: false })
}

impl Connection {
    async fn carry_out(
        &self,
        method: String,
        params: Object,
        ticket: &Arc<Ticket>,
        exchange: &dyn Exchange,
    ) -> Result<Reply, Failure> {
        let _place = self.place(ticket.is_lifecycle()).await?;
        let since = Instant::now();
        let link = self.links.link().await?;
        let again = ticket.is_lifecycle().then(|| params.clone());
        let (link, answer) = match self.send(&link, &method, params, ticket, exchange).await {
            // The server has forgotten the session: a list is asked for again in a new one. A call
            // is not; its client learns that it was not carried out.
            Err(Fault { effect: Effect::Expired, failure }) if again.is_some() => {
                let fault = Fault { effect: Effect::Expired, failure };
                drop(self.links.lost(&link, fault));
                let link = self.links.link().await?;
                let params = again.unwrap_or_default();
                let answer = self.send(&link, &method, params, ticket, exchange).await;
                (link, answer)
            }
            answer => (link, answer),
        };
        let answer = answer.map_err(|fault| self.links.lost(&link, fault))?;
        self.links.answered(ticket.is_lifecycle().then(|| since.elapsed()));
        link.dialect.reply(&method, answer)
    }

    async fn send(
        &self,
        link: &Arc<Link>,
        method: &str,
        mut params: Object,
        ticket: &Arc<Ticket>,
        exchange: &dyn Exchange,
    ) -> Result<Answer, Fault> {
        if let Some(answer) = self.by_ourselves(link, method, &params, ticket).await? {
            return Ok(answer);
        }
        let id = self.links.next_id();
        let progress = link.dialect.address(&mut params, id, exchange.capabilities());
        let request = Request { id: Id::Integer(id), method: method.to_owned(), params };
        let call = Call { request, id, progress, ticket: Arc::clone(ticket) };
        let mut unanswered = Unanswered { link, call: &call, waits: true };
        let answer = link.wire.call(&call, exchange).await;
        // After a failure the server may still be at it.
        unanswered.waits = matches!(&answer, Err(fault) if fault.effect == Effect::None);
        answer
    }

    /// Answers what a server of the modern era is not asked, and keeps count of subscriptions.
    async fn by_ourselves(
        &self,
        link: &Arc<Link>,
        method: &str,
        params: &Object,
        ticket: &Ticket,
    ) -> Result<Option<Answer>, Fault> {
        let subscribes = match method {
            "resources/subscribe" => true,
            "resources/unsubscribe" => false,
            "logging/setLevel" | "ping" if link.dialect.is_modern() => {
                return Ok(Some(Ok(Object::new())));
            }
            "logging/setLevel" => {
                self.links.keep_level(params);
                return Ok(None);
            }
            _ => return Ok(None),
        };
        let uri = params.get("uri").and_then(Value::as_str).unwrap_or_default();
        let changed = self.links.subscriptions.change(uri, subscribes);
        if link.dialect.is_modern() {
            let _started = ticket.start().await.map_err(Fault::only)?;
            if changed {
                self.links.listen(link).await;
            }
            return Ok(Some(Ok(Object::new())));
        }
        // Another client still wants to hear of it.
        Ok((!subscribes && !changed).then(|| Ok(Object::new())))
    }

    /// A place among the requests under way. Lists do not wait behind calls.
    async fn place(&self, is_list: bool) -> Result<SemaphorePermit<'_>, Failure> {
        let places = if is_list { &self.links.lists } else { &self.links.calls };
        if let Ok(place) = places.try_acquire() {
            return Ok(place);
        }
        let wait = self.links.spec.limits.wait;
        match tokio::time::timeout(wait, places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Failure {
                code: "upstream_busy",
                detail: "too many requests to this server are under way".to_owned(),
                may_have_run: false,
            }),
        }
    }

    /// A request ran into its time limit. A server that gives no list in time is connected again.
    fn overdue(&self, ticket: &Ticket) {
        if ticket.is_lifecycle() && ticket.has_started() {
            self.links.unresponsive();
        }
    }
}

/// Cancels a request that is dropped before its response.
struct Unanswered<'a> {
    link: &'a Link,
    call: &'a Call,
    waits: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.waits {
            return;
        }
        let why = if self.call.ticket.was_withdrawn() { Stop::Withdrawn } else { Stop::Cancelled };
        if why == Stop::Withdrawn {
            // That the child ends then is not a failure of the server.
            self.link.counted.store(true, Ordering::Relaxed);
        }
        self.link.wire.abandon(self.call, why);
    }
}

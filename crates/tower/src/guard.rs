//! The layer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderName, Request, Response, request};
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use sentinel_api::{RedeemRequest, Secret, UncoveredRequest};
use sentinel_client::Client;
use sentinel_core::name::{Action, TenantSlug};
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceExt as _};

use crate::call::{Call, Calls, MAX_BODY, Read};
use crate::refusal::Refusal;
use crate::tools::Tools;

/// The header that carries the permit.
pub const PERMIT: HeaderName = HeaderName::from_static("sentinel-permit");

/// Reports that are on their way at most.
const REPORTS: usize = 8;

/// Lets only calls with a valid, unused permit through to a service.
#[derive(Debug, Clone)]
pub struct RequirePermit(Arc<Guard>);

#[derive(Debug)]
struct Guard {
    client: Client,
    tenant: TenantSlug,
    calls: Calls,
    tools: Tools,
    reports: Arc<Semaphore>,
}

impl RequirePermit {
    /// Guards the tools of `tenant`. The key of `client` needs the role `agent` in that tenant.
    #[must_use]
    pub fn new(client: Client, tenant: TenantSlug, calls: Calls) -> Self {
        let (tools, reports) = (Tools::default(), Arc::new(Semaphore::new(REPORTS)));
        Self(Arc::new(Guard { client, tenant, calls, tools, reports }))
    }
}

impl<S> Layer<S> for RequirePermit {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: Arc::clone(&self.0), inner }
    }
}

/// A service behind [`RequirePermit`].
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    guard: Arc<Guard>,
    inner: S,
}

type Responding<R, E> = Pin<Box<dyn Future<Output = Result<Response<R>, E>> + Send>>;

impl<S, B, R> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + From<Bytes>
        + Send
        + 'static,
    R: From<Bytes> + Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Responding<R, S::Error>;

    /// The inner service is asked whether it is ready only once a call may go through.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Responding<R, S::Error> {
        let (guard, inner) = (Arc::clone(&self.guard), self.inner.clone());
        Box::pin(async move {
            match guard.admit(request).await {
                Ok(request) => inner.oneshot(request).await,
                Err((refusal, id)) => Ok(refusal.response(id)),
            }
        })
    }
}

impl Guard {
    /// The request, once its permit is redeemed.
    async fn admit<B>(
        self: Arc<Self>,
        request: Request<B>,
    ) -> Result<Request<B>, (Refusal, Option<Value>)>
    where
        B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + From<Bytes>,
    {
        let (head, body) = request.into_parts();
        let body = whole(body).await.map_err(|refusal| (refusal, None))?;
        let unreadable = |why: crate::call::Unreadable| Refusal::Unreadable(why.to_string());
        let call = match self.calls.read(&head, &body) {
            Ok(Read::Call(call)) => call,
            Ok(Read::Passes) => return Ok(Request::from_parts(head, B::from(body))),
            Err(why) => return Err((unreadable(why), None)),
        };
        match self.redeem(&head, &call).await {
            Ok(()) => Ok(Request::from_parts(head, B::from(body))),
            Err(refusal) => {
                self.report(&refusal, &call);
                Err((refusal, call.id))
            }
        }
    }

    /// Uses the permit of a call up.
    async fn redeem(&self, head: &request::Parts, call: &Call) -> Result<(), Refusal> {
        let mut permits = head.headers.get_all(&PERMIT).iter();
        let (Some(permit), None) = (permits.next(), permits.next()) else {
            return Err(Refusal::NoPermit);
        };
        let permit = permit.to_str().map_err(|_| Refusal::NoPermit)?;
        let tool_id = self.tools.id(&self.client, &self.tenant, &call.tool).await;
        let tool_id = tool_id.map_err(|_| Refusal::Unavailable)?.ok_or(Refusal::UnknownTool)?;
        let arguments = Some(call.arguments.clone());
        let request = RedeemRequest { permit: Secret::from(permit), tool_id, arguments };
        match self.client.redeem(&request).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let refusal = Refusal::of(&error);
                if refusal.is_unknown_tool() {
                    self.tools.forget(&call.tool).await;
                }
                Err(refusal)
            }
        }
    }

    /// Reports the refusal in a task of its own: the caller does not wait for that.
    fn report(self: &Arc<Self>, refusal: &Refusal, call: &Call) {
        tracing::warn!(tool = %call.tool, %refusal, "a call was refused");
        let Some(reason) = refusal.reported() else { return };
        let Ok(action) = "call".parse::<Action>() else { return };
        let report = UncoveredRequest {
            tenant_slug: self.tenant.clone(),
            tool_name: call.tool.clone(),
            action,
            reason,
        };
        // What cannot be reported at once is left out: a flood of calls must not become one of
        // reports. The first of them say what there is to know.
        let Ok(place) = Arc::clone(&self.reports).try_acquire_owned() else { return };
        let guard = Arc::clone(self);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = guard.client.report_uncovered(&report).await {
                tracing::warn!(%error, "an uncovered call was not reported");
            }
        });
    }
}

/// The whole body, up to the limit.
async fn whole<B>(body: B) -> Result<Bytes, Refusal>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLong),
        Err(_) => Err(Refusal::Unreadable("the body broke off".to_owned())),
    }
}

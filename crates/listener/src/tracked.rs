//! The interface as one connection is served it: each request says on which connection it came, and
//! a connection is known to be busy until its responses are sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tower::ServiceExt as _;

use crate::places::{Busy, Occupant};

#[derive(Debug, Clone)]
pub(crate) struct Tracked {
    router: Router,
    occupant: Arc<Occupant>,
}

impl Tracked {
    pub(super) const fn new(router: Router, occupant: Arc<Occupant>) -> Self {
        Self { router, occupant }
    }
}

type Served = Result<Response<TrackedBody>, Infallible>;

impl hyper::service::Service<Request<Incoming>> for Tracked {
    type Response = Response<TrackedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Served> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let busy = self.occupant.begin();
        request.extensions_mut().insert(Arc::clone(&self.occupant.connection));
        let response = self.router.clone().oneshot(request);
        Box::pin(async move {
            let Ok(response) = response.await;
            Ok(response.map(|body| TrackedBody { body, _busy: busy }))
        })
    }
}

/// The body of a response. Until it is sent or given up, its connection is busy.
#[derive(Debug)]
pub(crate) struct TrackedBody {
    body: Body,
    _busy: Busy,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! A bare proxy: axum in front, hyper's pooled client behind, and not a byte of a body is read.
//! Whatever a gateway does besides is what it costs more.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, Uri, header::HOST, uri::Scheme},
    response::{IntoResponse as _, Response},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::server::Server;

/// Starts one as a child process, in front of the server at `to`.
pub(crate) fn start(to: SocketAddr) -> anyhow::Result<(Server, SocketAddr)> {
    super::start(&["mcp-proxy", "--to", &to.to_string()])
}

struct Proxy {
    client: Client<HttpConnector, Body>,
    to: String,
    host: HeaderValue,
}

pub(crate) fn serve(to: SocketAddr) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let to = to.to_string();
    let host = HeaderValue::from_str(&to)?;
    let client = Client::builder(TokioExecutor::new()).build(connector);
    super::serve(Router::new().fallback(forward).with_state(Arc::new(Proxy { client, to, host })))
}

async fn forward(State(proxy): State<Arc<Proxy>>, mut request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let uri = Uri::builder().scheme(Scheme::HTTP).authority(proxy.to.as_str()).path_and_query(path);
    let Ok(uri) = uri.build() else { return StatusCode::BAD_REQUEST.into_response() };
    *request.uri_mut() = uri;
    request.headers_mut().insert(HOST, proxy.host.clone());
    match proxy.client.request(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

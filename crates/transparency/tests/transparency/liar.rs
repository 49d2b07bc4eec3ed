//! Servers that do not do what they should.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::{Response, Uri};

/// What was asked: the path, and the body.
pub(crate) type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// Serves `answer` on loopback. Returns its address and the requests it got.
pub(crate) async fn serve(
    answer: impl Fn(usize) -> Response<Body> + Clone + Send + Sync + 'static,
) -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let heard = Arc::clone(&asked);
    let handler = move |uri: Uri, body: Bytes| async move {
        let number = {
            let mut heard = heard.lock().unwrap();
            heard.push((uri.path().to_owned(), String::from_utf8_lossy(&body).into_owned()));
            heard.len()
        };
        answer(number)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = axum::Router::new().fallback(handler);
    tokio::spawn(async move { axum::serve(listener, service).await });
    (address, asked)
}

pub(crate) fn answer(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).body(body.into()).unwrap()
}

/// A body of so many bytes, whose length is not announced.
pub(crate) fn endless(bytes: usize) -> Body {
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let chunks = (0..bytes / chunk.len()).map(move |_| Ok::<_, std::io::Error>(chunk.clone()));
    Body::from_stream(futures::stream::iter(chunks))
}

/// A body of which a byte comes now and then.
pub(crate) fn dripping() -> Body {
    let drops = futures::stream::unfold((), |()| async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
    });
    Body::from_stream(drops)
}

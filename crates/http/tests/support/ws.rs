use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use http::Request;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::app::{App, Key};
use super::events::Message;

const PATIENCE: Duration = Duration::from_secs(5);

/// An open WebSocket. Pings are answered whenever it is read.
#[derive(Debug)]
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// Asks for a WebSocket by hand.
pub(crate) fn websocket(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    request
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

impl App {
    /// Opens a WebSocket with exactly these headers besides its own.
    pub(crate) async fn try_socket(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(Socket, http::Response<()>), tungstenite::Error> {
        let url = format!("{}{path}", self.base.replace("http://", "ws://"));
        let mut request: Request<()> = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let (socket, response) = tokio_tungstenite::connect_async(request).await?;
        Ok((Socket(socket), response.map(|_| ())))
    }

    pub(crate) async fn socket(&self, key: &Key, path: &str) -> Socket {
        let bearer = format!("Bearer {}", key.secret);
        self.try_socket(path, &[("authorization", &bearer)]).await.unwrap().0
    }
}

impl Socket {
    /// The next event, pings passed over; how the connection was closed once it was.
    pub(crate) async fn next(&mut self) -> Result<Message, Option<CloseFrame>> {
        loop {
            match self.frame().await {
                Some(Ok(Frame::Text(text))) => return Ok(parse(&text)),
                Some(Ok(Frame::Ping(_))) => {}
                Some(Ok(Frame::Close(frame))) => return Err(frame),
                None | Some(Err(_)) => return Err(None),
                Some(Ok(other)) => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn frame(&mut self) -> Option<Result<Frame, tungstenite::Error>> {
        tokio::time::timeout(PATIENCE, self.0.next()).await.expect("the socket is silent")
    }

    /// The next event of this name.
    pub(crate) async fn named(&mut self, name: &str) -> Message {
        loop {
            let message = self.next().await.unwrap();
            if message.name == name {
                return message;
            }
        }
    }

    /// The code and the reason with which the server closes now.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        let frame = self.next().await.expect_err("an event came").expect("no close frame came");
        (frame.code.into(), frame.reason.to_string())
    }

    pub(crate) async fn send(&mut self, frame: Frame) {
        self.0.send(frame).await.unwrap();
    }

    /// Whether nothing but pings arrives during that time.
    pub(crate) async fn is_silent(&mut self, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.next()).await.is_err()
    }
}

fn parse(text: &str) -> Message {
    let frame: Value = serde_json::from_str(text).unwrap();
    let name = frame["event"].as_str().unwrap().to_owned();
    let id = frame.get("id").map(|id| id.as_str().unwrap().to_owned());
    Message { id, name, data: frame["data"].clone() }
}

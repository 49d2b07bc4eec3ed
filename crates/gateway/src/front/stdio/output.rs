//! What is written to the client: one task writes, all others hand it messages.

use std::io;

use futures::SinkExt as _;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::codec::FramedWrite;
use tokio_util::sync::CancellationToken;

use sentinel_mcp_protocol::framing::lines::Lines;
use sentinel_mcp_protocol::jsonrpc::Message;

/// Messages that wait for a client that does not read.
const QUEUE: usize = 256;

/// The way to the client. Clones share it; it ends when the last one is dropped.
#[derive(Debug, Clone)]
pub(super) struct Output(mpsc::Sender<Message>);

impl Output {
    /// Starts to write. `gone` is cancelled once the client cannot be written to.
    pub(super) fn start<W>(output: W, gone: CancellationToken) -> (Self, JoinHandle<()>)
    where
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writing = tokio::spawn(async move {
            if let Err(error) = write(output, receiver).await {
                tracing::debug!(%error, "the client cannot be written to");
            }
            gone.cancel();
        });
        (Self(sender), writing)
    }

    /// Writes what the client must get, as soon as it reads. A client that has gone gets nothing.
    pub(super) async fn send(&self, message: impl Into<Message>) {
        drop(self.0.send(message.into()).await);
    }

    /// Writes what may be lost when the client does not read.
    pub(super) fn offer(&self, message: impl Into<Message>) {
        drop(self.0.try_send(message.into()));
    }
}

async fn write<W>(output: W, mut messages: mpsc::Receiver<Message>) -> io::Result<()>
where
    W: AsyncWrite + Send + Unpin,
{
    let mut lines = FramedWrite::new(output, Lines::default());
    while let Some(message) = messages.recv().await {
        lines.feed(&message).await?;
        while let Ok(message) = messages.try_recv() {
            lines.feed(&message).await?;
        }
        lines.flush().await?;
    }
    lines.close().await
}

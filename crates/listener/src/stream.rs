//! A connection that does not wait for its client without end: a client that takes nothing of what
//! it is sent for a while is cut off, whatever is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes that a client must take in that time: one that takes a byte now and then takes nothing.
const PROGRESS: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct PatientStream {
    inner: TcpStream,
    patience: Duration,
    /// Runs while there is something that the client does not take.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Bytes that it has taken since.
    taken: usize,
}

impl PatientStream {
    pub(crate) const fn new(inner: TcpStream, patience: Duration) -> Self {
        Self { inner, patience, stalled: None, taken: 0 }
    }

    /// What a write came to, or that the client takes too long.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) => {
                self.taken += count;
                if self.taken >= PROGRESS {
                    self.stalled = None;
                }
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if self.stalled.is_none() {
                    self.taken = 0;
                }
                let patience = self.patience;
                let waiting = self
                    .stalled
                    .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + patience)));
                ready!(waiting.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncRead for PatientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Asked for once everything is written: nothing is left that the client does not take.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stalled = None;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(300);

    async fn pair() -> (PatientStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (PatientStream::new(listener.accept().await.unwrap().0, PATIENCE), client)
    }

    /// Sends without end; why it ended, and after how long.
    async fn send(mut stream: PatientStream) -> (io::ErrorKind, Duration) {
        let started = Instant::now();
        loop {
            let sent = stream.write_all(&[b'x'; 64 * 1024]).await;
            if let Err(error) = sent {
                return (error.kind(), started.elapsed());
            }
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut_off() {
        let (stream, _client) = pair().await;
        let sent = tokio::time::timeout(Duration::from_secs(10), send(stream)).await;
        assert_eq!(sent.unwrap().0, io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_a_byte_now_and_then_is_cut_off() {
        let (stream, mut client) = pair().await;
        let trickle = tokio::spawn(async move {
            let mut byte = [0];
            while client.read_exact(&mut byte).await.is_ok() {
                tokio::time::sleep(PATIENCE / 10).await;
            }
        });
        let sent = tokio::time::timeout(Duration::from_secs(10), send(stream)).await;
        assert_eq!(sent.unwrap().0, io::ErrorKind::TimedOut);
        trickle.abort();
    }

    #[tokio::test]
    async fn a_client_that_reads_is_not() {
        let (stream, mut client) = pair().await;
        let sending = tokio::spawn(send(stream));
        let mut part = vec![0; 256 * 1024];
        for _ in 0..20 {
            client.read_exact(&mut part).await.unwrap();
            tokio::time::sleep(PATIENCE / 10).await;
        }
        drop(client);
        let (ended, after) = sending.await.unwrap();
        assert_ne!(ended, io::ErrorKind::TimedOut);
        assert!(after >= PATIENCE, "{after:?}");
    }
}

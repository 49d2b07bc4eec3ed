//! One keep-alive connection and its buffers.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    response::{Frame, parse},
    result::Failure,
};

/// First size of the response buffer, in bytes; it doubles when an answer is longer.
const RESPONSE_BUFFER: usize = 8 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: SocketAddr,
    stream: TcpStream,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { address, stream, request: Vec::new(), response: vec![0; RESPONSE_BUFFER] })
    }

    /// Has the next request written into the emptied request buffer.
    pub(super) fn prepare(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.request.clear();
        write(&mut self.request);
    }

    /// Sends the prepared request and reads its whole answer: status and body.
    ///
    /// # Errors
    /// When the connection is closed first, or the answer cannot be read. Either way the
    /// connection is of no further use.
    pub(super) async fn exchange(&mut self) -> Result<(u16, &[u8]), Failure> {
        self.stream.write_all(&self.request).await.map_err(|_| Failure::Closed)?;
        let mut filled = 0;
        let frame = loop {
            if filled == self.response.len() {
                self.response.resize(filled * 2, 0);
            }
            let free = self.response.get_mut(filled..).unwrap_or_default();
            match self.stream.read(free).await {
                Ok(0) | Err(_) => return Err(Failure::Closed),
                Ok(count) => filled += count,
            }
            let so_far = self.response.get(..filled).unwrap_or_default();
            if let Some(frame) = parse(so_far).map_err(|_| Failure::Malformed)? {
                break frame;
            }
        };
        let Frame { status, body } = frame;
        Ok((status, self.response.get(body).unwrap_or_default()))
    }
}

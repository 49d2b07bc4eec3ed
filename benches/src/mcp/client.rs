//! One connection of a client, for what is done once and not under load.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, ensure};

use crate::load::RequestHead;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
}

/// A whole response. Its names of headers are in lowercase.
#[derive(Debug)]
pub(crate) struct Reply {
    head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn status(&self) -> &str {
        self.head.get(9..12).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    /// Sends a request, and reads the response, which must have a length.
    pub(crate) fn send(&mut self, head: &RequestHead, body: &str) -> anyhow::Result<Reply> {
        self.stream.write_all(&head.request(body.as_bytes()))?;
        let head = self.read_head()?;
        let mut reply = Reply { head, body: String::new() };
        let length = reply.header("content-length").map(str::parse).transpose()?;
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body)?;
        reply.body = String::from_utf8(body)?;
        Ok(reply)
    }

    /// As [`Self::send`], for a request that must succeed.
    pub(crate) fn succeed(&mut self, head: &RequestHead, body: &str) -> anyhow::Result<Reply> {
        let reply = self.send(head, body)?;
        ensure!(
            reply.status().starts_with('2') && !reply.body.contains("\"error\":"),
            "refused with {}: {}",
            reply.status(),
            reply.body
        );
        Ok(reply)
    }

    /// Sends a request whose response is a stream, and reads its head only.
    pub(crate) fn open_stream(&mut self, head: &RequestHead, body: &str) -> anyhow::Result<Reply> {
        self.stream.write_all(&head.request(body.as_bytes()))?;
        let reply = Reply { head: self.read_head()?, body: String::new() };
        ensure!(reply.status() == "200", "no stream: {}", reply.status());
        Ok(reply)
    }

    /// Byte by byte: what follows the head is not to be read with it.
    fn read_head(&mut self) -> anyhow::Result<String> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).context("the server closed the connection")?;
            head.extend_from_slice(&byte);
        }
        Ok(String::from_utf8(head)?)
    }
}

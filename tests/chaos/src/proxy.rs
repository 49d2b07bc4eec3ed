//! A TCP proxy in front of a server, which can be told to stall or to refuse.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of bytes and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Connections stay and are accepted, and nothing gets through; what was sent meanwhile arrives
    /// late, as after a partition of the network.
    Stall,
    /// Connections are closed, new ones at once.
    Refuse,
}

/// A running proxy; it ends with the process.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    pub(crate) async fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (mode, modes) = watch::channel(Mode::Pass);
        tokio::spawn(accept(listener, SocketAddr::from((Ipv4Addr::LOCALHOST, target)), modes));
        Ok(Self { port, mode })
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, modes: watch::Receiver<Mode>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        if *modes.borrow() != Mode::Refuse {
            tokio::spawn(connection(client, target, modes.clone()));
        }
    }
}

async fn connection(client: TcpStream, target: SocketAddr, mut modes: watch::Receiver<Mode>) {
    if modes.wait_for(|mode| *mode != Mode::Stall).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut refused = modes.clone();
    tokio::select! {
        () = pump(from_client, to_server, modes.clone()) => {}
        () = pump(from_server, to_client, modes) => {}
        _ = refused.wait_for(|mode| *mode == Mode::Refuse) => {}
    }
}

/// Carries bytes one way until either end is gone.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut modes: watch::Receiver<Mode>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        let passing = modes.wait_for(|mode| *mode == Mode::Pass).await.is_ok();
        let Some(bytes) = buffer.get(..read) else { return };
        if !passing || to.write_all(bytes).await.is_err() || read == 0 {
            return;
        }
    }
}

//! The addresses at which a server listens, and who is served at each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use sentinel_gateway::server::Gateway;
use sentinel_ingress::FrontDoor;
use sentinel_listener::{Limits, Protocol, serve};
use tokio::net::TcpListener;

use crate::failure::{Failure, OrFail as _, Outcome};

/// What is served, over one front door.
#[derive(Debug)]
pub(crate) struct Interfaces {
    http: Router,
    /// For Envoy, by HTTP/2.
    ext_authz: Router,
}

impl Interfaces {
    pub(crate) fn new(
        door: Arc<FrontDoor>,
        options: sentinel_http::Options,
        gateway: &Gateway,
    ) -> Self {
        let ext_authz = sentinel_ext_authz::router(Arc::clone(&door));
        let http = sentinel_http::router(door, options).merge(gateway.router());
        Self { http, ext_authz }
    }
}

/// Bound sockets, one for each of [`Addresses`].
#[derive(Debug)]
pub(crate) struct Listeners {
    clients: TcpListener,
    ext_authz: Option<TcpListener>,
    operators: Option<TcpListener>,
}

/// The address of each listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) clients: SocketAddr,
    /// Where Envoy asks; `None` serves none.
    pub(crate) ext_authz: Option<SocketAddr>,
    /// Where operators and administrators are served, and no other caller.
    pub(crate) operators: Option<SocketAddr>,
}

impl Listeners {
    /// Binds each address.
    ///
    /// # Errors
    /// When one is in use or not of this machine, with its fix.
    pub(crate) async fn bind(addresses: Addresses) -> Outcome<Self> {
        Ok(Self {
            clients: bind(addresses.clients).await?,
            ext_authz: bind_if(addresses.ext_authz).await?,
            operators: bind_if(addresses.operators).await?,
        })
    }

    /// Where they are bound: with port 0, the system has picked one.
    ///
    /// # Errors
    /// When the system does not say.
    pub(crate) fn addresses(&self) -> Outcome<Addresses> {
        let of = |listener: &TcpListener| {
            listener.local_addr().or_fail(|| "cannot set up the server".to_owned())
        };
        Ok(Addresses {
            clients: of(&self.clients)?,
            ext_authz: self.ext_authz.as_ref().map(of).transpose()?,
            operators: self.operators.as_ref().map(of).transpose()?,
        })
    }

    /// Serves at each address until `stopped` completes, and then what was accepted. Returns how
    /// many connections had to be cut.
    pub(crate) async fn serve(
        self,
        interfaces: Interfaces,
        limits: &Limits,
        stopped: impl Future<Output = ()> + Clone,
    ) -> usize {
        let Interfaces { http, ext_authz: envoy } = interfaces;
        let ext_authz = async {
            let Some(listener) = self.ext_authz else { return 0 };
            serve(listener, envoy, Protocol::Http2, limits.clone(), stopped.clone()).await
        };
        let operators = async {
            let Some(listener) = self.operators else { return 0 };
            let limits = limits.of_operators();
            serve(listener, http.clone(), Protocol::Http1, limits, stopped.clone()).await
        };
        let stop = stopped.clone();
        let clients = serve(self.clients, http.clone(), Protocol::Http1, limits.clone(), stop);
        let (clients, ext_authz, operators) = tokio::join!(clients, ext_authz, operators);
        clients + ext_authz + operators
    }
}

async fn bind_if(address: Option<SocketAddr>) -> Outcome<Option<TcpListener>> {
    match address {
        Some(address) => bind(address).await.map(Some),
        None => Ok(None),
    }
}

async fn bind(address: SocketAddr) -> Outcome<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let failure = Failure::new(format!("cannot listen on {address}: {error}"));
        if error.kind() == io::ErrorKind::AddrInUse {
            failure.help("stop what listens there, or choose another port (0 picks a free one)")
        } else {
            failure
        }
    })
}

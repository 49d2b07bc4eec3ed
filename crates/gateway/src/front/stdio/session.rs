//! What is known of the client.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::authority::Authority;
use crate::client::{Client, Route};
use sentinel_mcp_protocol::era::{ClientMeta, Era, Version, meta};
use sentinel_mcp_protocol::jsonrpc::{Object, RpcError};
use sentinel_mcp_protocol::method::capabilities;

/// Level of the log for a session that has not chosen one.
const DEFAULT_LEVEL: &str = "info";

/// A session of the legacy era.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Arc<Client>,
    pub(super) version: Version,
    level: Mutex<String>,
}

impl Session {
    pub(super) fn set_level(&self, level: String) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = level;
    }

    /// States the level of the session with a request, as modern requests do.
    pub(super) fn write_level(&self, params: &mut Object) -> Result<(), RpcError> {
        let level = self.level.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let entry = params.entry("_meta").or_insert_with(|| Value::Object(Object::new()));
        let Value::Object(members) = entry else {
            return Err(RpcError::invalid_params("`_meta` must be an object"));
        };
        members.insert(meta::LOG_LEVEL.to_owned(), level.into());
        Ok(())
    }
}

/// The one client, in whatever era it speaks.
pub(super) struct Who {
    authority: Arc<dyn Authority>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connect: Option<Box<dyn FnOnce(Era) -> Arc<Route> + Send>>,
    route: Option<Arc<Route>>,
    session: Option<Arc<Session>>,
    /// The client as its last modern request described it.
    modern: Option<Arc<Client>>,
}

impl Who {
    pub(super) fn new(
        authority: Arc<dyn Authority>,
        connect: Box<dyn FnOnce(Era) -> Arc<Route> + Send>,
    ) -> Self {
        let state = State { connect: Some(connect), ..State::default() };
        Self { authority, state: Mutex::new(state) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The route, if the client has sent a request.
    pub(super) fn route(&self) -> Option<Arc<Route>> {
        self.lock().route.clone()
    }

    /// The session, if `initialize` has opened one.
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        self.lock().session.clone()
    }

    /// Opens the session that the parameters of `initialize` ask for.
    ///
    /// # Errors
    /// When there is one, or the parameters are malformed.
    pub(super) fn open(&self, params: &Object) -> Result<Arc<Session>, RpcError> {
        let Some(Value::String(version)) = params.get("protocolVersion") else {
            return Err(RpcError::invalid_params("`protocolVersion` must be a string"));
        };
        let version = Version::for_session(version);
        let mut state = self.lock();
        if state.session.is_some() {
            return Err(RpcError::invalid_request("the session is initialized already"));
        }
        let route = state.route(Era::Legacy)?;
        let info = object(params, "clientInfo")?;
        let declared = object(params, "capabilities")?;
        let client = self.client(route, info, &declared);
        let level = Mutex::new(DEFAULT_LEVEL.to_owned());
        let session = Arc::new(Session { client, version, level });
        state.session = Some(Arc::clone(&session));
        Ok(session)
    }

    /// The client that a modern request describes: the same for as long as it describes itself in
    /// the same way, so that it is remembered what it was shown.
    pub(super) fn modern(&self, meta: &ClientMeta) -> Result<Arc<Client>, RpcError> {
        let mut state = self.lock();
        let governed = capabilities::of_client(&meta.capabilities).capabilities;
        let same =
            |client: &&Arc<Client>| client.info == meta.info && client.capabilities == governed;
        if let Some(client) = state.modern.as_ref().filter(same) {
            return Ok(Arc::clone(client));
        }
        let route = state.route(Era::Modern)?;
        let client = self.client(route, meta.info.clone(), &meta.capabilities);
        state.modern = Some(Arc::clone(&client));
        Ok(client)
    }

    fn client(&self, route: Arc<Route>, info: Object, declared: &Object) -> Arc<Client> {
        let mut client = Client::new(Arc::clone(&self.authority), route);
        client.info = info;
        client.capabilities = capabilities::of_client(declared).capabilities;
        Arc::new(client)
    }
}

impl State {
    fn route(&mut self, era: Era) -> Result<Arc<Route>, RpcError> {
        if let Some(connect) = self.connect.take() {
            self.route = Some(connect(era));
        }
        self.route.clone().ok_or_else(|| RpcError::internal("there is no server"))
    }
}

fn object(params: &Object, name: &str) -> Result<Object, RpcError> {
    match params.get(name) {
        None => Ok(Object::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(RpcError::invalid_params(format!("`{name}` must be an object"))),
    }
}

impl std::fmt::Debug for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Who").finish_non_exhaustive()
    }
}

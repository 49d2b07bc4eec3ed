pub(crate) mod app;
pub(crate) mod http;
pub(crate) mod policy;
pub(crate) mod server;

pub(crate) use app::{App, Key};
pub(crate) use http::{Answer, Client};

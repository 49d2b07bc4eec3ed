//! What clients may list: the tools, prompts, resources and resource templates of the upstreams of
//! a route, merged, filtered by policy, under names that every client accepts.
//!
//! A [`Source`] is one upstream with its lists, cached for all clients of a tenant. What a client
//! sees of them is put together for each list: [`list`] filters, [`find_tool`] and its siblings
//! lead from a name that a client knows back to the upstream, and [`Changes`] reports when a client
//! should list again.

mod cached;
mod changes;
mod cursor;
mod fetch;
mod items;
mod levels;
mod list;
mod repair;
mod schema;
mod settings;
mod shown;
mod source;
mod target;
mod tools;
mod uris;
mod view;

pub(crate) use self::cached::Patience;
pub use self::changes::Changes;
pub use self::fetch::Kind;
pub use self::list::{Absent, Survey, list, survey};
pub use self::settings::Settings;
pub use self::shown::Shown;
pub use self::source::Source;
pub use self::target::{Target, find_prompt, find_resource, find_tool};
pub use self::tools::{Defect, Tool, Tools};
pub use self::uris::{map_notification, map_result};

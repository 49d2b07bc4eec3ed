//! The configuration of `sentinel serve`: one YAML file, and an environment variable for each of
//! its fields. It consists of [`sections`]; each checks its own fields and makes what they
//! describe.

mod document;
mod entries;
mod kind;
pub(crate) mod load;
pub(crate) mod log_level;
pub(crate) mod places;
pub(crate) mod problems;
#[cfg(test)]
mod reference;
mod rules;
mod schema;
pub(crate) mod section;
pub(crate) mod sections;

pub(crate) use self::document::nearest;
pub(crate) use self::sections::Config;

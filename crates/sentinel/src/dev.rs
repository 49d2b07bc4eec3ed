//! What `sentinel dev` has and a configured server does not: a directory that holds everything,
//! keys and tools that exist from the start, and the policies in the binary.

pub(crate) mod banner;
pub(crate) mod data_dir;
pub(crate) mod keys;
pub(crate) mod policies;
pub(crate) mod seed;

/// Where `sentinel dev` keeps everything by default.
pub(crate) const DATA_DIR: &str = ".sentinel";

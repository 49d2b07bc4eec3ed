//! What `sentinel dev` has that a configured server has not: a directory that holds everything,
//! keys and tools that are there from the start, and the policies of the binary.

pub(crate) mod banner;
pub(crate) mod data_dir;
pub(crate) mod keys;
pub(crate) mod policies;
pub(crate) mod seed;

/// Where `sentinel dev` keeps everything unless told otherwise.
pub(crate) const DATA_DIR: &str = ".sentinel";

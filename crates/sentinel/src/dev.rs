//! What `sentinel dev` has that a configured server has not: a directory that holds everything,
//! keys and tools that are there from the start, and the policies of the binary.

pub(crate) mod banner;
pub(crate) mod data_dir;
pub(crate) mod keys;
pub(crate) mod policies;
pub(crate) mod seed;

/// Where `sentinel dev` keeps everything unless told otherwise.
pub(crate) const DATA_DIR: &str = ".sentinel";

/// The names by which a browser or a program on this machine reaches us. Others are refused, so
/// that no web page can reach us through a name of its own.
pub(crate) fn loopback_hosts() -> Vec<String> {
    ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned).to_vec()
}

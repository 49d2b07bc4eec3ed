//! A real C2SP witness, litewitness, with requests as a server makes them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::witness::Server;
use sentinel_provenance::Sha256Digest;
use sentinel_provenance::log::{AddCheckpoint, Note, VerifierKey, add_checkpoint_body};

/// A running witness that knows one log, and its key.
#[derive(Debug)]
pub struct Witness {
    server: Server,
    pub key: VerifierKey,
}

impl Witness {
    /// Starts a witness that knows the log with this key.
    #[must_use]
    pub fn start(log: &VerifierKey) -> Self {
        let server = Server::start(&log.to_string());
        let key = VerifierKey::parse(server.key()).unwrap();
        Self { server, key }
    }

    /// Asks it to cosign, over the network.
    #[must_use]
    pub fn add(&self, old: u64, proof: &[Sha256Digest], checkpoint: &Note) -> AddCheckpoint {
        let body = add_checkpoint_body(old, proof, checkpoint).unwrap();
        let mut stream = TcpStream::connect(self.server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = body.len();
        write!(stream, "POST /add-checkpoint HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        let mut answer = Vec::new();
        reader.read_to_end(&mut answer).unwrap();
        AddCheckpoint::parse(status, &answer).unwrap()
    }
}

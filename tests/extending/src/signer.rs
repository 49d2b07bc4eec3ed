//! A key that a program signs with, such as the command of a hardware security module.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_provenance::PublicKey;
use sentinel_signers::{KeyService, PublicHalf, SignersError};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(5);

/// Signs by running a program: the message goes to its standard input, and its standard output is
/// the signature in DER.
#[derive(Debug)]
pub struct CommandKey {
    program: String,
    arguments: Vec<String>,
    half: PublicHalf,
}

impl CommandKey {
    #[must_use]
    pub fn new(program: &str, arguments: &[&str], public_key: PublicKey) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { program: program.to_owned(), arguments, half: PublicHalf::P256(public_key) }
    }

    fn away(&self, why: &dyn std::fmt::Display) -> SignersError {
        SignersError::Away { service: self.holder(), why: why.to_string() }
    }

    async fn run(&self, message: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(message).await?;
        }
        Ok(child.wait_with_output().await?.stdout)
    }
}

#[async_trait]
impl KeyService for CommandKey {
    fn holder(&self) -> &'static str {
        "the signing program"
    }

    fn public_half(&self) -> &PublicHalf {
        &self.half
    }

    /// The caller verifies what this returns, so a program that fails or returns a wrong signature
    /// signs nothing.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignersError> {
        let signed = tokio::time::timeout(LIMIT, self.run(message)).await;
        signed.map_err(|_| self.away(&"it took too long"))?.map_err(|error| self.away(&error))
    }
}

use sentinel_api::{Kill, KillAnswer, KillRequest, KillTarget, RestoreAnswer};

use crate::{Client, Error, Pages};

impl Client {
    /// Stops calls. Once this has returned `Ok`, no replica allows a call that the target covers.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or does not say that calls are stopped: then
    /// nothing is promised, and the kill may be in force all the same. Try again.
    pub async fn kill(&self, request: &KillRequest) -> Result<KillAnswer, Error> {
        let answer: KillAnswer = self.post(&["kill"], request).await?;
        said(&answer.status, "disabled")?;
        Ok(answer)
    }

    /// Ends every kill of exactly this scope.
    ///
    /// # Errors
    /// When the server does not answer, refuses (409 `still_killed` while a wider kill covers it),
    /// or does not say that calls are restored.
    pub async fn restore(&self, target: &KillTarget) -> Result<RestoreAnswer, Error> {
        let answer: RestoreAnswer = self.post(&["kill", "restore"], target).await?;
        said(&answer.status, "enabled")?;
        Ok(answer)
    }

    /// Kills, newest first: those in force, or all that ever were.
    #[must_use]
    pub fn kills(&self, in_force: bool) -> Pages<'_, Kill> {
        let in_force = in_force.then(|| "true".to_owned());
        self.pages(&["v1", "kills"], &[("in_force", in_force)])
    }
}

fn said(status: &str, expected: &'static str) -> Result<(), Error> {
    if status == expected {
        return Ok(());
    }
    Err(Error::malformed("what was asked for", format_args!("`{status}`, not `{expected}`")))
}

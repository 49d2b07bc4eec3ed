//! Work for the writer, and what becomes of it.

use rusqlite::{Connection, Transaction, TransactionBehavior};
use sentinel_core::ports::StoreError;
use tokio::sync::oneshot;

use crate::error::{Failure, Result, unavailable};

/// What the thread is asked to do.
pub(super) enum Job {
    /// Work in a transaction, which other work may share.
    Shared(Shared),
    /// Work outside any transaction. It answers its caller itself.
    Alone(Alone),
}

/// Does its work, and returns how its caller is answered once it is known whether the transaction
/// was committed.
pub(super) type Shared = Box<dyn FnOnce(&Transaction<'_>) -> Done + Send>;
pub(super) type Alone = Box<dyn FnOnce(&mut Connection) + Send>;

/// Work that is done, and not committed yet.
pub(super) struct Done {
    /// Whether what it did is to be taken back.
    failed: bool,
    answer: Answer,
}

type Answer = Box<dyn FnOnce(std::result::Result<(), StoreError>) + Send>;

/// Boxes `work`, whose result goes to `result`.
pub(super) fn shared<T: Send + 'static>(
    work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    result: oneshot::Sender<std::result::Result<T, StoreError>>,
) -> Shared {
    Box::new(move |transaction| {
        let worked = work(transaction).map_err(StoreError::from);
        let failed = worked.is_err();
        let answer: Answer = Box::new(move |committed| {
            // Work that failed keeps its own error. The caller has stopped waiting when this fails.
            let _ = result.send(worked.and_then(|value| committed.map(|()| value)));
        });
        Done { failed, answer }
    })
}

/// The work of one transaction, after its end.
pub(super) struct Written {
    answers: Vec<Answer>,
    /// Why nothing of it is on disk.
    failure: Option<StoreError>,
}

impl Written {
    /// Does the work in one transaction and commits it.
    pub(super) fn commit(connection: &mut Connection, together: Vec<Shared>) -> Self {
        let mut answers = Vec::with_capacity(together.len());
        let failure = if together.is_empty() {
            None
        } else {
            commit(connection, together, &mut answers).err().map(StoreError::from)
        };
        Self { answers, failure }
    }

    /// Answers the callers. Work that was not begun, since the transaction ended before, has been
    /// dropped, which its caller is told.
    pub(super) fn answer(self) {
        for answer in self.answers {
            answer(self.failure.clone().map_or(Ok(()), Err));
        }
    }
}

fn commit(
    connection: &mut Connection,
    together: Vec<Shared>,
    answers: &mut Vec<Answer>,
) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let alone = together.len() == 1;
    for work in together {
        if !alone {
            transaction.prepare_cached("SAVEPOINT job")?.execute([])?;
        }
        let Done { failed, answer } = work(&transaction);
        answers.push(answer);
        // SQLite ends a transaction by itself when the disk is full, for example. Then the work
        // before this is gone as well, and what comes next must not begin another one.
        if transaction.is_autocommit() {
            return Err(ended());
        }
        match (failed, alone) {
            (true, true) => return Ok(()), // Dropping the transaction rolls it back.
            (true, false) => transaction.prepare_cached("ROLLBACK TO job")?.execute([])?,
            (false, _) => 0,
        };
        if !alone {
            transaction.prepare_cached("RELEASE job")?.execute([])?;
        }
    }
    Ok(transaction.commit()?)
}

fn ended() -> Failure {
    unavailable("the transaction was rolled back")
}

//! Questions to the client of a session that wait for its answers. An answer counts only when it
//! comes from the session that was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use sentinel_mcp_protocol::jsonrpc::{Id, Object, Response, RpcError};

/// Questions that may wait at one time.
const MAX_WAITING: usize = 32;

pub(super) type Answer = Result<Object, RpcError>;

#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    last: i64,
    asked: HashMap<i64, oneshot::Sender<Answer>>,
}

/// A question that was given an id. Dropping it withdraws the question.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) id: Id,
    number: i64,
    questions: Arc<Questions>,
    answer: oneshot::Receiver<Answer>,
}

impl Questions {
    /// `None` when too many wait.
    pub(super) fn open(self: &Arc<Self>) -> Option<Question> {
        let (sender, answer) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.asked.len() >= MAX_WAITING {
            return None;
        }
        waiting.last += 1;
        let number = waiting.last;
        waiting.asked.insert(number, sender);
        drop(waiting);
        Some(Question { id: Id::Integer(number), number, questions: Arc::clone(self), answer })
    }

    /// Takes the client's answer. The first to a question counts; others are dropped.
    pub(super) fn answered(&self, response: Response) {
        let Some(Id::Integer(number)) = response.id else { return };
        if let Some(asked) = self.lock().asked.remove(&number) {
            // The one who asked may have given up just now.
            drop(asked.send(response.outcome));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Question {
    /// Waits for the answer.
    pub(super) async fn answer(mut self) -> Answer {
        let answer = (&mut self.answer).await;
        answer.unwrap_or_else(|_| Err(RpcError::internal("the session has ended")))
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.questions.lock().asked.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(id: &Id, error: &str) -> Response {
        Response::error(Some(id.clone()), RpcError::internal(error))
    }

    #[tokio::test]
    async fn the_first_answer_counts() {
        let questions = Arc::new(Questions::default());
        let question = questions.open().unwrap();
        questions.answered(response(&Id::Text("1".to_owned()), "of another type"));
        questions.answered(response(&Id::Integer(99), "to nothing"));
        questions.answered(response(&question.id, "first"));
        questions.answered(response(&question.id, "second"));
        assert_eq!(question.answer().await.unwrap_err().message, "first");
        assert!(questions.lock().asked.is_empty());
    }

    #[test]
    fn questions_are_bounded_and_withdrawn() {
        let questions = Arc::new(Questions::default());
        let all: Vec<_> = std::iter::from_fn(|| questions.open()).collect();
        assert_eq!(all.len(), MAX_WAITING);
        drop(all);
        assert!(questions.lock().asked.is_empty());
        assert!(questions.open().is_some());
    }
}

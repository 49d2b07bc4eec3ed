//! Which request a task works for.
//!
//! The context is kept with the task, and only while a request that sent one is served. Where work
//! goes to another task, through a channel, [`current`] is read before and sent along.

use futures::future::Either;

use crate::SpanContext;

tokio::task_local! {
    static CURRENT: SpanContext;
}

/// Does `work` as a part of the span. Without one, `work` is polled as it is.
pub fn within<F: Future>(context: Option<SpanContext>, work: F) -> impl Future<Output = F::Output> {
    match context {
        None => Either::Left(work),
        Some(context) => Either::Right(CURRENT.scope(context, work)),
    }
}

/// The span that the running task works for; `None` when its caller sent none.
#[must_use]
pub fn current() -> Option<SpanContext> {
    CURRENT.try_with(|context| *context).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> SpanContext {
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap()
    }

    #[tokio::test]
    async fn a_context_is_that_of_its_work_and_of_no_other() {
        assert_eq!(current(), None);
        let read = async { current() };
        let (with, without) =
            tokio::join!(within(Some(example()), read), within(None, async { current() }));
        assert_eq!((with, without), (Some(example()), None));
        let spawned = within(Some(example()), async { tokio::spawn(async { current() }).await });
        assert_eq!(spawned.await.unwrap(), None);
    }
}

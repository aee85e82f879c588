//! Readers who wait at once share a question: a leader that answers one of them has answered all who asked before it was put.

use crate::error::{MeshError, Result};
use openraft::AsyncRuntime;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Those who wait, in the order in which they came.
type Waiting = Vec<oneshot::Sender<Result<u64>>>;

/// One round is under way; who comes meanwhile is of the next one.
#[derive(Default)]
pub(super) struct Rounds {
    next: Mutex<Waiting>,
    turn: tokio::sync::Mutex<()>,
}

impl Rounds {
    fn next(&self) -> MutexGuard<'_, Waiting> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Waiting {
        std::mem::take(&mut *self.next())
    }

    /// The outcome of a question that is put after this call: by whoever comes first, on a task of its own, since the first reader may go away.
    pub(super) async fn ask<R: AsyncRuntime, F: Future<Output = Result<u64>> + Send + 'static>(
        self: &Arc<Self>,
        ask: impl FnOnce() -> F + Send + 'static,
    ) -> Result<u64> {
        let (tell, told) = oneshot::channel();
        let is_first = {
            let mut next = self.next();
            next.push(tell);
            next.len() == 1
        };
        if is_first {
            let rounds = self.clone();
            drop(R::spawn(async move { rounds.run(ask).await }));
        }
        told.await.unwrap_or_else(|_| Err(MeshError::Stopped { reason: "it was closed".into() }))
    }

    async fn run<F: Future<Output = Result<u64>>>(&self, ask: impl FnOnce() -> F) {
        let _turn = self.turn.lock().await;
        let mut waiting = self.take();
        if waiting.is_empty() {
            return; // they were told already
        }
        let outcome = ask().await;
        if outcome.is_err() {
            waiting.extend(self.take()); // who came meanwhile would learn no better by waiting as long again
        }
        for reader in waiting {
            let _ = reader.send(outcome.clone()); // whoever asked may be gone
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rounds;
    use openraft::TokioRuntime;
    use std::sync::Arc;
    use tokio::sync::oneshot;

    /// etcd#20418: a reader was answered by a question that was put before it came, and read what was old by then.
    #[tokio::test]
    async fn who_comes_while_a_question_is_under_way_waits_for_the_next() {
        let rounds = Arc::new(Rounds::default());
        let ((put, was_put), (answer, answered)) = (oneshot::channel(), oneshot::channel());
        let first = async move {
            put.send(()).expect("somebody waits");
            Ok(answered.await.expect("an answer"))
        };
        let asked = rounds.clone();
        let first = tokio::spawn(async move { asked.ask::<TokioRuntime, _>(move || first).await });
        was_put.await.expect("it is put");
        let asked = rounds.clone();
        let late = tokio::spawn(async move { asked.ask::<TokioRuntime, _>(|| async { Ok(9) }).await });
        while rounds.next().is_empty() {
            tokio::task::yield_now().await;
        }
        answer.send(5).expect("somebody waits");
        assert_eq!(first.await.expect("no panic"), Ok(5));
        assert_eq!(late.await.expect("no panic"), Ok(9), "an answer from before it asked");
    }
}

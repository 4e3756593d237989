//! One policy for many threads: each asks through a handle of its own, and the policy continues all that is asked at
//! the same time together.
//!
//! Invariants: an ask is answered by its completion, by its own error, or by [`PolicyEnded`]; what one asker does (break
//! off, panic, go away) changes nothing for the others; when [`share`] returns, the policy serves nobody any more.
//!
//! Nothing waits for a batch to be full: an ask that comes while others are under way joins them at their next step, if
//! the policy can do that ([`Policy::serve`]).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use vigorl_geometry::fit::PixelBudget;

use crate::{
    Ask, Asks, Completion, Conversation, ManyTokenStream, Policy, PolicyError, Sampling, TokenStream,
};

/// A handle on a policy that is [shared](share): a policy itself, cloned for each thread that asks.
#[derive(Debug, Clone)]
pub struct SharedPolicy {
    to_desk: Sender<Mail>,
    known: Arc<Known>,
}

/// The policy that was shared serves nobody any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not shared any more: its thread has ended, or failed; ask while it is shared")]
pub struct PolicyEnded;

/// What a policy says of itself.
#[derive(Debug)]
struct Known {
    name: String,
    pixel_budget: PixelBudget,
    holds_forms: bool,
}

/// What reaches the policy's thread.
#[derive(Debug)]
enum Mail {
    Ask(Box<Request>),
    /// Nobody will ask any more.
    Close,
}

#[derive(Debug)]
struct Request {
    conversation: Conversation,
    sampling: Sampling,
    asker: Asker,
}

/// Who waits for an answer.
#[derive(Debug)]
struct Asker {
    /// Which of its asks.
    index: usize,
    news: Sender<(usize, News)>,
    is_cancelled: Arc<AtomicBool>,
}

#[derive(Debug)]
enum News {
    Piece(String),
    Answer(Result<Completion, PolicyError>),
}

/// Lets `work` and all threads that it starts ask `policy` at the same time, and ends when `work` does: what is asked
/// through a handle that is left over is answered by [`PolicyEnded`].
///
/// # Panics
/// If `work` or the policy panics; askers who wait then get [`PolicyEnded`] first.
pub fn share<P: Policy + Send + ?Sized, R>(policy: &mut P, work: impl FnOnce(SharedPolicy) -> R) -> R {
    let known = Known {
        name: policy.name().to_owned(),
        pixel_budget: policy.pixel_budget(),
        holds_forms: policy.holds_forms(),
    };
    let (to_desk, mail) = channel();
    thread::scope(|scope| {
        let closing = Closing(to_desk.clone());
        let desk = Desk { mail, is_closed: false, askers: BTreeMap::new(), next_id: 0 };
        let serving = scope.spawn(move || {
            let mut desk = desk;
            policy.serve(&mut desk);
        });
        let done = work(SharedPolicy { to_desk, known: Arc::new(known) });
        drop(closing);
        match serving.join() {
            Ok(()) => done,
            Err(panic) => resume_unwind(panic),
        }
    })
}

/// Closes the desk, also when the work panics.
struct Closing(Sender<Mail>);

impl Drop for Closing {
    fn drop(&mut self) {
        // A desk that is gone is closed.
        drop(self.0.send(Mail::Close));
    }
}

/// Where the policy takes what is asked.
struct Desk {
    mail: Receiver<Mail>,
    is_closed: bool,
    askers: BTreeMap<usize, Asker>,
    next_id: usize,
}

impl<'a> Asks<'a> for Desk {
    fn take(&mut self, is_idle: bool) -> Vec<Ask<'a>> {
        let mut taken = Vec::new();
        while !self.is_closed {
            let mail = match is_idle && taken.is_empty() {
                true => self.mail.recv().ok(),
                false => match self.mail.try_recv() {
                    Ok(mail) => Some(mail),
                    Err(_) => break,
                },
            };
            let Some(Mail::Ask(request)) = mail else {
                self.is_closed = true;
                break;
            };
            let Request { conversation, sampling, asker } = *request;
            let id = self.next_id;
            self.next_id += 1;
            self.askers.insert(id, asker);
            taken.push(Ask { id, conversation: Cow::Owned(conversation), sampling: Cow::Owned(sampling) });
        }
        taken
    }

    fn said(&mut self, id: usize, piece: &str) -> ControlFlow<()> {
        let Some(asker) = self.askers.get(&id) else { return ControlFlow::Break(()) };
        let news = (asker.index, News::Piece(piece.to_owned()));
        // Nobody listens where the asker has panicked.
        match asker.is_cancelled.load(Ordering::Relaxed) || asker.news.send(news).is_err() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn answer(&mut self, id: usize, completion: Result<Completion, PolicyError>) {
        if let Some(asker) = self.askers.remove(&id) {
            // As above.
            drop(asker.news.send((asker.index, News::Answer(completion))));
        }
    }
}

/// One ask of a batch, as its asker knows it.
#[derive(Default)]
struct Waiting {
    is_cancelled: Arc<AtomicBool>,
    n_pieces: usize,
    n_bytes: usize,
    answer: Option<Result<Completion, PolicyError>>,
}

impl Waiting {
    fn hear(&mut self, piece: &str, mut stream: impl FnMut(&str) -> ControlFlow<()>) {
        if self.is_cancelled.load(Ordering::Relaxed) {
            return;
        }
        self.n_pieces += 1;
        self.n_bytes += piece.len();
        if stream(piece).is_break() {
            self.is_cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// The policy hears later that it was cancelled: what it said meanwhile is left out.
    fn answered(self) -> Result<Completion, PolicyError> {
        let said = self.answer.unwrap_or_else(|| Err(PolicyError::Backend(Box::new(PolicyEnded))));
        match self.is_cancelled.load(Ordering::Relaxed) {
            true => said.map(|said| said.cancelled_behind(self.n_pieces, self.n_bytes)),
            false => said,
        }
    }
}

impl Policy for SharedPolicy {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        let alone = self.complete_batch(&[(conversation, sampling)], &mut |_, piece| stream(piece)).pop();
        alone.unwrap_or_else(|| unreachable!("one ask has one answer"))
    }

    fn complete_batch(
        &mut self,
        asks: &[(&Conversation, &Sampling)],
        stream: &mut ManyTokenStream<'_>,
    ) -> Vec<Result<Completion, PolicyError>> {
        let (news, heard) = channel();
        let mut waiting = Vec::new();
        for (index, (conversation, sampling)) in asks.iter().enumerate() {
            let of_ask = Waiting::default();
            let asker = Asker { index, news: news.clone(), is_cancelled: of_ask.is_cancelled.clone() };
            let (conversation, sampling) = ((*conversation).clone(), (*sampling).clone());
            // If the desk is gone the asker goes with the mail, and nothing will be heard of it.
            drop(self.to_desk.send(Mail::Ask(Box::new(Request { conversation, sampling, asker }))));
            waiting.push(of_ask);
        }
        drop(news);
        for (index, news) in heard {
            match news {
                News::Piece(piece) => waiting[index].hear(&piece, |piece| stream(index, piece)),
                News::Answer(answer) => waiting[index].answer = Some(answer),
            }
        }
        waiting.into_iter().map(Waiting::answered).collect()
    }

    fn holds_forms(&self) -> bool {
        self.known.holds_forms
    }

    fn pixel_budget(&self) -> PixelBudget {
        self.known.pixel_budget
    }

    fn name(&self) -> &str {
        &self.known.name
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::{Finish, Message, Role, ScriptedPolicy};

    fn talk(text: &str) -> Conversation {
        Conversation { messages: vec![Message::text(Role::User, text)], forced_prefix: None }
    }

    fn ask(policy: &mut SharedPolicy, text: &str) -> Result<Completion, PolicyError> {
        policy.complete(&talk(text), &Sampling::greedy(100), &mut |_| ControlFlow::Continue(()))
    }

    fn has_ended(said: Result<Completion, PolicyError>) -> bool {
        matches!(said, Err(PolicyError::Backend(error)) if error.is::<PolicyEnded>())
    }

    /// Repeats what it is asked, fails at "fail", and panics at "panic".
    struct Echo;

    impl Policy for Echo {
        fn complete(
            &mut self,
            conversation: &Conversation,
            sampling: &Sampling,
            stream: &mut TokenStream<'_>,
        ) -> Result<Completion, PolicyError> {
            let text = conversation.messages[0].parts[0].text().unwrap_or_default();
            match text {
                "fail" => Err(PolicyError::TooLong { n_tokens: 2, limit: 1 }),
                "panic" => panic!("asked to"),
                _ => ScriptedPolicy::new([text]).complete(conversation, sampling, stream),
            }
        }

        fn pixel_budget(&self) -> PixelBudget {
            ScriptedPolicy::new([""; 0]).pixel_budget()
        }

        fn name(&self) -> &str {
            "echo"
        }
    }

    #[test]
    fn each_thread_gets_its_own_answers_and_errors() {
        share(&mut Echo, |policy| {
            thread::scope(|scope| {
                for i in 0..8 {
                    let mut policy = policy.clone();
                    scope.spawn(move || {
                        for turn in 0..20 {
                            let text = format!("{i} says {turn}");
                            assert_eq!(ask(&mut policy, &text).unwrap().text, text);
                            let failed = ask(&mut policy, "fail");
                            assert!(matches!(failed, Err(PolicyError::TooLong { n_tokens: 2, limit: 1 })));
                        }
                    });
                }
            });
            assert_eq!((policy.name(), policy.holds_forms()), ("echo", false));
        });
    }

    #[test]
    fn a_batch_comes_back_in_order() {
        let (a, b, c) = (talk("a"), talk("fail"), talk("cc"));
        let sampling = Sampling::greedy(9);
        let mut streamed = [String::new(), String::new(), String::new()];
        let said = share(&mut Echo, |mut policy| {
            let asks = [(&a, &sampling), (&b, &sampling), (&c, &sampling)];
            policy.complete_batch(&asks, &mut |i, piece| {
                streamed[i].push_str(piece);
                ControlFlow::Continue(())
            })
        });
        let texts: Vec<_> =
            said.iter().map(|said| said.as_ref().ok().map(|said| said.text.as_str())).collect();
        assert_eq!(texts, [Some("a"), None, Some("cc")]);
        assert_eq!(streamed, ["a", "", "cc"]);
    }

    #[test]
    fn a_completion_is_cancelled_between_tokens_as_without_a_handle() {
        let cancelled_at = |n: usize, policy: &mut dyn Policy| {
            let mut heard = 0;
            let mut stream = |_: &str| {
                heard += 1;
                if heard == n { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let said = policy.complete(&talk("twelve bytes"), &Sampling::greedy(12), &mut stream).unwrap();
            assert_eq!(heard, n);
            (said.text, said.finish, said.token_ends, said.logprobs.len())
        };
        for n in [1, 5, 11, 12] {
            let shared = share(&mut Echo, |mut policy| cancelled_at(n, &mut policy));
            assert_eq!(shared, cancelled_at(n, &mut Echo));
            assert_eq!(shared.1, Finish::Cancelled);
        }
    }

    #[test]
    fn an_asker_who_panics_leaves_the_others_untouched() {
        share(&mut Echo, |policy| {
            let mut other = policy.clone();
            let panicking = thread::spawn(move || {
                other.complete(&talk("long"), &Sampling::greedy(9), &mut |_| panic!("an asker's own"))
            });
            assert!(panicking.join().is_err());
            assert_eq!(ask(&mut policy.clone(), "still there").unwrap().text, "still there");
        });
    }

    #[test]
    fn whoever_waits_for_a_policy_that_panics_is_told_and_so_is_the_owner() {
        let shared = catch_unwind(AssertUnwindSafe(|| {
            share(&mut Echo, |mut policy| {
                assert!(has_ended(ask(&mut policy, "panic")));
                assert!(has_ended(ask(&mut policy, "and later")));
            });
        }));
        assert_eq!(shared.unwrap_err().downcast_ref(), Some(&"asked to"));
    }

    #[test]
    fn it_ends_with_the_work_whatever_handles_are_left() {
        let mut left = share(&mut Echo, |policy| policy);
        assert!(has_ended(ask(&mut left, "anybody there?")));
        let panicking = catch_unwind(AssertUnwindSafe(|| {
            share(&mut Echo, |policy| {
                // A thread that goes on asking until it is told that nobody answers.
                let mut left = policy.clone();
                assert!(ask(&mut left, "once").is_ok());
                thread::spawn(move || while ask(&mut left, "again").is_ok() {});
                panic!("the work's own")
            })
        }));
        assert_eq!(panicking.unwrap_err().downcast_ref(), Some(&"the work's own"));
    }
}

//! The policy behind a server. Invariants: a conversation is continued as it would be alone, whatever is asked beside it;
//! whoever breaks off is let go soon, and his request ends.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use tokio::task::{AbortHandle, JoinSet, LocalSet};
use vigorl_geometry::fit::PixelBudget;
use vigorl_policy::{
    Ask, Asks, Completion, Conversation, Finish, Policy, PolicyError, Sampling, TokenStream,
};

use crate::completion::{cancelled, completion};
use crate::courier::{Brought, Courier};
use crate::error::EndpointError;
use crate::found::Found;
use crate::probe::probe;
use crate::request::{About, Asking};
use crate::server::{Line, ServedModel, Server, TICK};

/// Requests under way at once; what is asked beyond them waits here instead of at the server, where it would run out of
/// time.
const MAX_AT_ONCE: usize = 64;

/// One model of one server.
#[derive(Debug)]
pub struct Endpoint {
    server: Server,
    model: ServedModel,
    budget: PixelBudget,
    found: Found,
}

impl Endpoint {
    /// Finds out what the server does with what is asked of it. `budget` is how many pixels it shows its model.
    ///
    /// # Errors
    /// If the model cannot be asked or does not see. Whoever breaks off gets [`EndpointError::Cancelled`].
    pub fn open(
        mut server: Server,
        model: ServedModel,
        budget: PixelBudget,
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Self, EndpointError> {
        let name = model.name.clone();
        let found = server.wait(go_on, async move |courier: &Courier| probe(courier, &name, budget).await)?;
        Ok(Self { server, model, budget, found })
    }

    /// The same for another thread, which has connections of its own.
    #[must_use]
    pub fn beside(&self) -> Self {
        let Self { server, model, budget, found } = self;
        Self { server: server.beside(), model: model.clone(), budget: *budget, found: found.clone() }
    }

    /// What was found out about the server.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The model.
    pub fn model(&self) -> &ServedModel {
        &self.model
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// Sends a question on its way.
fn send(
    ask: &Ask<'_>,
    asking: Asking<'_>,
    courier: &Courier,
    under_way: &mut UnderWay,
) -> Result<(), PolicyError> {
    if ask.sampling.form.is_some() {
        return Err(PolicyError::HoldsNoForms { policy: asking.model.to_owned() });
    }
    let (asked, about) = asking.request(&ask.conversation, &ask.sampling)?;
    let (id, courier) = (ask.id, courier.clone());
    let request = under_way.requests.spawn_local(async move { (id, courier.ask(&asked).await) });
    under_way.waiting.insert(id, (request, about));
    Ok(())
}

/// What was asked and is not answered.
#[derive(Default)]
struct UnderWay {
    requests: JoinSet<(usize, Result<Brought, EndpointError>)>,
    waiting: BTreeMap<usize, (AbortHandle, About)>,
}

impl UnderWay {
    /// Waits for the next answer, for a moment: what is asked meanwhile, and who breaks off, cannot be awaited.
    async fn next(&mut self) -> Option<(usize, Result<Completion, PolicyError>)> {
        let next = tokio::time::timeout(TICK, self.requests.join_next()).await;
        match next.ok().flatten()? {
            Ok((id, brought)) => {
                let (_, about) = self.waiting.remove(&id)?;
                Some((id, brought.and_then(|brought| completion(brought, &about)).map_err(PolicyError::from)))
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // One that was broken off is answered already.
            Err(_) => None,
        }
    }

    /// Lets those go who do not wait any more.
    fn let_go(&mut self, asks: &mut dyn Asks<'_>) {
        let gone: Vec<usize> =
            self.waiting.keys().copied().filter(|id| asks.said(*id, "").is_break()).collect();
        for id in gone {
            if let Some((request, about)) = self.waiting.remove(&id) {
                request.abort();
                asks.answer(id, Ok(cancelled(&about)));
            }
        }
    }
}

impl Policy for Endpoint {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        let alone = self.complete_batch(&[(conversation, sampling)], &mut |_, piece| stream(piece)).pop();
        alone.unwrap_or_else(|| unreachable!("one ask has one answer"))
    }

    fn serve<'a>(&mut self, asks: &mut dyn Asks<'a>) {
        let Self { server, model, budget, found } = self;
        let asking = Asking { model: &model.name, budget: *budget, found };
        let Line { courier, runtime } = match server.line() {
            Ok(line) => line,
            Err(error) => return refuse_all(asks, &error),
        };
        LocalSet::new().block_on(runtime, async {
            let (mut under_way, mut queue) = (UnderWay::default(), VecDeque::new());
            loop {
                let is_idle = under_way.waiting.is_empty() && queue.is_empty();
                queue.extend(asks.take(is_idle));
                if is_idle && queue.is_empty() {
                    return;
                }
                while under_way.waiting.len() < MAX_AT_ONCE
                    && let Some(ask) = queue.pop_front()
                {
                    if let Err(error) = send(&ask, asking, courier, &mut under_way) {
                        asks.answer(ask.id, Err(error));
                    }
                }
                if let Some((id, said)) = under_way.next().await {
                    let said = said.map(|said| told(id, said, asks));
                    asks.answer(id, said);
                }
                under_way.let_go(asks);
            }
        });
    }

    fn pixel_budget(&self) -> PixelBudget {
        self.budget
    }

    fn name(&self) -> &str {
        &self.model.name
    }
}

/// Tells a turn, once it is whole: of one that is asked for again, nobody has heard anything.
fn told(id: usize, said: Completion, asks: &mut dyn Asks<'_>) -> Completion {
    let is_cut = !said.text.is_empty() && asks.said(id, &said.text).is_break();
    match said.finish {
        Finish::StopString => said,
        _ if is_cut => Completion { finish: Finish::Cancelled, ..said },
        _ => said,
    }
}

/// Answers everything with the reason why there is no way to the server.
fn refuse_all(asks: &mut dyn Asks<'_>, why: &EndpointError) {
    loop {
        let taken = asks.take(true);
        if taken.is_empty() {
            return;
        }
        for ask in taken {
            let (address, why) = ("the server".to_owned(), why.to_string());
            asks.answer(ask.id, Err(EndpointError::NoClient { address, why }.into()));
        }
    }
}

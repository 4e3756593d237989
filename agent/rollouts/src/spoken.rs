//! A policy whose every turn is kept, and the eyes that ask it. Invariant: what is kept is what the policy was given and what
//! it sampled, not what was made of it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use vigorl_agent::{Ask, Eyes, PolicyEyes, Sighting};
use vigorl_geometry::fit::PixelBudget;
use vigorl_policy::{
    Completion, Conversation, GroundObserver, Policy, PolicyError, Preset, Sampling, TokenStream,
};

use crate::seeds::SampleKey;

/// One turn: the conversation that was continued, how, and with what.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) conversation: Conversation,
    pub(crate) sampling: Sampling,
    pub(crate) completion: Completion,
}

/// One action: its turns, and what came of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spoken {
    pub(crate) calls: Vec<Call>,
}

/// Turns that were kept, in order.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<Vec<Call>>>);

impl Calls {
    /// Those that were kept since this was asked last.
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, call: Call) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

/// A policy whose turns are kept, if somebody wants them.
#[derive(Debug)]
pub struct Kept<P> {
    /// The policy itself.
    pub policy: P,
    /// Where its turns are kept.
    pub calls: Option<Calls>,
}

impl<P: Policy> Policy for Kept<P> {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        let completion = self.policy.complete(conversation, sampling, stream)?;
        if let Some(calls) = &self.calls {
            let (conversation, sampling) = (conversation.clone(), sampling.clone());
            calls.keep(Call { conversation, sampling, completion: completion.clone() });
        }
        Ok(completion)
    }

    fn holds_forms(&self) -> bool {
        self.policy.holds_forms()
    }

    fn pixel_budget(&self) -> PixelBudget {
        self.policy.pixel_budget()
    }

    fn name(&self) -> &str {
        self.policy.name()
    }
}

/// Eyes that sample: each question is an action with draws of its own.
pub(crate) struct SamplingEyes<'p> {
    policy: &'p mut dyn Policy,
    preset: &'p Preset,
    sampling: &'p Sampling,
    key: &'p SampleKey,
    name: String,
    pub(crate) actions: Vec<Spoken>,
}

impl fmt::Debug for SamplingEyes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamplingEyes").field("key", &self.key).finish_non_exhaustive()
    }
}

impl<'p> SamplingEyes<'p> {
    pub(crate) fn new(
        policy: &'p mut dyn Policy,
        preset: &'p Preset,
        sampling: &'p Sampling,
        key: &'p SampleKey,
    ) -> Self {
        let name = policy.name().to_owned();
        Self { policy, preset, sampling, key, name, actions: Vec::new() }
    }
}

impl Eyes for SamplingEyes<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn find(&mut self, ask: &Ask<'_>, observer: &mut dyn GroundObserver) -> Result<Sighting, PolicyError> {
        let seed = self.key.of_action(self.actions.len() as u64);
        let sampling = Sampling { seed, ..self.sampling.clone() };
        let calls = Calls::default();
        let mut policy = Kept { policy: &mut *self.policy, calls: Some(calls.clone()) };
        let mut eyes = PolicyEyes::new(&mut policy, self.preset, &sampling);
        let sighting = eyes.find(ask, observer)?;
        self.actions.push(Spoken { calls: calls.take() });
        Ok(sighting)
    }

    fn may_differ(&self) -> bool {
        false
    }
}

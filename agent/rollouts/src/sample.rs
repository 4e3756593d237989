//! One episode as it is kept for learning: a line of `rollouts.jsonl`.
//!
//! Invariants: the ids are those that were sampled, with the conversation that each turn continued; what was not sampled is
//! not among them: neither a prefix that was forced, nor the end of a turn behind a stop string. A reader tolerates fields
//! that it does not know.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use vigorl_agent::{Ending, Episode};
use vigorl_judges::{Entry, InWorld, Judgement, Rewards, Said};
use vigorl_policy::{Conversation, Finish, Message, Part, Role, Sampling};
use vigorl_tasks::sources::Part as OfSource;
use vigorl_tasks::{Verdict, Verification};

use crate::seeds::SampleKey;
use crate::spoken::{Call, Spoken};
use crate::store::{Images, StoreError};

/// Version of the lines.
pub(crate) const FORMAT: u32 = 1;

/// A sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Version of the line.
    pub format: u32,
    /// What it is.
    #[serde(flatten)]
    pub key: SampleKey,
    /// Whether it is for learning, or held out.
    pub part: OfSource,
    /// The number of its group in the run, from 0.
    pub group: u64,
    /// The number of its episode in the run directory, from 1, if it is in one.
    #[serde(default)]
    pub episode: Option<u64>,
    /// What was to be reached, in words.
    pub goal: String,
    /// Actions that it could have.
    #[serde(default)]
    pub max_steps: Option<usize>,
    /// The first screenshot: a picture beside the line.
    pub first_screenshot: Option<String>,
    /// Who was sampled.
    pub said_by: SaidBy,
    /// How.
    pub sampled_as: SampledAs,
    /// How it ended.
    pub ended: Ended,
    /// Solved or not; nothing if nobody could tell.
    pub success: Option<bool>,
    /// What the environment paid; nothing if nobody could tell.
    #[serde(default)]
    pub paid: Option<f64>,
    /// What it is worth: what was paid, or the mixture of [`Self::judged`]; nothing if something that counts is not known.
    pub reward: Option<f64>,
    /// Why there is no reward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrewarded: Option<String>,
    /// What everybody said, where rewards were configured: the reward is a function of it and of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judgement>,
    /// Whether the goal holds, as the judge said last.
    pub verification: Verification,
    /// What the judge looked at.
    pub clauses: Vec<Entry>,
    /// The judge's words.
    pub detail: Option<String>,
    /// Its actions in order.
    pub actions: Vec<ActionSample>,
    /// Where its time went.
    pub millis: Times,
}

/// Whose words they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidBy {
    /// The policy's name.
    pub policy: String,
    /// SHA-256 of its weights.
    pub weights_sha256: Option<String>,
    /// How many updates of a training these weights had behind them.
    #[serde(default)]
    pub weights_version: u64,
    /// How it is spoken to.
    pub preset: String,
}

/// How tokens were drawn; everything else is off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SampledAs {
    /// Divides the logits.
    pub temperature: f64,
    /// Nucleus mass.
    pub top_p: f64,
}

/// How an episode ended; one in which the world failed is no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The judge decided.
    Judged,
    /// A limit of steps came first.
    StepLimit,
    /// A limit of tokens cut the policy off.
    TokenLimit,
}

/// One action: a conversation of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionSample {
    /// Whether the policy's tokens decided it, so that they can be learned from.
    pub is_trainable: bool,
    /// Where the policy answered, in screenshot pixels.
    pub answer: Option<[f64; 2]>,
    /// Why there is no answer.
    pub malformed: Option<String>,
    /// Whether something was done.
    pub done: bool,
    /// Its turns.
    pub turns: Vec<TurnSample>,
}

/// One turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnSample {
    /// What the conversation had more than the one of the turn before, this one's answer not included.
    pub messages: Vec<MessageRecord>,
    /// Text that the turn was made to begin with; it was not sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced_prefix: Option<String>,
    /// Seed of its draws.
    pub seed: u64,
    /// What was said.
    pub text: String,
    /// Sampled tokens in order.
    pub ids: Vec<u32>,
    /// Their log-probabilities, without temperature and nucleus.
    pub logprobs: Vec<f32>,
    /// Why it ended: `end_of_turn`, `stop_string`, `length` or `cancelled`.
    pub finish: String,
    /// Tokens in front of it.
    pub n_prompt_tokens: usize,
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageRecord {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its parts.
    pub parts: Vec<PartRecord>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartRecord {
    /// Text.
    Text(String),
    /// What the policy said in an earlier turn, with the tokens that it was sampled as.
    Sampled {
        /// The text.
        text: String,
        /// Its tokens.
        ids: Vec<u32>,
    },
    /// A picture beside the line.
    Image(String),
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// The whole episode, from before its reset.
    pub total: f64,
    /// In the world: reset, input, pictures, judging.
    pub world: f64,
    /// Of the policy: images, prompts, tokens.
    pub inference: f64,
}

/// In milliseconds, with three digits behind the point.
pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// What surrounds an episode.
pub(crate) struct Around<'a> {
    pub(crate) key: &'a SampleKey,
    pub(crate) part: OfSource,
    pub(crate) group: u64,
    pub(crate) said_by: &'a SaidBy,
    pub(crate) sampling: &'a Sampling,
    pub(crate) millis: Times,
}

impl Sample {
    /// The line of an episode. Its pictures are put beside the lines.
    pub(crate) fn of(
        around: &Around<'_>,
        episode: &Episode,
        first: Option<&std::sync::Arc<image::RgbImage>>,
        verdict: Option<&Verdict>,
        spoken: &[Spoken],
        images: &Images,
    ) -> Result<Self, StoreError> {
        let ended = match &episode.ending {
            Ending::StepLimit => Ended::StepLimit,
            Ending::TokenLimit => Ended::TokenLimit,
            Ending::Judged | Ending::Cancelled | Ending::Error(_) => Ended::Judged,
        };
        let mut actions = Vec::new();
        for (step, spoken) in episode.steps.iter().zip(spoken) {
            let sighting = step.sightings.first();
            let grounding = sighting.map(|sighting| &sighting.grounding);
            actions.push(ActionSample {
                // What is greedy was not drawn: it has no probability to learn from.
                is_trainable: around.sampling.temperature > 0.0
                    && !spoken.calls.is_empty()
                    && spoken.calls.iter().map(|call| &call.completion).all(|said| {
                        let n = said.token_ids.len();
                        n > 0 && said.forced.is_empty() && said.logprobs.len() == n
                    }),
                answer: grounding.and_then(|said| said.answer).map(|at| [at.x, at.y]),
                malformed: grounding.and_then(|said| said.malformed.as_ref()).map(ToString::to_string),
                done: step.action.is_some(),
                turns: turns(&spoken.calls, images)?,
            });
        }
        Ok(Self {
            format: FORMAT,
            key: around.key.clone(),
            part: around.part,
            group: around.group,
            episode: None,
            goal: episode.start.as_ref().map_or_else(String::new, |start| start.goal.clone()),
            max_steps: episode.start.as_ref().and_then(|start| start.max_steps),
            first_screenshot: first.map(|pixels| images.keep(pixels)).transpose()?,
            said_by: around.said_by.clone(),
            sampled_as: SampledAs { temperature: around.sampling.temperature, top_p: around.sampling.top_p },
            ended,
            success: episode.success,
            paid: episode.reward,
            reward: episode.reward,
            unrewarded: episode.reward.is_none().then(|| "the world could not tell".to_owned()),
            judged: None,
            verification: verdict.map_or(Verification::Unknown, |verdict| verdict.verification),
            clauses: verdict.map_or_else(Vec::new, |verdict| verdict.clauses.clone()),
            detail: episode.detail.clone(),
            actions,
            millis: around.millis,
        })
    }
}

impl Sample {
    /// Asks everybody what it is worth, and says who of one's own failed.
    pub(crate) fn judge(&mut self, rewards: &mut Rewards) -> Option<String> {
        let responses: Vec<String> = self.actions.iter().map(ActionSample::response).collect();
        let line = json!({
            "response": responses.last(),
            "responses": responses,
            "ground_truth": self.goal,
            "goal": self.goal,
            "source": self.key.source,
            "seed": self.key.seed,
            "environment": self.paid,
            "clauses": self.clauses,
            "ended": self.ended,
            "answers": self.actions.iter().map(|action| action.answer).collect::<Vec<_>>(),
        });
        let in_world =
            InWorld { responses: &responses, paid: self.paid, clauses: &self.clauses, line: &line };
        let judged = rewards.judge_in_world(in_world);
        let reward = rewards.reward(&judged);
        let failure = rewards.own_failure(&judged);
        (self.reward, self.unrewarded) = match reward {
            Ok(reward) => (Some(reward), None),
            Err(why) => (None, Some(why.to_string())),
        };
        self.judged = Some(judged);
        // What does not count may fail.
        failure.filter(|_| self.reward.is_none()).map(|why| why.to_string())
    }

    /// What the environment paid; lines from before there were mixtures say only the reward.
    pub(crate) fn paid(&self) -> Option<f64> {
        if self.judged.is_none() { self.paid.or(self.reward) } else { self.paid }
    }

    /// Hides what must not be written. A turn whose text was changed has no tokens any more, and its action teaches nothing.
    pub(crate) fn hide(&mut self, hide: &dyn Fn(&str) -> String) {
        let change = |text: &mut String| {
            let hidden = hide(text);
            let is_changed = hidden != *text;
            *text = hidden;
            is_changed
        };
        change(&mut self.goal);
        change(&mut self.key.source);
        [&mut self.detail, &mut self.unrewarded].into_iter().flatten().for_each(|text| {
            change(text);
        });
        for clause in &mut self.clauses {
            change(&mut clause.name);
            if let Said::Holds { why: Some(text), .. } | Said::Failed { error: text } = &mut clause.said {
                change(text);
            }
        }
        for action in &mut self.actions {
            action.malformed.iter_mut().for_each(|text| {
                change(text);
            });
            for turn in &mut action.turns {
                let mut is_changed = false;
                for part in turn.messages.iter_mut().flat_map(|message| &mut message.parts) {
                    match part {
                        PartRecord::Text(text) => is_changed |= change(text),
                        PartRecord::Sampled { text, ids } => {
                            if change(text) {
                                ids.clear();
                                is_changed = true;
                            }
                        }
                        PartRecord::Image(_) => {}
                    }
                }
                if change(&mut turn.text) {
                    turn.ids.clear();
                    turn.logprobs.clear();
                    is_changed = true;
                }
                action.is_trainable &= !is_changed;
            }
        }
    }
}

impl ActionSample {
    /// The conversation behind its question as one text, as the reference decodes it: what was sampled, and between its turns
    /// what was answered to them, with the roles as words of their own.
    fn response(&self) -> String {
        let mut text = String::new();
        for (n, turn) in self.turns.iter().enumerate() {
            let between = turn.messages.iter().filter(|message| n > 0 && message.role == Role::User.as_str());
            for message in between {
                text.push_str("\nuser\n");
                text.extend(message.parts.iter().filter_map(PartRecord::text));
                text.push_str("\nassistant\n");
            }
            text.extend(turn.forced_prefix.as_deref());
            text.push_str(&turn.text);
        }
        text
    }
}

impl PartRecord {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Sampled { text, .. } => Some(text),
            Self::Image(_) => None,
        }
    }
}

fn turns(calls: &[Call], images: &Images) -> Result<Vec<TurnSample>, StoreError> {
    let mut n_known = 0;
    let mut turns = Vec::new();
    for Call { conversation, sampling, completion } in calls {
        let Conversation { messages, forced_prefix } = conversation;
        let new = messages.get(n_known..).unwrap_or_default();
        n_known = messages.len();
        turns.push(TurnSample {
            messages: new.iter().map(|message| record(message, images)).collect::<Result<_, _>>()?,
            forced_prefix: forced_prefix.clone(),
            seed: sampling.seed,
            text: completion.text.clone(),
            ids: completion.token_ids.clone(),
            logprobs: completion.logprobs.clone(),
            finish: match completion.finish {
                Finish::EndOfTurn => "end_of_turn",
                Finish::StopString => "stop_string",
                Finish::Length => "length",
                Finish::Cancelled => "cancelled",
            }
            .to_owned(),
            n_prompt_tokens: completion.n_prompt_tokens,
        });
    }
    Ok(turns)
}

fn record(message: &Message, images: &Images) -> Result<MessageRecord, StoreError> {
    let part = |part: &Part| {
        Ok(match part {
            Part::Text(text) => PartRecord::Text(text.clone()),
            Part::Sampled { text, ids } => PartRecord::Sampled { text: text.clone(), ids: ids.clone() },
            Part::Image(pixels) => PartRecord::Image(images.keep(pixels)?),
        })
    };
    Ok(MessageRecord {
        role: message.role.as_str().to_owned(),
        parts: message.parts.iter().map(part).collect::<Result<_, StoreError>>()?,
    })
}

impl MessageRecord {
    /// The message again, with pictures that `open` finds by their names.
    ///
    /// # Errors
    /// What `open` says, and a role that nobody knows.
    pub fn message<E: From<String>>(
        &self,
        open: &mut dyn FnMut(&str) -> Result<std::sync::Arc<image::RgbImage>, E>,
    ) -> Result<Message, E> {
        let role =
            [Role::System, Role::User, Role::Assistant].into_iter().find(|role| role.as_str() == self.role);
        let role = role.ok_or_else(|| E::from(format!("`{}` is no role of a message", self.role)))?;
        let mut parts = Vec::new();
        for part in &self.parts {
            parts.push(match part {
                PartRecord::Text(text) => Part::Text(text.clone()),
                PartRecord::Sampled { text, ids } => Part::Sampled { text: text.clone(), ids: ids.clone() },
                PartRecord::Image(name) => Part::Image(open(name)?),
            });
        }
        Ok(Message { role, parts })
    }
}

//! Samples as lines that trainers elsewhere read: TRL and verl.
//!
//! Invariants: a line for verl is one action, and a line for TRL is one turn of one, because TRL takes no pictures behind the
//! prompt. What the policy was shown and what it said stand in order, as the policy read them. A line has as many places for
//! pictures as pictures. What cannot be learned from is no line, and why is told. Nothing here touches a file.

use std::fmt;

use serde::Serialize;
use vigorl_policy::without_control_tokens;
use vigorl_tasks::sources::Part as OfSource;

use crate::sample::{ActionSample, MessageRecord, PartRecord, Sample, TurnSample};

/// Who reads the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trainer {
    /// TRL: prompt and completion as messages with typed parts; a line for each turn.
    Trl,
    /// verl: messages with placeholders for pictures; a line for each action.
    Verl,
}

/// What is exported, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Exporting<'a> {
    /// Who reads it.
    pub trainer: Trainer,
    /// The name of the run; with the numbers of group, sample, action and turn it names a line.
    pub run: &'a str,
    /// Samples of this part alone.
    pub part: OfSource,
    /// Samples that are worth this much at least.
    pub min_reward: Option<f64>,
}

/// Why an action is no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// It is of the other part.
    OtherPart,
    /// Nobody could tell what its episode is worth.
    NoReward,
    /// Its episode is worth too little.
    LowReward,
    /// Its tokens were not all sampled.
    NotTrainable,
    /// It has no turn.
    NothingSaid,
    /// A turn did not continue what was said in the turn before.
    Rewritten,
    /// A text spells verl's placeholder for a picture, a film or a sound.
    SpellsPlaceholder,
}

impl LeftOut {
    /// One word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OtherPart => "other_part",
            Self::NoReward => "no_reward",
            Self::LowReward => "low_reward",
            Self::NotTrainable => "not_trainable",
            Self::NothingSaid => "nothing_said",
            Self::Rewritten => "rewritten",
            Self::SpellsPlaceholder => "spells_placeholder",
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherPart => "are of the other part (--part)",
            Self::NoReward => "have no reward",
            Self::LowReward => "are worth too little (--min-reward)",
            Self::NotTrainable => "were not sampled freely",
            Self::NothingSaid => "have no turn",
            Self::Rewritten => "go on with other words than were said",
            Self::SpellsPlaceholder => "have a text that spells `<image>`, `<video>` or `<audio>`",
        })
    }
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exported {
    /// JSON, without the end of the line.
    Line(String),
    /// Nothing.
    LeftOut(LeftOut),
}

/// What becomes of each action of a sample, in order. Its lines have numbers from `first_line` on. `place` tells where a reader
/// of the lines finds a picture of this name.
///
/// # Errors
/// What `place` says.
pub fn export<E>(
    sample: &Sample,
    how: &Exporting<'_>,
    first_line: u64,
    place: &mut dyn FnMut(&str) -> Result<String, E>,
) -> Result<Vec<Exported>, E> {
    let (mut index, mut all) = (first_line, Vec::new());
    for number in 0..sample.actions.len() {
        let (reward, talk) = match chosen(sample, how, number) {
            Ok(chosen) => chosen,
            Err(why) => {
                all.push(Exported::LeftOut(why));
                continue;
            }
        };
        let facts = Facts::new(sample, how, number, reward);
        match how.trainer {
            Trainer::Trl => {
                for turn in 0..talk.turns.len() {
                    all.push(Exported::Line(json(&trl(&talk, turn, &facts, place)?)));
                    index += 1;
                }
            }
            Trainer::Verl => match verl(sample, &talk, facts, index, place)? {
                Some(line) => {
                    all.push(Exported::Line(json(&line)));
                    index += 1;
                }
                None => all.push(Exported::LeftOut(LeftOut::SpellsPlaceholder)),
            },
        }
    }
    Ok(all)
}

fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).expect("its keys are texts, and its numbers were read from JSON")
}

/// The reward and the conversation of an action, if it is a line.
fn chosen<'s>(sample: &'s Sample, how: &Exporting<'_>, number: usize) -> Result<(f64, Talk<'s>), LeftOut> {
    let action = &sample.actions[number];
    if sample.part != how.part {
        return Err(LeftOut::OtherPart);
    }
    let reward = sample.reward.ok_or(LeftOut::NoReward)?;
    if how.min_reward.is_some_and(|least| reward < least) {
        return Err(LeftOut::LowReward);
    }
    if !action.is_trainable {
        return Err(LeftOut::NotTrainable);
    }
    Ok((reward, Talk::new(action)?))
}

/// A conversation, parted by its turns.
struct Talk<'s> {
    turns: Vec<Spoke<'s>>,
}

/// One turn.
struct Spoke<'s> {
    /// What was shown since the turn before. It begins with what that turn said.
    shown: Vec<Said<'s>>,
    said: Said<'s>,
    recorded: &'s TurnSample,
}

/// A message; texts that follow each other are one.
struct Said<'s> {
    role: &'s str,
    parts: Vec<Shown<'s>>,
}

enum Shown<'s> {
    Text(String),
    /// By its name in the run.
    Picture(&'s str),
}

impl<'s> Talk<'s> {
    fn new(action: &'s ActionSample) -> Result<Self, LeftOut> {
        let (mut turns, mut before): (Vec<Spoke<'s>>, Option<&TurnSample>) = (Vec::new(), None);
        for turn in &action.turns {
            if let Some(before) = before {
                // The ids of the turn before stand where its words do: both must be the same.
                let (said, shown) = turn.messages.split_first().ok_or(LeftOut::Rewritten)?;
                let is_continued = said.role == ASSISTANT && words(said) == full_text(before);
                if !is_continued || shown.iter().any(|message| message.role == ASSISTANT) {
                    return Err(LeftOut::Rewritten);
                }
            }
            let text = Shown::Text(without_control_tokens(&full_text(turn)));
            turns.push(Spoke {
                shown: turn.messages.iter().map(Said::new).collect(),
                said: Said { role: ASSISTANT, parts: vec![text] },
                recorded: turn,
            });
            before = Some(turn);
        }
        if turns.is_empty() { Err(LeftOut::NothingSaid) } else { Ok(Self { turns }) }
    }
}

const ASSISTANT: &str = "assistant";

fn words(message: &MessageRecord) -> String {
    let texts = message.parts.iter().map(|part| match part {
        PartRecord::Text(text) | PartRecord::Sampled { text, .. } => &**text,
        PartRecord::Image(_) => "",
    });
    texts.collect()
}

/// What the turn said, with the prefix that it was made to begin with.
fn full_text(turn: &TurnSample) -> String {
    format!("{}{}", turn.forced_prefix.as_deref().unwrap_or_default(), turn.text)
}

impl<'s> Said<'s> {
    fn new(message: &'s MessageRecord) -> Self {
        let mut parts: Vec<Shown<'s>> = Vec::new();
        for part in &message.parts {
            match part {
                // The policy read them so, and a trainer's tokenizer must not read control tokens either.
                PartRecord::Text(text) | PartRecord::Sampled { text, .. } => {
                    let text = without_control_tokens(text);
                    match parts.last_mut() {
                        Some(Shown::Text(before)) => before.push_str(&text),
                        _ => parts.push(Shown::Text(text)),
                    }
                }
                PartRecord::Image(name) => parts.push(Shown::Picture(name)),
            }
        }
        Self { role: &message.role, parts }
    }
}

/// What a line says of an action besides its conversation.
#[derive(Clone, Serialize)]
struct Facts<'s> {
    run: &'s str,
    /// Of the training.
    step: u64,
    group: u64,
    sample: u64,
    action: usize,
    n_actions: usize,
    /// In the run directory.
    episode: Option<u64>,
    source: &'s str,
    /// A text: readers of JSON take numbers of 63 bits at most.
    seed: String,
    part: OfSource,
    goal: &'s str,
    /// Of the whole episode.
    reward: f64,
    policy: &'s str,
    weights_sha256: Option<&'s str>,
    preset: &'s str,
    temperature: f64,
    top_p: f64,
    n_turns: usize,
}

/// What a line says of a turn besides its words.
#[derive(Serialize)]
struct TurnFacts<'s> {
    n_prompt_tokens: usize,
    completion_ids: &'s [u32],
    old_logprobs: &'s [f32],
    /// Empty if nothing was forced: a column of nothing has no type.
    forced_prefix: &'s str,
    finish: &'s str,
}

impl<'s> TurnFacts<'s> {
    fn new(turn: &'s TurnSample) -> Self {
        Self {
            n_prompt_tokens: turn.n_prompt_tokens,
            completion_ids: &turn.ids,
            old_logprobs: &turn.logprobs,
            forced_prefix: turn.forced_prefix.as_deref().unwrap_or_default(),
            finish: &turn.finish,
        }
    }
}

impl<'s> Facts<'s> {
    fn new(sample: &'s Sample, how: &Exporting<'s>, number: usize, reward: f64) -> Self {
        let (key, said_by, turns) = (&sample.key, &sample.said_by, &sample.actions[number].turns);
        Self {
            run: how.run,
            step: key.step,
            group: sample.group,
            sample: key.sample,
            action: number,
            n_actions: sample.actions.len(),
            episode: sample.episode,
            source: &key.source,
            seed: key.seed.to_string(),
            part: sample.part,
            goal: &sample.goal,
            reward,
            policy: &said_by.policy,
            weights_sha256: said_by.weights_sha256.as_deref(),
            preset: &said_by.preset,
            temperature: sample.sampled_as.temperature,
            top_p: sample.sampled_as.top_p,
            n_turns: turns.len(),
        }
    }
}

/// A line for TRL.
#[derive(Serialize)]
struct TrlLine<'s> {
    prompt: Vec<TrlMessage<'s>>,
    completion: Vec<TrlMessage<'s>>,
    /// Of the prompt, in order.
    images: Vec<String>,
    #[serde(flatten)]
    facts: Facts<'s>,
    turn: usize,
    #[serde(flatten)]
    of_turn: TurnFacts<'s>,
}

#[derive(Serialize)]
struct TrlMessage<'s> {
    role: &'s str,
    content: Vec<TrlPart>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TrlPart {
    Image,
    Text { text: String },
}

/// The line of a turn by its number.
fn trl<'s, E>(
    talk: &Talk<'s>,
    number: usize,
    facts: &Facts<'s>,
    place: &mut dyn FnMut(&str) -> Result<String, E>,
) -> Result<TrlLine<'s>, E> {
    let (turn, mut images) = (&talk.turns[number], Vec::new());
    let shown = talk.turns[..=number].iter().flat_map(|turn| &turn.shown);
    let prompt = shown.map(|said| trl_message(said, &mut images, place)).collect::<Result<_, _>>()?;
    Ok(TrlLine {
        prompt,
        completion: vec![trl_message(&turn.said, &mut images, place)?],
        images,
        facts: facts.clone(),
        turn: number,
        of_turn: TurnFacts::new(turn.recorded),
    })
}

fn trl_message<'s, E>(
    said: &Said<'s>,
    images: &mut Vec<String>,
    place: &mut dyn FnMut(&str) -> Result<String, E>,
) -> Result<TrlMessage<'s>, E> {
    let mut content = Vec::new();
    for part in &said.parts {
        content.push(match part {
            Shown::Text(text) => TrlPart::Text { text: text.clone() },
            Shown::Picture(name) => {
                images.push(place(name)?);
                TrlPart::Image
            }
        });
    }
    Ok(TrlMessage { role: said.role, content })
}

/// A line for verl.
#[derive(Serialize)]
struct VerlLine<'s> {
    data_source: &'s str,
    prompt: Vec<VerlMessage<'s>>,
    /// Of the prompt alone: the data set for learning by rewards counts them.
    images: Vec<VerlImage>,
    ability: &'static str,
    reward_model: RewardModel<'s>,
    extra_info: ExtraInfo<'s>,
    /// The whole conversation.
    messages: Vec<VerlMessage<'s>>,
    message_images: Vec<VerlImage>,
}

#[derive(Clone, Serialize)]
struct VerlMessage<'s> {
    role: &'s str,
    content: String,
}

#[derive(Clone, Serialize)]
struct VerlImage {
    image: String,
}

#[derive(Serialize)]
struct RewardModel<'s> {
    style: &'static str,
    ground_truth: &'s str,
}

#[derive(Serialize)]
struct ExtraInfo<'s> {
    /// The number of the line, from 0.
    index: u64,
    #[serde(flatten)]
    facts: Facts<'s>,
    turns: Vec<TurnFacts<'s>>,
}

/// Placeholders of verl; the first one is for pictures.
const PLACEHOLDERS: [&str; 3] = ["<image>", "<video>", "<audio>"];

/// Nothing if a text spells a placeholder.
fn verl<'s, E>(
    sample: &'s Sample,
    talk: &Talk<'s>,
    facts: Facts<'s>,
    index: u64,
    place: &mut dyn FnMut(&str) -> Result<String, E>,
) -> Result<Option<VerlLine<'s>>, E> {
    let (mut messages, mut images) = (Vec::new(), Vec::new());
    let n_of_prompt = talk.turns.first().map_or(0, |first| first.shown.len());
    let mut n_images_of_prompt = 0;
    let last = talk.turns.last().map(|last| &last.said);
    for said in talk.turns.iter().flat_map(|turn| &turn.shown).chain(last) {
        let mut content = String::new();
        let mut n_pictures = 0;
        for part in &said.parts {
            match part {
                Shown::Text(text) => content.push_str(text),
                Shown::Picture(name) => {
                    content.push_str(PLACEHOLDERS[0]);
                    images.push(VerlImage { image: place(name)? });
                    n_pictures += 1;
                }
            }
        }
        // Of the whole message, because a placeholder can be spelled across two parts.
        let n_spelled: usize = PLACEHOLDERS.iter().map(|spelled| content.matches(spelled).count()).sum();
        if n_spelled != n_pictures {
            return Ok(None);
        }
        messages.push(VerlMessage { role: said.role, content });
        if messages.len() == n_of_prompt {
            n_images_of_prompt = images.len();
        }
    }
    Ok(Some(VerlLine {
        data_source: &sample.key.source,
        prompt: messages[..n_of_prompt].to_vec(),
        images: images[..n_images_of_prompt].to_vec(),
        ability: "gui",
        reward_model: RewardModel { style: "rule", ground_truth: &sample.goal },
        extra_info: ExtraInfo {
            index,
            facts,
            turns: talk.turns.iter().map(|turn| TurnFacts::new(turn.recorded)).collect(),
        },
        messages,
        message_images: images,
    }))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::{Value, json};

    use super::*;

    const HOW: Exporting<'_> =
        Exporting { trainer: Trainer::Trl, run: "a-run", part: OfSource::Train, min_reward: None };

    fn text(role: &str, text: &str) -> Value {
        json!({ "role": role, "parts": [{ "text": text }] })
    }

    fn asked(words: &str) -> Value {
        json!({ "role": "user", "parts": [{ "image": "images/a.png" }, { "text": words }] })
    }

    fn turn(messages: &[Value], text: &str) -> Value {
        json!({ "messages": messages, "seed": u64::MAX, "text": text, "ids": [7, 8], "logprobs": [-0.5, -0.25],
                "finish": "stop_string", "n_prompt_tokens": 62 })
    }

    fn action(turns: &[Value]) -> Value {
        json!({ "is_trainable": true, "answer": [3.0, 4.0], "malformed": null, "done": true, "turns": turns })
    }

    /// A zoom, its crop, and an answer.
    fn zooms() -> Value {
        let said =
            json!({ "role": "assistant", "parts": [{ "sampled": { "text": "look", "ids": [7, 8] } }] });
        let crop = json!({ "role": "user", "parts":
            [{ "text": "the crop:\n" }, { "image": "images/b.png" }, { "text": "</observation>" }] });
        action(&[turn(&[text("system", "be exact"), asked("\nSave")], "look"), turn(&[said, crop], "there")])
    }

    fn sample(actions: &[Value]) -> Sample {
        serde_json::from_value(json!({
            "format": 1, "run": 0, "step": 2, "source": "shop.yaml", "seed": u64::MAX, "sample": 5, "part": "train",
            "group": 3, "episode": 30, "goal": "Save", "first_screenshot": "images/a.png",
            "said_by": { "policy": "nano", "weights_sha256": null, "preset": "nano" },
            "sampled_as": { "temperature": 1.0, "top_p": 0.99 }, "ended": "judged", "success": true, "reward": 0.5,
            "verification": "satisfied", "clauses": [], "detail": null, "actions": actions,
            "millis": { "total": 1.0, "world": 1.0, "inference": 1.0 },
        }))
        .unwrap()
    }

    fn exported(sample: &Sample, how: &Exporting<'_>) -> Vec<Result<Value, LeftOut>> {
        let mut place = |name: &str| Ok::<_, Infallible>(format!("../{name}"));
        let Ok(all) = export(sample, how, 10, &mut place);
        let read = |one| match one {
            Exported::Line(line) => Ok(serde_json::from_str(&line).unwrap()),
            Exported::LeftOut(why) => Err(why),
        };
        all.into_iter().map(read).collect()
    }

    fn only(sample: &Sample, trainer: Trainer) -> Value {
        let mut all = exported(sample, &Exporting { trainer, ..HOW });
        assert_eq!(all.len(), 1);
        all.remove(0).unwrap()
    }

    #[test]
    fn a_single_turn_is_a_prompt_and_an_answer() {
        let one = sample(&[action(&[turn(&[asked("\nSave")], "there")])]);
        assert_eq!(
            only(&one, Trainer::Trl),
            json!({
                "prompt": [{ "role": "user", "content": [{ "type": "image" }, { "type": "text", "text": "\nSave" }] }],
                "completion": [{ "role": "assistant", "content": [{ "type": "text", "text": "there" }] }],
                "images": ["../images/a.png"], "run": "a-run", "step": 2, "group": 3, "sample": 5, "action": 0,
                "n_actions": 1, "episode": 30, "source": "shop.yaml", "seed": "18446744073709551615", "part": "train",
                "goal": "Save", "reward": 0.5, "policy": "nano", "weights_sha256": null, "preset": "nano",
                "temperature": 1.0, "top_p": 0.99, "n_turns": 1, "turn": 0, "n_prompt_tokens": 62,
                "completion_ids": [7, 8], "old_logprobs": [-0.5, -0.25], "forced_prefix": "", "finish": "stop_string",
            })
        );
        let verl = only(&one, Trainer::Verl);
        assert_eq!(verl["prompt"], json!([{ "role": "user", "content": "<image>\nSave" }]));
        assert_eq!(verl["images"], json!([{ "image": "../images/a.png" }]));
        assert_eq!(verl["data_source"], "shop.yaml");
        assert_eq!(verl["ability"], "gui");
        assert_eq!(verl["reward_model"], json!({ "style": "rule", "ground_truth": "Save" }));
        assert_eq!(verl["extra_info"]["index"], 10);
        assert_eq!(verl["extra_info"]["reward"], 0.5);
        assert_eq!(verl["extra_info"]["turns"][0]["old_logprobs"], json!([-0.5, -0.25]));
    }

    #[test]
    fn a_crop_stands_before_the_turn_that_saw_it() {
        let one = sample(&[zooms()]);
        let turns: Vec<Value> = exported(&one, &HOW).into_iter().map(Result::unwrap).collect();
        let roles = |of: &Value| -> Vec<Value> {
            of.as_array().unwrap().iter().map(|message| message["role"].clone()).collect()
        };
        assert_eq!(turns.len(), 2);
        assert_eq!(roles(&turns[0]["prompt"]), ["system", "user"]);
        assert_eq!(turns[0]["images"], json!(["../images/a.png"]));
        assert_eq!(roles(&turns[1]["prompt"]), ["system", "user", "assistant", "user"]);
        assert_eq!(turns[1]["prompt"][2], turns[0]["completion"][0], "what was said is continued");
        assert_eq!(
            turns[1]["prompt"][3]["content"],
            json!([{ "type": "text", "text": "the crop:\n" }, { "type": "image" },
                   { "type": "text", "text": "</observation>" }])
        );
        assert_eq!(turns[1]["images"], json!(["../images/a.png", "../images/b.png"]));
        assert_eq!(turns[1]["completion"][0]["content"], json!([{ "type": "text", "text": "there" }]));
        assert_eq!([&turns[0]["turn"], &turns[1]["turn"], &turns[1]["n_turns"]], [0, 1, 2]);
    }

    #[test]
    fn a_conversation_is_whole_and_its_crop_is_no_picture_of_the_prompt() {
        let one = sample(&[zooms()]);
        let verl = only(&one, Trainer::Verl);
        assert_eq!(verl["images"], json!([{ "image": "../images/a.png" }]));
        assert_eq!(
            verl["messages"],
            json!([
                { "role": "system", "content": "be exact" },
                { "role": "user", "content": "<image>\nSave" },
                { "role": "assistant", "content": "look" },
                { "role": "user", "content": "the crop:\n<image></observation>" },
                { "role": "assistant", "content": "there" },
            ])
        );
        assert_eq!(verl["prompt"].as_array().unwrap()[..], verl["messages"].as_array().unwrap()[..2]);
        assert_eq!(verl["message_images"].as_array().unwrap().len(), 2);
        assert_eq!(verl["extra_info"]["turns"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn each_action_is_a_line_with_the_reward_of_its_episode_and_what_cannot_be_learned_from_is_none() {
        let mut held_to_a_form = zooms();
        held_to_a_form["is_trainable"] = json!(false);
        let several = sample(&[zooms(), held_to_a_form, action(&[]), zooms()]);
        let all = exported(&several, &Exporting { trainer: Trainer::Verl, ..HOW });
        assert_eq!(all[1], Err(LeftOut::NotTrainable));
        assert_eq!(all[2], Err(LeftOut::NothingSaid));
        for (line, (action, index)) in [&all[0], &all[3]].into_iter().zip([(0, 10), (3, 11)]) {
            let facts = &line.as_ref().unwrap()["extra_info"];
            let names = ["action", "index", "n_actions", "group", "sample", "reward"];
            let expected = [json!(action), json!(index), json!(4), json!(3), json!(5), json!(0.5)];
            assert_eq!(names.map(|name| facts[name].clone()), expected);
        }
    }

    #[test]
    fn without_a_reward_with_too_little_and_of_the_other_part_there_is_no_line() {
        let no_reward = Sample { reward: None, ..sample(&[zooms(), zooms()]) };
        assert_eq!(exported(&no_reward, &HOW), [Err(LeftOut::NoReward), Err(LeftOut::NoReward)]);
        let half = sample(&[zooms()]);
        let at_least = |least| exported(&half, &Exporting { min_reward: Some(least), ..HOW });
        assert_eq!(at_least(0.6), [Err(LeftOut::LowReward)]);
        assert!(at_least(0.5)[0].is_ok());
        let held_out = Sample { part: OfSource::HeldOut, ..half };
        assert_eq!(exported(&held_out, &HOW), [Err(LeftOut::OtherPart)]);
    }

    #[test]
    fn a_forced_prefix_is_said_and_told() {
        let mut forced = turn(&[asked("\nSave")], " (3, 4) </answer>");
        forced["forced_prefix"] = json!("<answer>");
        let line = only(&sample(&[action(&[forced])]), Trainer::Trl);
        assert_eq!(line["completion"][0]["content"][0]["text"], "<answer> (3, 4) </answer>");
        assert_eq!(line["forced_prefix"], "<answer>");
        assert_eq!(line["completion_ids"], json!([7, 8]));
    }

    #[test]
    fn words_that_were_rewritten_are_no_line() {
        let other = turn(&[text("assistant", "something else"), asked("\nSave")], "there");
        let nothing_new = turn(&[], "there");
        let twice = turn(&[text("assistant", "look"), text("assistant", "look")], "there");
        for later in [other, nothing_new, twice] {
            let one = sample(&[action(&[turn(&[asked("\nSave")], "look"), later])]);
            assert_eq!(exported(&one, &HOW), [Err(LeftOut::Rewritten)]);
        }
    }

    #[test]
    fn every_text_arrives_and_none_is_a_control_token() {
        let words = "\n\"é\u{2028}\u{1f9a6}\\ \t\0 <|not one|> <|im_end|> <|image_pad|>";
        let read = "\n\"é\u{2028}\u{1f9a6}\\ \t\0 <|not one|> <| im_end|> <| image_pad|>";
        let one = sample(&[action(&[turn(&[asked(words)], words)])]);
        let trl = only(&one, Trainer::Trl);
        assert_eq!(trl["prompt"][0]["content"][1]["text"], read);
        assert_eq!(trl["completion"][0]["content"][0]["text"], read);
        let verl = only(&one, Trainer::Verl);
        assert_eq!(verl["messages"][0]["content"], format!("<image>{read}"));
        assert_eq!(verl["messages"][1]["content"], read);
    }

    #[test]
    fn a_line_is_one_line() {
        let one = sample(&[action(&[turn(&[asked("a\nb\r\nc")], "d\n")])]);
        let Ok(all) = export(&one, &HOW, 0, &mut |name| Ok::<_, Infallible>(name.to_owned()));
        let [Exported::Line(line)] = &all[..] else { panic!("{all:?}") };
        assert!(!line.contains(['\n', '\r']), "{line}");
    }

    #[test]
    fn a_text_that_spells_a_placeholder_is_a_line_for_trl_alone() {
        for words in ["\nthe <image> button", "\nthe <video>", "\nthe <audio>"] {
            let one = sample(&[action(&[turn(&[asked(words)], "there")])]);
            assert_eq!(only(&one, Trainer::Trl)["prompt"][0]["content"][1]["text"], words);
            let all = exported(&one, &Exporting { trainer: Trainer::Verl, ..HOW });
            assert_eq!(all, [Err(LeftOut::SpellsPlaceholder)]);
        }
    }

    #[test]
    fn a_picture_that_is_nowhere_is_an_error() {
        for trainer in [Trainer::Trl, Trainer::Verl] {
            let how = Exporting { trainer, ..HOW };
            let error = export(&sample(&[zooms()]), &how, 0, &mut |name| Err(format!("no {name}")));
            assert_eq!(error, Err("no images/a.png".to_owned()));
        }
    }
}

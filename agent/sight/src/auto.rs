//! The mixture: the reader where a text is named, the policy for everything else.
//!
//! A policy that learned from reward what is right where it is used is asked first, and what it is sure of is the answer.
//! Otherwise a sure reading is. Otherwise the policy looks, and what it answers must not contradict the reader: where an
//! instruction names a text, a point on another text is no answer, and a text in quotes that is written nowhere is absent.
//! Where readings are not sure, the policy may be shown what is around them first, and the whole only if that leads nowhere.
//! A picture that one half cannot look at is the other half's; only where neither can, that is an error.

use vigorl_agent::{Ask, Eyes, Finding, PolicyEyes, Sighting};
use vigorl_policy::{GroundObserver, PolicyError};
use vigorl_reader::{Kind, Query, ReaderError};

use crate::SharedReader;
use crate::reader::{Seen, broken_off, look};
use crate::thoughts::{is_read, look_at, remark};

/// Reader and policy.
#[derive(Debug)]
pub struct AutoEyes<'a> {
    /// Who reads.
    pub reader: SharedReader,
    /// Who looks where nothing can be read.
    pub policy: PolicyEyes<'a>,
    /// From which confidence on a reading is the answer.
    pub min_confidence: f64,
    /// Whether the policy is shown first what is around the readings that are not sure.
    pub suggests_regions: bool,
    name: String,
}

impl<'a> AutoEyes<'a> {
    /// Puts both together.
    pub fn new(reader: SharedReader, policy: PolicyEyes<'a>, min_confidence: f64) -> Self {
        let name = format!("auto({})", policy.name());
        Self { reader, policy, min_confidence, suggests_regions: false, name }
    }

    /// The same eyes, whose policy looks first at what is around readings that are not sure.
    #[must_use]
    pub fn suggesting_regions(self, suggests_regions: bool) -> Self {
        Self { suggests_regions, ..self }
    }
}

impl Eyes for AutoEyes<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn find(&mut self, ask: &Ask<'_>, observer: &mut dyn GroundObserver) -> Result<Sighting, PolicyError> {
        // A closer look is the policy's, if it was the policy's answer.
        let mut in_vain = ask.in_vain.clone();
        if let Some(answered) = &mut in_vain {
            answered.turns.retain(|turn| !is_read(turn));
            if !answered.turns.is_empty() {
                return self.policy.find(&Ask { in_vain, ..*ask }, observer);
            }
        }
        let is_repeated = in_vain.is_some();
        // Nobody is asked the same twice.
        let mut first = None;
        if self.policy.learned_from_reward && !is_repeated && ask.nth == 0 {
            match self.policy.find(ask, observer) {
                Ok(said) if self.is_known(&said) => return Ok(said),
                Err(error) if !error.is_of_image() => return Err(error),
                said => first = Some(said),
            }
        }
        let seen = match look(&self.reader, &ask.screenshot.pixels, &ask.target.description) {
            Ok(seen) => seen,
            Err(error @ ReaderError::TooLarge { .. }) => return self.unread(ask, first, error, observer),
            Err(ReaderError::Stopped) => return Ok(broken_off()),
            Err(error) => return Err(PolicyError::Beside(error.into())),
        };
        let mut read = seen.sighting().held_to(self.min_confidence);
        read.grounding.turns.iter().for_each(|turn| observer.turn_ended(turn));
        if let Some(Ok(said)) = &mut first {
            let said = std::mem::take(&mut said.grounding.turns);
            read.grounding.turns.splice(0..0, said);
        }
        if is_repeated || (ask.nth == 0 && is_settled(&seen, &read)) {
            return Ok(read);
        }
        // What was read, and what was looked at for it, belongs to the way to the answer.
        let mut turns = read.grounding.turns.clone();
        let in_part = self.look_in_part(ask, &seen, observer)?;
        let is_answer = in_part.as_ref().is_some_and(|said| self.is_usable(&seen, said));
        let mut said = match in_part {
            Some(said) if is_answer || said.grounding.cancelled => said,
            in_part => {
                turns.extend(in_part.into_iter().flat_map(|said| said.grounding.turns));
                match first.unwrap_or_else(|| self.policy.find(ask, observer)) {
                    Err(error) if error.is_of_image() => return Ok(not_shown(read, &error, observer)),
                    said => said?,
                }
            }
        };
        turns.append(&mut said.grounding.turns);
        if said.candidates.is_empty() {
            said.candidates.clone_from(&read.candidates);
        }
        let mut decided = decide(&seen, read, said, self.min_confidence);
        decided.grounding.turns = turns;
        Ok(decided)
    }

    fn may_differ(&self) -> bool {
        true
    }
}

impl AutoEyes<'_> {
    /// What the policy says where it is shown only what is around the readings; nothing if there is no such part.
    fn look_in_part(
        &mut self,
        ask: &Ask<'_>,
        seen: &Seen,
        observer: &mut dyn GroundObserver,
    ) -> Result<Option<Sighting>, PolicyError> {
        let is_asked = self.suggests_regions && ask.nth == 0;
        let part = is_asked.then(|| seen.wanted(|rect| self.policy.region(ask, rect))).flatten();
        let Some(part) = part else { return Ok(None) };
        let turn = look_at(&ask.screenshot.pixels, part);
        observer.turn_ended(&turn);
        let mut said = self.policy.find_in(ask, part, observer)?;
        said.grounding.turns.insert(0, turn);
        Ok(Some(said))
    }

    /// Whether the policy learned what it says, and is sure of it.
    fn is_known(&self, said: &Sighting) -> bool {
        let is_sure = || matches!(said.clone().held_to(self.min_confidence).finding, Finding::Found(_));
        said.grounding.cancelled || (said.is_learned && is_sure())
    }

    /// Whether an answer on a part of the screen needs no look at the whole.
    fn is_usable(&self, seen: &Seen, said: &Sighting) -> bool {
        let held = said.clone().held_to(self.min_confidence);
        matches!(held.finding, Finding::Found(at) if seen.contradiction(at).is_none())
    }

    /// What the policy says alone, where the reader cannot look.
    fn unread(
        &mut self,
        ask: &Ask<'_>,
        first: Option<Result<Sighting, PolicyError>>,
        reader: ReaderError,
        observer: &mut dyn GroundObserver,
    ) -> Result<Sighting, PolicyError> {
        let turn = remark(format!("I cannot read here: {reader}."));
        observer.turn_ended(&turn);
        let said = first.unwrap_or_else(|| self.policy.find(ask, observer));
        let mut said = said.map_err(|policy| match policy.is_of_image() {
            true => PolicyError::Beside(NobodyLooks { reader, policy }.into()),
            false => policy,
        })?;
        said.grounding.turns.insert(0, turn);
        Ok(said)
    }
}

/// Neither half can look at a picture.
#[derive(Debug, thiserror::Error)]
#[error("the reader: {reader}; the policy: {policy}")]
struct NobodyLooks {
    reader: ReaderError,
    policy: PolicyError,
}

/// What was read, where the policy cannot be shown the picture.
fn not_shown(mut read: Sighting, why: &PolicyError, observer: &mut dyn GroundObserver) -> Sighting {
    let turn = remark(format!("The policy was not asked: {why}."));
    observer.turn_ended(&turn);
    read.grounding.turns.push(turn);
    match &mut read.finding {
        Finding::Found(_) => {}
        Finding::Absent(reason)
        | Finding::Ambiguous(reason)
        | Finding::Unsure(_, reason)
        | Finding::Malformed(reason) => *reason = format!("{reason}; the policy was not asked: {why}"),
    }
    read
}

/// Whether the reader alone can tell.
fn is_settled(seen: &Seen, read: &Sighting) -> bool {
    match read.finding {
        Finding::Found(_) => true,
        Finding::Absent(_) => names_text(&seen.findings.query),
        Finding::Ambiguous(_) | Finding::Unsure(..) | Finding::Malformed(_) => false,
    }
}

/// Whether the instruction says for sure what is written on what is meant.
fn names_text(query: &Query) -> bool {
    query.is_quoted && !matches!(query.kind, Some(Kind::Icon | Kind::Image))
}

/// Whose answer holds where the reader was not sure: the policy's, unless what is read contradicts it, or the reader is the
/// surer one.
fn decide(seen: &Seen, read: Sighting, mut said: Sighting, min_confidence: f64) -> Sighting {
    let Finding::Found(at) = said.finding else {
        // What the policy cannot say is not said instead of what was read.
        return read;
    };
    if let Some(reason) = seen.contradiction(at) {
        if !matches!(read.finding, Finding::Absent(_)) {
            return read;
        }
        said.finding = Finding::Unsure(at, reason);
        return said;
    }
    let Finding::Unsure(_, how_sure) = said.clone().held_to(min_confidence).finding else { return said };
    let sure = |sighting: &Sighting| sighting.confidence.as_ref().map_or(0.0, |confidence| confidence.value);
    match &read.finding {
        Finding::Ambiguous(_) => read,
        Finding::Unsure(..) if sure(&read) >= sure(&said) => read,
        Finding::Absent(reason) => {
            let finding = Finding::Unsure(at, format!("{reason}; the policy's point has {how_sure}"));
            Sighting { finding, ..said }
        }
        _ => said,
    }
}

//! The mixture: the reader where a text is named, the policy for everything else.
//!
//! A sure reading is the answer. Otherwise the policy looks, and what it answers must not contradict the reader: where an
//! instruction names a text, a point on another text is no answer, and a text in quotes that is written nowhere is absent.

use vigorl_agent::{Ask, Eyes, Finding, PolicyEyes, Sighting};
use vigorl_policy::{GroundObserver, PolicyError};
use vigorl_reader::{Kind, Query};

use crate::SharedReader;
use crate::reader::{Seen, look};
use crate::thoughts::is_read;

/// Reader and policy.
#[derive(Debug)]
pub struct AutoEyes<'a> {
    /// Who reads.
    pub reader: SharedReader,
    /// Who looks where nothing can be read.
    pub policy: PolicyEyes<'a>,
    /// From which confidence on a reading is the answer.
    pub min_confidence: f64,
    name: String,
}

impl<'a> AutoEyes<'a> {
    /// Puts both together.
    pub fn new(reader: SharedReader, policy: PolicyEyes<'a>, min_confidence: f64) -> Self {
        let name = format!("auto({})", policy.name());
        Self { reader, policy, min_confidence, name }
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
        let seen = look(&self.reader, &ask.screenshot.pixels, &ask.target.description)?;
        let read = seen.sighting().held_to(self.min_confidence);
        read.grounding.turns.iter().for_each(|turn| observer.turn_ended(turn));
        if is_repeated || (ask.nth == 0 && is_settled(&seen, &read)) {
            return Ok(read);
        }
        let mut said = self.policy.find(ask, observer)?;
        // What was read belongs to the way to the answer.
        let turns = std::mem::take(&mut said.grounding.turns);
        let turns = read.grounding.turns.iter().cloned().chain(turns).collect();
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
        return if matches!(read.finding, Finding::Absent(_)) { said } else { read };
    };
    if let Some(reason) = seen.contradiction(at) {
        if !matches!(read.finding, Finding::Absent(_)) {
            return read;
        }
        said.finding = Finding::Unsure(at, reason);
        return said;
    }
    let sure = |sighting: &Sighting| sighting.confidence.as_ref().map_or(0.0, |confidence| confidence.value);
    let is_surer = matches!(read.finding, Finding::Unsure(..)) && sure(&read) >= sure(&said);
    if is_surer && sure(&said) < min_confidence { read } else { said }
}

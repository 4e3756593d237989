//! Eyes that only read.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use image::RgbImage;
use vigorl_agent::{Ask, Candidate, Confidence, ConfidenceMap, Eyes, Finding, Sighting};
use vigorl_geometry::{Point, Rect, Screen, Size};
use vigorl_policy::{GroundObserver, Grounding, PolicyError};
use vigorl_reader::{Findings, ReaderError, Reading, contradiction, find, may_name_a_sign};

use crate::SharedReader;
use crate::thoughts::grounding;

/// What the reader is called where it decided.
pub const READER: &str = "reader";

/// What belongs to a name, such as a field, a checkbox or an icon, begins within so many heights of its line.
const AROUND: f64 = 2.0;

/// What the reader's confidences mean: those of the models that are in use.
static MAPS: LazyLock<Vec<ConfidenceMap>> = LazyLock::new(|| {
    let all: Vec<ConfidenceMap> =
        serde_json::from_str(include_str!("../confidence.json")).unwrap_or_default();
    all.into_iter().filter(|map| map.weights_sha256 == vigorl_reader::sha256()).collect()
});

/// Reads, and finds what an instruction names.
#[derive(Debug)]
pub struct ReaderEyes(pub SharedReader);

/// What the reader saw of an instruction.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What was found, with all candidates.
    pub findings: Findings,
    /// How sure the best one is; nothing if there is none.
    pub confidence: Option<Confidence>,
    /// What was read.
    pub reading: Arc<Reading>,
    /// On what.
    pub image: Arc<RgbImage>,
    /// How long it took.
    pub took: Duration,
    /// Whether what was read is quoted.
    pub(crate) tells: bool,
}

/// Reads a picture and finds what an instruction names.
///
/// # Errors
/// As [`vigorl_reader::Reader::read`].
pub fn look(reader: &SharedReader, image: &Arc<RgbImage>, instruction: &str) -> Result<Seen, ReaderError> {
    let clock = Instant::now();
    let mut reading = reader.lock().read(image)?;
    let mut findings = find(&reading, image, instruction);
    if findings.best().is_none() && reader.lock().is_pieced() {
        reading = reader.lock().read_anew(image)?;
        findings = find(&reading, image, instruction);
    }
    if !findings.is_read() && may_name_a_sign(instruction) {
        reading = reader.lock().read_with_signs(image)?;
        findings = find(&reading, image, instruction);
    }
    let size = Size::of_pixels(image.width(), image.height());
    let confidence = findings.features().map(|features| {
        let raw = 1.0 / (findings.n_best.max(1) as f64 + features["cost"]);
        Confidence::new(MAPS.iter(), size, features, raw)
    });
    let (image, took, tells) = (Arc::clone(image), clock.elapsed(), reader.tells);
    Ok(Seen { findings, confidence, reading, image, took, tells })
}

impl Seen {
    /// Why a point cannot be what the instruction names; nothing if it can.
    pub fn contradiction(&self, at: Point<Screen>) -> Option<String> {
        let reason = contradiction(&self.reading, &self.image, &self.findings, at)?;
        let name = &self.findings.query.name;
        Some(if self.tells { reason } else { format!("what is read at the point is not `{name}`") })
    }

    /// The part of the screenshot, as `plan` plans it, that has the best candidates in it and what may belong to them: as
    /// many of them, from the best on, as it takes.
    pub(crate) fn wanted<T>(&self, plan: impl Fn(Rect<Screen>) -> Option<T>) -> Option<T> {
        let (mut part, mut around) = (None, None);
        for candidate in &self.findings.candidates {
            let margin = AROUND * candidate.name.height();
            let own = candidate.name.with(candidate.rect).grown(margin, margin);
            let all = around.map_or(own, |around: Rect<Screen>| around.with(own));
            let Some(planned) = plan(all) else { break };
            (part, around) = (Some(planned), Some(all));
        }
        part
    }

    /// As an answer to an agent.
    pub fn sighting(&self) -> Sighting {
        let Self { findings, confidence, .. } = self;
        let name = &findings.query.name;
        let finding = match (findings.best(), findings.candidates.as_slice()) {
            (Some(best), _) => Finding::Found(best.at()),
            (None, []) => Finding::Absent(format!("`{name}` is written nowhere here")),
            (None, all) => Finding::Ambiguous(match findings.n_best {
                0 => format!("`{name}` stands here, but not so often: {}", places(all)),
                n => format!("`{name}` stands in {n} places alike: {}", places(&all[..n])),
            }),
        };
        let candidates = findings.candidates.iter().map(|candidate| Candidate {
            at: candidate.at(),
            why: match self.tells {
                true => format!("`{}`: {}", candidate.shown, candidate.why),
                false => candidate.why.clone(),
            },
            confidence: None,
        });
        let answer = match finding {
            Finding::Found(at) => Some(at),
            _ => None,
        };
        Sighting {
            candidates: candidates.collect(),
            confidence: confidence.clone(),
            decided_by: READER.to_owned(),
            is_learned: false,
            grounding: grounding(self, answer, confidence.as_ref().map(|sure| sure.value)),
            finding,
        }
    }
}

/// Places that are told at most.
const TOLD: usize = 4;

fn places(candidates: &[vigorl_reader::Candidate]) -> String {
    let places = candidates.iter().take(TOLD).map(|candidate| {
        let at = candidate.at();
        format!("({:.0}, {:.0})", at.x, at.y)
    });
    let more = candidates.len().saturating_sub(TOLD);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", places.collect::<Vec<_>>().join(", "))
}

impl Eyes for ReaderEyes {
    fn name(&self) -> &str {
        READER
    }

    fn find(&mut self, ask: &Ask<'_>, observer: &mut dyn GroundObserver) -> Result<Sighting, PolicyError> {
        let seen = match look(&self.0, &ask.screenshot.pixels, &ask.target.description) {
            Err(ReaderError::Stopped) => return Ok(broken_off()),
            seen => seen.map_err(|error| PolicyError::Beside(error.into()))?,
        };
        let sighting = seen.sighting();
        sighting.grounding.turns.iter().for_each(|turn| observer.turn_ended(turn));
        Ok(sighting)
    }
}

/// What is said where the reading was broken off.
pub(crate) fn broken_off() -> Sighting {
    Sighting {
        finding: Finding::Malformed("the reading was broken off".to_owned()),
        confidence: None,
        candidates: Vec::new(),
        decided_by: READER.to_owned(),
        is_learned: false,
        grounding: Grounding { cancelled: true, ..Grounding::known(None) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_map_for_the_models_that_are_in_use() {
        let domains: Vec<&str> = MAPS.iter().map(|map| map.domain.as_str()).collect();
        assert_eq!(domains, ["screens"], "`vigorl eval pages --fit-confidence` fits one");
    }
}

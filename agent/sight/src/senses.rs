//! What a screenshot shows, for clauses, targets and variables where no page can be asked.
//!
//! Invariants: what is not read for sure is unknown; what the run typed itself proves nothing unless a clause says so; a
//! text is gone only from a place where it was read in the same episode.

use std::collections::VecDeque;
use std::sync::Arc;

use regex::Regex;
use vigorl_geometry::{Point, Rect, Screen, Size};
use vigorl_interface::Screenshot;
use vigorl_reader::{
    Asked, Certainty, Fate, ReaderError, Reading, Side, Standing, Wanted, Wording, place_of_text,
};
use vigorl_tasks::scripted::{Check, ScreenSource, TextClause, TextPlace};
use vigorl_tasks::{Failure, Senses, Verification};

use crate::SharedReader;
use crate::reader::look;

/// What is said where nothing that was read is quoted.
const NOT_SURE: &str = "what is read there does not tell for sure";
const NO_ONE_PLACE: &str = "what is read does not tell for sure which one is meant, or whether it is there";

/// Screenshots that are kept of an episode, the latest ones: where a text stood is looked up there.
const KEPT: usize = 8;

/// The reader, as a sense.
pub struct ReaderSenses {
    reader: SharedReader,
    /// Reads what was seen before, so that the memory of the present screen stays.
    of_past: SharedReader,
    /// From the earliest to the latest, read when they are needed.
    past: VecDeque<Past>,
    /// All that was typed, as it is compared.
    typed: String,
}

/// A screenshot of this episode.
struct Past {
    screenshot: Screenshot,
    reading: Option<Arc<Reading>>,
}

/// Where a text stood.
struct Former {
    size: Size<Screen>,
    places: Vec<Rect<Screen>>,
}

impl std::fmt::Debug for ReaderSenses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What was typed may be a secret.
        f.debug_struct("ReaderSenses").field("n_past", &self.past.len()).finish_non_exhaustive()
    }
}

impl ReaderSenses {
    /// Senses that read with this reader.
    pub fn new(reader: SharedReader) -> Self {
        let of_past = reader.beside();
        Self { reader, of_past, past: VecDeque::new(), typed: String::new() }
    }

    fn read(&self, screenshot: &Screenshot) -> Result<Readable<Arc<Reading>>, Failure> {
        readable(self.reader.lock().read(&screenshot.pixels))
    }

    /// The same, without what is known of the picture before.
    fn read_anew(&self, screenshot: &Screenshot) -> Result<Readable<Arc<Reading>>, Failure> {
        readable(self.reader.lock().read_anew(&screenshot.pixels))
    }

    /// Whether the run may have typed what is looked for.
    fn may_be_typed(&self, text: &str) -> bool {
        self.typed.contains(&comparable(text))
    }

    /// Where a text stood for sure, the last time that it did. Nothing if it was not seen.
    fn former_places(&mut self, text: &str) -> Result<Option<Former>, Failure> {
        let mut reader = self.of_past.lock();
        for past in self.past.iter_mut().rev() {
            let image = &past.screenshot.pixels;
            let reading = match &past.reading {
                Some(reading) => Arc::clone(reading),
                None => match readable(reader.read(image))? {
                    Ok(reading) => Arc::clone(past.reading.insert(reading)),
                    Err(_) => continue,
                },
            };
            let Ok(places) = readable(reader.standing(image, &reading, text))? else { continue };
            let places: Vec<_> = places
                .iter()
                .filter(|place| place.certainty == Certainty::Sure)
                .map(|place| place.rect)
                .collect();
            if !places.is_empty() {
                return Ok(Some(Former { size: past.screenshot.size(), places }));
            }
        }
        Ok(None)
    }
}

/// What was read, or why this picture is not read.
type Readable<T> = Result<T, String>;

/// A picture that is too large to be read is unknown, and so is one whose reading was broken off: neither is a failure.
fn readable<T>(read: Result<T, ReaderError>) -> Result<Readable<T>, Failure> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(error @ (ReaderError::TooLarge { .. } | ReaderError::Stopped)) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Without white space and letter case: a field may show what was typed otherwise.
fn comparable(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

impl Senses for ReaderSenses {
    fn begin(&mut self) {
        self.past.clear();
        self.typed.clear();
    }

    fn saw(&mut self, screenshot: &Screenshot) {
        let is_same = |past: &Past| {
            Arc::ptr_eq(&past.screenshot.pixels, &screenshot.pixels)
                || past.screenshot.pixels == screenshot.pixels
        };
        if self.past.back().is_some_and(is_same) {
            return;
        }
        if self.past.len() == KEPT {
            self.past.pop_front();
        }
        self.past.push_back(Past { screenshot: screenshot.clone(), reading: None });
    }

    fn typed(&mut self, text: &str) {
        self.typed.push_str(&comparable(text));
    }

    fn shows_text(&mut self, screenshot: &Screenshot, clause: &TextClause) -> Result<Check, Failure> {
        let reading = match self.read(screenshot)? {
            Ok(reading) => reading,
            Err(why) => return Ok(Check::unknown(why)),
        };
        let found = readable(self.reader.lock().standing(&screenshot.pixels, &reading, &clause.text))?;
        let found = match found {
            Ok(found) => found,
            Err(why) => return Ok(Check::unknown(why)),
        };
        let mut check = shown(&found, &clause.text);
        if check.holds != Verification::Satisfied {
            check.why = check.why.map(|why| self.reader.told(why, NOT_SURE));
            return Ok(check);
        }
        // Where it stands now is where it may be gone from later.
        self.saw(screenshot);
        if !clause.typed && self.may_be_typed(&clause.text) {
            return Ok(Check::unknown(
                "it stands there, but the run typed that itself; `typed: true` counts it all the same",
            ));
        }
        Ok(check)
    }

    fn text_is_gone(&mut self, captures: [&Screenshot; 2], clause: &TextClause) -> Result<Check, Failure> {
        let text = &clause.text;
        let Some(former) = self.former_places(text)? else {
            return Ok(Check::unknown(format!(
                "it was not read on the last {} screenshots of this episode, so nobody knows where it would be gone from",
                self.past.len()
            )));
        };
        for capture in captures {
            if capture.size() != former.size {
                return Ok(Check::unknown("the screen has another size than when it was read"));
            }
            let reading = match self.read(capture)? {
                Ok(reading) => reading,
                Err(why) => return Ok(Check::unknown(why)),
            };
            let fate = readable(self.reader.lock().fate(&capture.pixels, &reading, text, &former.places))?;
            match fate.unwrap_or_else(Fate::Unknown) {
                Fate::Gone => {}
                Fate::Stands(_) => return Ok(Check { holds: Verification::Unsatisfied, why: None }),
                Fate::Unknown(why) => return Ok(Check::unknown(self.reader.told(why, NOT_SURE))),
            }
        }
        Ok(Check { holds: Verification::Satisfied, why: None })
    }

    fn place_of(
        &mut self,
        screenshot: &Screenshot,
        place: &TextPlace,
    ) -> Result<Result<Rect<Screen>, String>, Failure> {
        let pattern = place.matches.as_deref().map(Regex::new).transpose()?;
        let text = match (&place.text, &pattern) {
            (Some(text), _) if place.exact => Wording::Exact(text),
            (Some(text), _) => Wording::Folded(text),
            (None, Some(pattern)) => Wording::Pattern(pattern),
            (None, None) => return Ok(Err("the place names no text".to_owned())),
        };
        let asked = Asked { text, within: place.within.as_deref(), nth: place.nth.map(usize::from) };
        let place = |reading: Arc<Reading>| place_of_text(&reading, &screenshot.pixels, &asked);
        let mut found = self.read(screenshot)?.and_then(place);
        if found.is_err() && self.reader.lock().is_pieced() {
            found = self.read_anew(screenshot)?.and_then(place);
        }
        Ok(found.map_err(|why| self.reader.told(why, NO_ONE_PLACE)))
    }

    fn read_text(
        &mut self,
        screenshot: &Screenshot,
        source: &ScreenSource,
    ) -> Result<Result<String, String>, Failure> {
        let pattern = source.matches.as_deref().map(Regex::new).transpose()?;
        let label = match (&source.beside, &source.below) {
            (Some(label), _) => Some((Side::Beside, label.as_str())),
            (None, Some(label)) => Some((Side::Below, label.as_str())),
            (None, None) => None,
        };
        let reading = match self.read(screenshot)? {
            Ok(reading) => reading,
            Err(why) => return Ok(Err(why)),
        };
        let wanted = Wanted { label, pattern: pattern.as_ref() };
        let value = readable(self.reader.lock().value(&screenshot.pixels, &reading, &wanted))?;
        Ok(value.flatten().map_err(|why| self.reader.told(why, NO_ONE_PLACE)))
    }

    fn contradicts(
        &mut self,
        screenshot: &Screenshot,
        instruction: &str,
        at: Point<Screen>,
    ) -> Result<Option<String>, Failure> {
        // What nobody can read contradicts nothing.
        let seen = readable(look(&self.reader, &screenshot.pixels, instruction))?;
        Ok(seen.ok().and_then(|seen| seen.contradiction(at)))
    }
}

/// Whether a text stands in one of these places. What stands there only perhaps is unknown.
fn shown(found: &[Standing], text: &str) -> Check {
    if found.iter().any(|place| place.certainty == Certainty::Sure) {
        return Check { holds: Verification::Satisfied, why: None };
    }
    let doubt = found.iter().find_map(|place| match &place.certainty {
        Certainty::Doubtful(why) => Some((place.rect.center(), why)),
        Certainty::Sure | Certainty::Inside => None,
    });
    match doubt {
        Some((at, why)) => Check::unknown(format!("`{text}` may stand at ({:.0}, {:.0}): {why}", at.x, at.y)),
        None => Check { holds: Verification::Unsatisfied, why: None },
    }
}

//! What a run says of its steps: for people line by line, for programs as JSON; and which of them nobody can rely on.
//!
//! Invariants: what is said is read from the record, so that it names no secret; a step that changed nothing, whose effect nobody
//! can tell, or whose target was not found is named, also where the task was solved; so is what went wrong inside the pages.

use serde_json::{Value, json};
use vigorl_interface::Effect;
use vigorl_runs::Recorded;
use vigorl_runs::record::{GroundingRecord, StepRecord};

/// The steps that were taken to their ends, and what the eyes said in each.
fn steps(recorded: &Recorded) -> impl Iterator<Item = (&StepRecord, Option<&GroundingRecord>)> {
    let steps = recorded.episodes.iter().flat_map(|episode| &episode.steps);
    steps.filter_map(|step| Some((step.action.as_ref()?, step.model.as_ref())))
}

/// All steps, for programs.
pub(super) fn to_json(recorded: &Recorded) -> Value {
    let all = steps(recorded).map(|(step, model)| {
        let at = step.action.as_ref().and_then(|action| action.at());
        json!({
            "step": step.step,
            "instruction": step.instruction,
            "finding": step.finding,
            "point": at.copied().or(model.and_then(|model| model.answer)),
            "to": step.action.as_ref().and_then(|action| action.to()),
            "place": step.place,
            "confidence": model.and_then(|model| model.confidence),
            "calibrated_on": model.and_then(|model| model.calibrated_on.as_deref()),
            "decided_by": model.and_then(|model| model.decided_by.as_deref()),
            "effect": step.effect,
            "detail": step.detail,
            "dialog": step.dialog,
            "troubles": step.troubles,
            "millis": step.millis.total().round(),
        })
    });
    all.collect()
}

/// A line for each step, for people.
pub(super) fn lines(recorded: &Recorded) -> Vec<String> {
    let line = |(step, model): (&StepRecord, Option<&GroundingRecord>)| {
        let StepRecord { instruction, action, effect, millis, .. } = step;
        let at = action.as_ref().and_then(|action| action.at());
        let at = at.map_or_else(String::new, |[x, y]| format!(" at ({x}, {y})"));
        let to = action.as_ref().and_then(|action| action.to());
        let to = to.map_or_else(String::new, |[x, y]| format!(" to ({x}, {y})"));
        let sure = model.and_then(|model| Some((model.confidence?, model.calibrated_on.is_some())));
        let sure = sure.map_or_else(String::new, |(confidence, is_calibrated)| {
            format!(", confidence {confidence:.2}{}", if is_calibrated { "" } else { " (not calibrated)" })
        });
        let dialog = step.dialog.as_ref().map(|text| format!("a dialog opened: {text}"));
        let details: Vec<&str> = step.detail.iter().chain(&dialog).map(String::as_str).collect();
        let detail = if details.is_empty() { String::new() } else { format!(": {}", details.join(", ")) };
        format!("{instruction}{at}{to}  {}{sure}{detail}  {:.0} ms", effect.as_str(), millis.total())
    };
    steps(recorded).map(line).collect()
}

/// In a line, what went wrong inside the pages; nothing where nothing did.
pub(super) fn troubles(recorded: &Recorded) -> Option<String> {
    let n: usize = steps(recorded).map(|(step, _)| step.n_troubles()).sum();
    let first = steps(recorded).find_map(|(step, _)| Some((step.step, step.troubles.first()?)));
    let (number, first) = first?;
    let errors = if n == 1 { "1 error".to_owned() } else { format!("{n} errors, the first") };
    Some(format!("{errors} in step {number}: {}", first.text.lines().next().unwrap_or_default()))
}

/// Why nobody can rely on a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was done, and nothing changed on the screen.
    Noop,
    /// It was done, and the page never stood still.
    Unverifiable,
    /// It was not done: the eyes were not sure enough.
    Unsure,
    /// It was not done: several things are meant alike.
    Ambiguous,
    /// It was not done: the page, or what is written there, contradicts.
    Vetoed,
    /// It was not done, although something had to be found for it.
    Refused,
}

impl Why {
    fn of(step: &StepRecord) -> Option<Self> {
        Some(match (step.effect, step.finding.as_deref()?) {
            (Effect::Confirmed | Effect::Partial, _) => return None,
            (Effect::SuspectedNoop, _) => Self::Noop,
            (Effect::Unverifiable, _) => Self::Unverifiable,
            (Effect::Refused, "unsure") => Self::Unsure,
            (Effect::Refused, "ambiguous") => Self::Ambiguous,
            (Effect::Refused, "vetoed") => Self::Vetoed,
            (Effect::Refused, _) => Self::Refused,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Noop => "suspected_noop",
            Self::Unverifiable => "unverifiable",
            Self::Unsure => "unsure",
            Self::Ambiguous => "ambiguous",
            Self::Vetoed => "vetoed",
            Self::Refused => "refused",
        }
    }

    /// What is known of the step, without its subject.
    fn in_words(self) -> &'static str {
        match self {
            Self::Noop => "changed nothing on the screen",
            Self::Unverifiable => "met a page that never stood still, so nobody can tell what it did",
            Self::Unsure => "was not done, because the eyes were unsure",
            Self::Ambiguous => "was not done, because several things are meant alike",
            Self::Vetoed => "was not done, because the page contradicts",
            Self::Refused => "was not done",
        }
    }
}

/// A step that nobody can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Doubtful {
    step: usize,
    pub(crate) why: Why,
}

impl Doubtful {
    pub(crate) fn in_words(self) -> String {
        format!("step {} {}", self.step, self.why.in_words())
    }

    pub(super) fn to_json(self) -> Value {
        json!({ "step": self.step, "why": self.why.name() })
    }
}

/// The steps of a run that nobody can rely on; of a dry run, which does nothing on purpose, none.
pub(crate) fn doubtful(recorded: &Recorded) -> Vec<Doubtful> {
    if recorded.run.input.dry_run {
        return Vec::new();
    }
    steps(recorded).filter_map(|(step, _)| Some(Doubtful { step: step.step, why: Why::of(step)? })).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;
    use vigorl_interface::TroubleKind;
    use vigorl_runs::record::{RunRecord, Timings, TroubleRecord};
    use vigorl_runs::{RecordedEpisode, RecordedStep};

    use super::*;

    /// A run with a step for each effect and finding.
    fn run(steps: &[(Effect, Option<&str>)], dry_run: bool) -> Recorded {
        let step = |(number, (effect, finding)): (usize, &(Effect, Option<&str>))| {
            let record = json!({
                "step": number, "episode": 1, "instruction": "click it", "finding": finding, "effect": effect,
                "action": { "type": "click", "at": [3, 4], "button": "left", "count": 1 }, "detail": null,
                "verification": "unknown", "image_size": [9, 9], "n_changed_pixels": null, "url": null, "title": null,
                "dialog": null, "settled": true, "millis": Timings::default(),
                "maps": { "viewport_from_screen": [1, 1, 0, 0], "crop_from_screen": [] },
            });
            RecordedStep {
                step: number,
                instruction: "click it".to_owned(),
                folder: PathBuf::new(),
                image_size: None,
                action: Some(serde_json::from_value(record).unwrap()),
                model: Some(GroundingRecord { confidence: Some(0.5), ..GroundingRecord::default() }),
                texts: None,
            }
        };
        let steps = (1..).zip(steps).map(step).collect();
        let mut run = RunRecord::default();
        run.input.dry_run = dry_run;
        let episodes = vec![RecordedEpisode { steps, ..RecordedEpisode::default() }];
        Recorded { root: PathBuf::new(), run, events: Vec::new(), episodes, summary: None }
    }

    #[test]
    fn what_nobody_can_rely_on_is_named_and_what_only_looks_is_not() {
        let steps = [
            (Effect::Confirmed, Some("found")),
            (Effect::SuspectedNoop, Some("found")),
            (Effect::Refused, Some("vetoed")),
            (Effect::Refused, Some("unsure")),
            (Effect::Partial, Some("unsure")),
            (Effect::Refused, Some("absent")),
            (Effect::Unverifiable, Some("found")),
            // A clause that does not hold yet.
            (Effect::Refused, None),
        ];
        let found: Vec<(usize, Why)> =
            doubtful(&run(&steps, false)).into_iter().map(|step| (step.step, step.why)).collect();
        let expected =
            [(2, Why::Noop), (3, Why::Vetoed), (4, Why::Unsure), (6, Why::Refused), (7, Why::Unverifiable)];
        assert_eq!(found, expected);
        assert_eq!(doubtful(&run(&steps, true)), [], "a dry run does nothing on purpose");
    }

    #[test]
    fn what_went_wrong_inside_pages_is_counted_and_the_first_of_it_told() {
        let mut recorded = run(&[(Effect::Confirmed, None), (Effect::Confirmed, None)], false);
        assert_eq!(troubles(&recorded), None);
        let trouble = |text: &str, n_times| TroubleRecord {
            kind: TroubleKind::Console,
            text: text.to_owned(),
            n_times,
        };
        let step = recorded.episodes[0].steps[1].action.as_mut().unwrap();
        step.troubles = vec![trouble("no such price", 1)];
        assert_eq!(troubles(&recorded).as_deref(), Some("1 error in step 2: no such price"));
        let step = recorded.episodes[0].steps[1].action.as_mut().unwrap();
        (step.troubles, step.n_more_troubles) = (vec![trouble("no such price", 3), trouble("b", 1)], 7);
        assert_eq!(troubles(&recorded).as_deref(), Some("11 errors, the first in step 2: no such price"));
        assert_eq!(
            to_json(&recorded)[1]["troubles"][0],
            json!({ "kind": "console", "text": "no such price", "n_times": 3 })
        );
    }

    #[test]
    fn a_line_says_how_sure_the_eyes_were_and_what_that_is_worth() {
        let said = lines(&run(&[(Effect::Confirmed, Some("found"))], false));
        assert_eq!(said, ["click it at (3, 4)  confirmed, confidence 0.50 (not calibrated)  0 ms"]);
        let json = to_json(&run(&[(Effect::Confirmed, Some("found"))], false));
        assert_eq!((&json[0]["confidence"], &json[0]["point"]), (&json!(0.5), &json!([3, 4])));
    }
}

//! How far a training run is: time left, loss, throughput, and a line for each held-out measurement.
//!
//! Invariant: like every bar it says nothing where nothing is to be said, and goes to standard error.

use indicatif::ProgressBar;
use vigorl_training::metrics::{Record, set_and_name};
use vigorl_training::{GrpoProgress, SftProgress};

use crate::terminal;

/// A bar that appears with the first step, so that a resumed run's time left starts afresh.
#[derive(Debug, Default)]
pub(crate) struct TrainingBar(Option<ProgressBar>);

impl TrainingBar {
    /// Shows a step.
    pub(crate) fn show(&mut self, progress: &SftProgress) {
        let bar = self.0.get_or_insert_with(|| start(progress));
        bar.set_position(progress.step);
        bar.set_message(format!(
            "{}: loss {:.3}, {:.0} questions/s",
            progress.stage, progress.loss, progress.questions_per_sec
        ));
        if let Some(line) = progress.measured.as_ref().and_then(measurement_line) {
            // Also where a bar is hidden because nobody watches.
            bar.suspend(|| terminal::note(&line));
        }
        if progress.step == progress.total_steps {
            bar.finish();
        }
    }
}

fn start(progress: &SftProgress) -> ProgressBar {
    let bar = terminal::bar(progress.total_steps, "steps");
    bar.set_position(progress.step.saturating_sub(1));
    bar.reset_eta();
    bar
}

/// Held-out measurements in one line, if the record has any.
fn measurement_line(record: &Record) -> Option<String> {
    let shown = record.values.iter().filter_map(|(name, value)| {
        let (set, metric) = set_and_name(name)?;
        let is_main = metric.starts_with("in_box") || metric.starts_with("accuracy");
        is_main.then(|| format!("{set} {metric} {value:.3}"))
    });
    let shown: Vec<String> = shown.collect();
    (!shown.is_empty()).then(|| format!("step {}: {}", record.step, shown.join(", ")))
}

/// How far a learning by reward is: steps or minutes, whichever end comes first, and what is played right now.
#[derive(Debug)]
pub(crate) struct RewardBar {
    bar: Option<ProgressBar>,
    minutes: f64,
    last: String,
}

/// Positions of the bar for each whole: it moves within a step, too.
const WHOLE: f64 = 10_000.0;

impl RewardBar {
    pub(crate) fn new(minutes: f64) -> Self {
        Self { bar: None, minutes, last: String::new() }
    }

    /// Shows what has happened.
    pub(crate) fn show(&mut self, progress: &GrpoProgress) {
        let bar = self.bar.get_or_insert_with(|| terminal::bar(WHOLE as u64, "done"));
        match progress {
            GrpoProgress::Warning(text) => bar.suspend(|| terminal::note(text)),
            GrpoProgress::Playing { what, n, of } => {
                bar.set_message(format!("{what}: {n}/{of}{}", self.last))
            }
            GrpoProgress::Stepped { step, total_steps, secs, record } => {
                let by_steps = *step as f64 / (*total_steps).max(1) as f64;
                let by_time = if self.minutes > 0.0 { secs / 60.0 / self.minutes } else { 0.0 };
                bar.set_position((by_steps.max(by_time).min(1.0) * WHOLE) as u64);
                let known = |name: &str| record.values.get(name).copied();
                if let (Some(reward), Some(success)) = (known("reward/mean"), known("success/train")) {
                    self.last = format!(" (last step: reward {reward:.2}, {:.0} % solved)", 100.0 * success);
                    bar.set_message(format!("step {step}{}", self.last));
                }
                let held_out = record.values.iter().filter_map(|(name, value)| {
                    let (set, metric) = set_and_name(name)?;
                    (metric != "n").then(|| format!("{set} {metric} {:.1} %", 100.0 * value))
                });
                let held_out: Vec<String> = held_out.collect();
                if !held_out.is_empty() {
                    bar.suspend(|| terminal::note(&format!("step {step}: {}", held_out.join(", "))));
                }
            }
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}

//! How far a training run is: time left, loss, throughput, and a line for each held-out measurement.
//!
//! Invariant: like every bar it says nothing where nothing is to be said, and goes to standard error.

use indicatif::ProgressBar;
use vigorl_training::SftProgress;
use vigorl_training::metrics::{Record, set_and_name};

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

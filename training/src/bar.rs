//! A progress bar on the terminal: time left, loss, throughput, and a line per held-out measurement.

use indicatif::{ProgressBar, ProgressStyle};

use crate::metrics::Record;
use crate::sft::SftProgress;

const TEMPLATE: &str = "{bar:30} {pos}/{len} steps, {eta} left, {msg}";

/// Draws on standard error; hidden where that is no terminal, except for the measurements.
#[derive(Debug)]
pub struct TerminalBar {
    bar: Option<ProgressBar>,
}

impl TerminalBar {
    /// A bar that appears with the first step, so that a resumed run's time left starts afresh.
    pub fn new() -> Self {
        Self { bar: None }
    }

    /// Shows a step.
    pub fn show(&mut self, progress: &SftProgress) {
        let bar = self.bar.get_or_insert_with(|| start(progress));
        bar.set_position(progress.step);
        bar.set_message(format!(
            "{}: loss {:.3}, {:.0} questions/s",
            progress.stage, progress.loss, progress.questions_per_sec
        ));
        if let Some(line) = progress.measured.as_ref().and_then(measurement_line) {
            // A hidden bar prints nothing; the same numbers are in the metrics file.
            bar.println(line);
        }
        if progress.step == progress.total_steps {
            bar.finish();
        }
    }
}

impl Default for TerminalBar {
    fn default() -> Self {
        Self::new()
    }
}

fn start(progress: &SftProgress) -> ProgressBar {
    let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(progress.total_steps).with_style(style);
    bar.set_position(progress.step.saturating_sub(1));
    bar.reset_eta();
    bar
}

/// Held-out measurements in one line, if the record has any.
pub fn measurement_line(record: &Record) -> Option<String> {
    let shown = record.values.iter().filter_map(|(name, value)| {
        let (set, metric) = name.strip_prefix("heldout/")?.split_once('/')?;
        let is_main = metric.starts_with("in_box") || metric.starts_with("accuracy");
        is_main.then(|| format!("{set} {metric} {value:.3}"))
    });
    let shown: Vec<String> = shown.collect();
    (!shown.is_empty()).then(|| format!("step {}: {}", record.step, shown.join(", ")))
}

//! What a step costs besides the model: capture, resize, act, settle, verify, log, at 1280x800.
//!
//! Invariant: the loop, the driver and the record are those of a real run; only the policy is scripted, so that
//! everything that is left is overhead. The wall clock runs from the start of a step until it is recorded; it is
//! not summed from parts. Steps follow each other as in a task: each starts from what the one before saw last.

use std::collections::BTreeMap;

use serde::Serialize;
use vigorl_agent::{Agent, Decision, InOrder, WatchError, run_episode};
use vigorl_interface::{Act, Action, Driver, DriverError};
use vigorl_runs::record::Timings;
use vigorl_runs::{Run, StepCost};
use vigorl_tasks::unjudged::Unjudged;

/// A page of ordinary density with a counter that moves at every click.
const PAGE: &str = include_str!("speed_page.html");

/// The measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeedResult {
    /// Steps measured, after warm-up.
    pub n_steps: usize,
    /// Width and height of the screenshot.
    pub image_size: [u32; 2],
    /// Median of the wall clock per step.
    pub median_millis: f64,
    /// 90th percentile.
    pub p90_millis: f64,
    /// Fastest step.
    pub min_millis: f64,
    /// Medians of the parts.
    pub parts_median: BTreeMap<&'static str, f64>,
}

/// Why the measurement failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpeedError {
    /// The browser failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The record could not be written.
    #[error(transparent)]
    Record(#[from] WatchError),
    /// A step failed.
    #[error("a step failed: {0}")]
    Step(String),
}

/// Opens the page of the measurement.
///
/// # Errors
/// If the browser failed.
pub fn open_page(driver: &mut dyn Driver) -> Result<(), SpeedError> {
    driver.act(&Action::Navigate { url: "about:blank".to_owned() })?;
    let html = serde_json::Value::from(PAGE);
    let script = "document.open(); document.write(HTML); document.close(); return document.title";
    driver.evaluate(&script.replace("HTML", &html.to_string()))?;
    Ok(())
}

/// Takes `n_steps` steps in a row, as one episode.
///
/// # Errors
/// [`SpeedError`] if anything but the model failed.
pub fn take_steps(
    agent: &mut Agent<'_>,
    driver: &mut dyn Driver,
    n_steps: usize,
    run: &mut Run,
) -> Result<(), SpeedError> {
    let click = Decision::Act(Act::click("the counter".into()));
    let mut plan = InOrder(vec![click; n_steps]);
    let mut world = Unjudged::new(driver, "click the counter");
    let episode = run_episode(agent, &mut plan, &mut world, 0, run)?;
    match episode.error().map(str::to_owned).or(episode.detail) {
        Some(message) => Err(SpeedError::Step(message)),
        None => Ok(()),
    }
}

/// Sums up measured steps.
pub fn summarize(costs: &[StepCost], image_size: [u32; 2]) -> SpeedResult {
    let walls: Vec<f64> = costs.iter().map(|cost| cost.wall_millis).collect();
    let names = Timings::default().phases().map(|(name, _)| name);
    let parts_median = names
        .iter()
        .enumerate()
        .map(|(idx, name)| {
            let part: Vec<f64> = costs.iter().map(|cost| cost.parts.phases()[idx].1).collect();
            (*name, quantile(&part, 0.5))
        })
        .collect();
    SpeedResult {
        n_steps: costs.len(),
        image_size,
        median_millis: quantile(&walls, 0.5),
        p90_millis: quantile(&walls, 0.9),
        min_millis: quantile(&walls, 0.0),
        parts_median,
    }
}

/// The value below which a share of `values` lies, rounded to hundredths; 0 without values.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let idx = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(idx).map_or(0.0, |value| (value * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_order_statistics() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!([0.0, 0.5, 0.9, 1.0].map(|share| quantile(&values, share)), [1.0, 3.0, 5.0, 5.0]);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}

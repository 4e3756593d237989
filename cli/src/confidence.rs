//! What a policy's confidences mean: maps that were fitted for its weights, beside them.
//!
//! Invariant: a map of other weights is not used, and that is said.

use anyhow::Context as _;
use vigorl_agent::ConfidenceMap;
use vigorl_qwen::Checkpoint;

use crate::exit::usage;
use crate::terminal;

const FILE: &str = ConfidenceMap::FILE;

/// The maps of a checkpoint; none if it has no such file, or was trained on since they were fitted.
pub(crate) fn of_policy(checkpoint: &Checkpoint) -> anyhow::Result<Vec<ConfidenceMap>> {
    let cannot_read = || format!("cannot read the {FILE} of `{}`", checkpoint.name);
    let Some(text) = checkpoint.text_of(FILE).with_context(cannot_read)? else { return Ok(Vec::new()) };
    let maps: Vec<ConfidenceMap> =
        serde_json::from_str(&text).map_err(|error| usage(format!("{}: {error}", cannot_read())))?;
    let weights = checkpoint.weights_sha256()?;
    let (own, others): (Vec<_>, Vec<_>) = maps.into_iter().partition(|map| map.weights_sha256 == weights);
    if !others.is_empty() {
        terminal::detail(&format!(
            "the {FILE} of `{}` has maps of other weights: they are not used",
            checkpoint.name
        ));
    }
    Ok(own)
}

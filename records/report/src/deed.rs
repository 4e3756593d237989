//! What was done, to be compared. Invariant: the words are those of [`Act`](vigorl_interface::Act) itself.

use vigorl_runs::record::ActionRecord;

/// What was done, wherever: a click elsewhere is the same deed at another point.
pub(crate) fn deed(action: &ActionRecord) -> String {
    action.map(|_| "…").to_string()
}

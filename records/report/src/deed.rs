//! Actions in words. Invariant: the words are those of [`Act`](vigorl_interface::Act) itself; only where a point stands
//! beside them, as a mark on a picture, do they leave it out.

use vigorl_interface::MouseButton;
use vigorl_runs::record::ActionRecord;

/// `double click`, `type`, `open`: beside the point where it was done.
pub(crate) fn verb(action: &ActionRecord) -> &'static str {
    match action {
        ActionRecord::Click { count: 2, .. } => "double click",
        ActionRecord::Click { button: MouseButton::Right, .. } => "right click",
        ActionRecord::Navigate { .. } => "open",
        ActionRecord::Back => "back",
        other => other.kind().as_str(),
    }
}

/// What was done, wherever: a click elsewhere is the same deed at another point.
pub(crate) fn deed(action: &ActionRecord) -> String {
    action.map(|_| "…").to_string()
}

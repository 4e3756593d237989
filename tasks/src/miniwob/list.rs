//! The 125 tasks that are registered, and what is known of each: facts of `browsergym-miniwob` 0.14.3 and its metadata.
//!
//! Invariant: the order is that of the protocol, because its seeds are drawn task after task.

use serde::Serialize;

/// Which of the two parts a task is in, as BrowserGym splits them: tasks that are alike are in the same part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// To learn from.
    Train,
    /// To be measured on.
    Test,
}

/// Where a task comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The first list of tasks.
    Original,
    /// Added later.
    Additional,
    /// Kept back at first.
    HiddenTest,
    /// A task without its animation.
    NoDelay,
    /// An easier form of a task.
    Simplified,
}

/// One task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Task {
    /// Its name: `click-button`.
    pub name: &'static str,
    /// Where it comes from.
    pub origin: Origin,
    /// The part of the split.
    pub part: Part,
    /// Tasks of the same number are alike.
    pub group: u8,
    /// Whether it is one of the 56 of WebGUM.
    pub is_in_webgum: bool,
}

impl Task {
    /// The task of a name, with or without `miniwob/` or `miniwob.` before it.
    pub fn named(name: &str) -> Option<&'static Self> {
        let name = name.strip_prefix("miniwob").map_or(name, |rest| rest.trim_start_matches(['/', '.']));
        TASKS.iter().find(|task| task.name == name)
    }

    /// Why two first screenshots of one seed may differ; nothing where they are the same.
    pub fn why_animated(&self) -> Option<&'static str> {
        ANIMATED.iter().find(|(name, _)| *name == self.name).map(|(_, why)| *why)
    }

    /// Its place in the protocol's order.
    pub(crate) fn place(&self) -> usize {
        TASKS.iter().position(|task| task.name == self.name).unwrap_or(TASKS.len())
    }
}

use Origin::{Additional, HiddenTest, NoDelay, Original, Simplified};
use Part::{Test, Train};

const fn task(name: &'static str, origin: Origin, part: Part, group: u8, is_in_webgum: bool) -> Task {
    Task { name, origin, part, group, is_in_webgum }
}

/// All of them, in the protocol's order.
pub const TASKS: [Task; 125] = [
    task("ascending-numbers", HiddenTest, Test, 0, false),
    task("bisect-angle", Original, Test, 1, false),
    task("book-flight", Original, Train, 2, true),
    task("book-flight-nodelay", NoDelay, Train, 2, false),
    task("buy-ticket", HiddenTest, Train, 3, false),
    task("choose-date", Original, Train, 4, true),
    task("choose-date-easy", Simplified, Train, 4, true),
    task("choose-date-medium", Simplified, Train, 4, true),
    task("choose-date-nodelay", NoDelay, Train, 4, false),
    task("choose-list", Original, Test, 5, true),
    task("circle-center", Original, Train, 6, false),
    task("click-button", Original, Test, 7, true),
    task("click-button-sequence", Original, Test, 8, true),
    task("click-checkboxes", Original, Train, 9, true),
    task("click-checkboxes-large", Additional, Train, 9, true),
    task("click-checkboxes-soft", Additional, Train, 9, true),
    task("click-checkboxes-transfer", Additional, Train, 9, true),
    task("click-collapsible", Original, Train, 10, true),
    task("click-collapsible-2", Original, Train, 10, true),
    task("click-collapsible-2-nodelay", NoDelay, Train, 10, false),
    task("click-collapsible-nodelay", NoDelay, Train, 10, false),
    task("click-color", Original, Test, 11, true),
    task("click-dialog", Original, Train, 12, true),
    task("click-dialog-2", Original, Train, 12, true),
    task("click-link", Original, Test, 13, true),
    task("click-menu", Original, Test, 14, true),
    task("click-menu-2", Original, Test, 14, false),
    task("click-option", Original, Train, 15, true),
    task("click-pie", Original, Test, 16, true),
    task("click-pie-nodelay", NoDelay, Test, 16, false),
    task("click-scroll-list", Original, Test, 17, true),
    task("click-shades", Original, Train, 18, true),
    task("click-shape", Original, Test, 19, true),
    task("click-tab", Original, Test, 20, true),
    task("click-tab-2", Original, Test, 21, true),
    task("click-tab-2-easy", Simplified, Test, 21, false),
    task("click-tab-2-hard", Additional, Test, 21, true),
    task("click-tab-2-medium", Simplified, Test, 21, false),
    task("click-test", Original, Test, 22, true),
    task("click-test-2", Original, Train, 23, true),
    task("click-test-transfer", Simplified, Train, 23, false),
    task("click-widget", Original, Test, 24, true),
    task("copy-paste", Original, Test, 25, false),
    task("copy-paste-2", Original, Test, 25, false),
    task("count-shape", Original, Train, 26, true),
    task("count-sides", Original, Test, 27, false),
    task("daily-calendar", HiddenTest, Train, 28, false),
    task("drag-box", Original, Train, 29, false),
    task("drag-circle", Original, Test, 30, false),
    task("drag-cube", Original, Test, 31, false),
    task("drag-items", Original, Train, 32, false),
    task("drag-items-grid", Original, Test, 33, false),
    task("drag-shapes", Original, Train, 29, false),
    task("drag-shapes-2", HiddenTest, Train, 29, false),
    task("drag-single-shape", HiddenTest, Train, 34, false),
    task("drag-sort-numbers", Original, Train, 32, false),
    task("draw-circle", HiddenTest, Train, 35, false),
    task("draw-line", HiddenTest, Train, 36, false),
    task("email-inbox", Original, Test, 37, true),
    task("email-inbox-delete", Simplified, Test, 37, false),
    task("email-inbox-forward", Simplified, Test, 37, false),
    task("email-inbox-forward-nl", Additional, Test, 37, true),
    task("email-inbox-forward-nl-turk", Additional, Test, 37, true),
    task("email-inbox-important", Simplified, Test, 37, false),
    task("email-inbox-nl-turk", Additional, Test, 37, true),
    task("email-inbox-noscroll", Simplified, Test, 37, false),
    task("email-inbox-reply", Simplified, Test, 37, false),
    task("email-inbox-star-reply", Simplified, Test, 37, false),
    task("enter-date", Original, Train, 38, true),
    task("enter-password", Original, Train, 38, true),
    task("enter-text", Original, Train, 38, true),
    task("enter-text-2", Original, Train, 38, false),
    task("enter-text-dynamic", Original, Train, 38, true),
    task("enter-time", Original, Train, 38, true),
    task("find-greatest", HiddenTest, Test, 39, false),
    task("find-midpoint", Original, Train, 40, false),
    task("find-word", Original, Test, 41, false),
    task("focus-text", Original, Train, 42, true),
    task("focus-text-2", Original, Train, 42, true),
    task("form-sequence", HiddenTest, Train, 43, false),
    task("form-sequence-2", HiddenTest, Test, 44, false),
    task("form-sequence-3", HiddenTest, Test, 45, false),
    task("generate-number", HiddenTest, Test, 46, false),
    task("grid-coordinate", Original, Test, 47, true),
    task("guess-number", Original, Test, 48, true),
    task("highlight-text", Original, Test, 49, false),
    task("highlight-text-2", Original, Test, 49, false),
    task("hot-cold", HiddenTest, Test, 50, false),
    task("identify-shape", Original, Train, 51, true),
    task("login-user", Original, Train, 52, true),
    task("login-user-popup", Additional, Train, 52, true),
    task("multi-layouts", Additional, Train, 53, true),
    task("multi-orderings", Additional, Train, 53, true),
    task("navigate-tree", Original, Train, 54, true),
    task("number-checkboxes", Original, Test, 55, false),
    task("odd-or-even", HiddenTest, Train, 56, false),
    task("order-food", HiddenTest, Test, 57, false),
    task("phone-book", HiddenTest, Test, 58, false),
    task("read-table", Original, Train, 59, false),
    task("read-table-2", Original, Train, 59, false),
    task("resize-textarea", Original, Test, 60, false),
    task("right-angle", Original, Test, 61, false),
    task("scroll-text", Original, Test, 62, false),
    task("scroll-text-2", Original, Test, 62, false),
    task("search-engine", Original, Train, 63, true),
    task("sign-agreement", HiddenTest, Test, 64, false),
    task("simple-algebra", Original, Test, 65, false),
    task("simple-arithmetic", Original, Test, 65, false),
    task("social-media", Original, Test, 66, true),
    task("social-media-all", Additional, Test, 66, true),
    task("social-media-some", Additional, Test, 66, true),
    task("stock-market", HiddenTest, Test, 67, false),
    task("terminal", Original, Test, 68, false),
    task("text-editor", Original, Train, 69, false),
    task("text-transform", Original, Train, 70, false),
    task("tic-tac-toe", Original, Test, 71, true),
    task("unicode-test", Simplified, Train, 72, false),
    task("use-autocomplete", Original, Train, 73, true),
    task("use-autocomplete-nodelay", NoDelay, Train, 73, false),
    task("use-colorwheel", Original, Train, 74, false),
    task("use-colorwheel-2", Original, Train, 74, false),
    task("use-slider", Original, Train, 75, false),
    task("use-slider-2", Original, Train, 75, false),
    task("use-spinner", Original, Test, 76, true),
    task("visual-addition", Original, Train, 77, false),
];

/// Tasks that are animated, or show the day, and why: for the same seed their first screenshots may differ.
pub const ANIMATED: [(&str, &str); 2] = [
    (
        "number-checkboxes",
        "its button ends at a half pixel, and the browser draws that line in one of two ways",
    ),
    ("stock-market", "a timer draws another price every tenth of a second"),
];

/// The 59 tasks of Pix2Act's evaluation. `drag-item` is not among the pages that are published today.
pub const PIX2ACT: [&str; 59] = [
    "bisect-angle",
    "choose-date-nodelay",
    "circle-center",
    "click-button",
    "click-button-sequence",
    "click-checkboxes",
    "click-checkboxes-large",
    "click-checkboxes-soft",
    "click-checkboxes-transfer",
    "click-collapsible-2-nodelay",
    "click-collapsible-nodelay",
    "click-color",
    "click-dialog",
    "click-dialog-2",
    "click-link",
    "click-option",
    "click-pie-nodelay",
    "click-shades",
    "click-shape",
    "click-tab",
    "click-tab-2",
    "click-tab-2-easy",
    "click-tab-2-hard",
    "click-tab-2-medium",
    "click-test",
    "click-test-2",
    "click-test-transfer",
    "click-widget",
    "count-shape",
    "count-sides",
    "drag-box",
    "drag-item",
    "drag-items",
    "drag-items-grid",
    "drag-shapes",
    "drag-sort-numbers",
    "email-inbox-delete",
    "email-inbox-important",
    "enter-date",
    "enter-text-2",
    "enter-time",
    "find-midpoint",
    "grid-coordinate",
    "identify-shape",
    "navigate-tree",
    "number-checkboxes",
    "resize-textarea",
    "right-angle",
    "simple-algebra",
    "simple-arithmetic",
    "text-transform",
    "tic-tac-toe",
    "unicode-test",
    "use-autocomplete-nodelay",
    "use-colorwheel",
    "use-colorwheel-2",
    "use-slider",
    "use-slider-2",
    "visual-addition",
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn the_lists_are_those_of_the_protocols() {
        let names: BTreeSet<&str> = TASKS.iter().map(|task| task.name).collect();
        assert_eq!(names.len(), 125);
        let n = |part: Part| TASKS.iter().filter(|task| task.part == part).count();
        assert_eq!((n(Test), n(Train)), (63, 62));
        assert_eq!(TASKS.iter().filter(|task| task.is_in_webgum).count(), 56);
        let unknown: Vec<_> = PIX2ACT.iter().filter(|name| Task::named(name).is_none()).collect();
        assert_eq!(unknown, [&"drag-item"]);
        assert!(ANIMATED.iter().all(|(name, why)| Task::named(name).is_some() && !why.is_empty()));
    }

    #[test]
    fn tasks_that_are_alike_are_in_one_part() {
        let mut parts: BTreeMap<u8, Part> = BTreeMap::new();
        for task in &TASKS {
            assert_eq!(*parts.entry(task.group).or_insert(task.part), task.part, "{}", task.name);
        }
    }

    #[test]
    fn a_task_has_its_name_with_and_without_the_set() {
        for name in ["click-test", "miniwob/click-test", "miniwob.click-test"] {
            assert_eq!(Task::named(name).map(|task| task.name), Some("click-test"), "{name}");
        }
        assert_eq!(Task::named("flight.AA"), None);
    }
}

//! MiniWoB++: 125 small tasks on pages that judge themselves, under the protocols that numbers are published by.
//!
//! | module | does |
//! |---|---|
//! | [`TASKS`] | the tasks: name, part of the split, family; what is animated |
//! | [`Protocol`] | steps, time, seeds, screen and success; [`Area`] what is to be seen |
//! | [`Pages`] | the pages, from a folder or a wheel; they are not in the repository |
//! | [`MiniWobWorld`] | live episodes through a driver |
//!
//! Invariants: a problem is a function of the pages, the task and its seed; the verdict is the page's own, and the rule that
//! makes a reward of it is the protocol's; seeds to learn from ([`training_seed`]) are none to measure with.

mod list;
mod pages;
mod protocol;
mod random_state;
mod world;

pub use list::{ANIMATED, Origin, PIX2ACT, Part, TASKS, Task};
pub use pages::{DEFAULT_FOLDER, Pages};
pub use protocol::{Area, Protocol, browsergym_page_seeds, training_seed};
pub use random_state::RandomState;
pub use world::{MiniWobWorld, Said};

//! `vigorl licenses`: what is built in besides our own code, and under which terms.

use crate::exit::Ending;
use crate::{reading, terminal};

const OWN: &str = "vigorl: MIT or Apache-2.0, at your choice. The Rust libraries that it is built from are listed with their\nlicences by `cargo tree --format '{p} {l}'` in its source folder.";
const NOTICE: &str = include_str!("../../../grounding/reader/NOTICE");
/// Of what is fetched and played, and never built in.
const PAGES: &str = include_str!("../../../tasks/miniwob/NOTICE");
const MODELS: &str = include_str!("../../../grounding/reader/LICENSE-MODELS");

/// Prints them.
pub(crate) fn licenses() -> Ending {
    let models = if reading::is_there() { format!("\n\n{NOTICE}\n{MODELS}") } else { String::new() };
    terminal::data(&format!("{OWN}{models}\n\n{}", PAGES.trim_end()));
    Ending::Done
}

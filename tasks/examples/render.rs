//! Renders a data set of practice pages: `render FOLDER train|held-out|held-out-words icons|VOCABULARY
//! WIDTH HEIGHT MIN_DISTRACTORS MAX_DISTRACTORS PAGES [FIRST_SEED]`.
#![expect(clippy::print_stderr, reason = "progress of a command")]

use std::error::Error;
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use vigorl_tasks::practice::dataset::{DatasetSpec, render_dataset};
use vigorl_tasks::practice::{PageSpec, Split};
use vigorl_webdriver::{Options, WebDriver};

/// Large enough for many pages, small enough for one quick capture.
const VIEWPORT: (u32, u32) = (1920, 1600);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, split, tier, width, height, min, max, pages, rest @ ..] = args.as_slice() else {
        return Err("expected FOLDER SPLIT TIER WIDTH HEIGHT MIN MAX PAGES [FIRST_SEED]".into());
    };
    let seed = rest.first().map_or(Ok(0), |seed| number(seed))?;
    let split = match split.as_str() {
        "train" => Split::Train,
        "held-out" => Split::HeldOut,
        "held-out-words" => Split::HeldOutWords,
        other => return Err(format!("`{other}` is no split").into()),
    };
    let first = match tier.as_str() {
        "icons" => PageSpec::icons(seed, split),
        vocabulary => PageSpec::words(seed, split, number(vocabulary)?),
    };
    let first =
        first.on_canvas(number(width)?, number(height)?).with_distractors(number(min)?..=number(max)?);
    let spec = DatasetSpec { first, pages: number(pages)? };

    let mut driver = WebDriver::start(Options::headless(VIEWPORT.0, VIEWPORT.1))?;
    let start = Instant::now();
    render_dataset(&mut driver, &spec, Path::new(folder), &mut |progress| {
        eprintln!("{} of {} pages, {:.1} s", progress.done, progress.total, start.elapsed().as_secs_f64());
    })?;
    Ok(())
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

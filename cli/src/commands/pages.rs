//! Which practice pages: turns what was typed into a specification.

use vigorl_tasks::practice::{PageSpec, Split, Tier};

use crate::args::{PageArgs, SplitArg, TierArg};
use crate::exit::usage;
use crate::settings::{Settings, parse_size};

/// Words of the words tier, unless said otherwise.
const VOCABULARY: usize = 40;

/// The first page; the others count its seed up.
pub(crate) fn first_page(args: &PageArgs, settings: &Settings, split: Split) -> anyhow::Result<PageSpec> {
    let split = match args.split {
        None => split,
        Some(SplitArg::Train) => Split::Train,
        Some(SplitArg::HeldOut) => Split::HeldOut,
        Some(SplitArg::HeldOutWords) => Split::HeldOutWords,
    };
    let mut spec = PageSpec::icons(args.first_page.unwrap_or(settings.seed), split);
    match (args.tier, args.vocabulary) {
        (Some(TierArg::Words), vocabulary) => {
            spec.tier = Tier::Words { vocabulary: vocabulary.unwrap_or(VOCABULARY) };
        }
        (_, Some(_)) => return Err(usage("--vocabulary needs --tier words: the icons tier has no words")),
        _ => {}
    }
    if let Some(canvas) = &args.canvas {
        let size = parse_size(canvas);
        let (width, height) =
            size.ok_or_else(|| usage(format!("--canvas: `{canvas}` is not a size such as 192x160")))?;
        spec = spec.on_canvas(width, height);
    }
    if let Some(text) = &args.distractors {
        let (min, max) = range(text)
            .ok_or_else(|| usage(format!("--distractors: `{text}` is not a range such as 4..8")))?;
        spec = spec.with_distractors(min..=max);
    }
    if let Some(text) = &args.sizes {
        let (min, max) =
            range(text).ok_or_else(|| usage(format!("--sizes: `{text}` is not a range such as 8..60")))?;
        spec = spec.with_sizes(min..=max);
    }
    Ok(spec)
}

fn range(text: &str) -> Option<(u32, u32)> {
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    Some((min.trim().parse().ok()?, max.trim().trim_start_matches('=').parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_include_both_ends() {
        assert_eq!(range("4..8"), Some((4, 8)));
        assert_eq!(range("4..=8"), Some((4, 8)));
        assert_eq!(range("5"), Some((5, 5)));
        assert_eq!(range("4-8"), None);
    }
}

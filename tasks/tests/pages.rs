//! Properties of generated pages, without a browser.

use std::collections::{BTreeMap, BTreeSet};

use vigorl_tasks::practice::{
    GENERATOR, HELD_OUT_WORDS, HeldOut, Kind, PageError, PageSpec, PixelBox, PracticePage, SizeClass, Split,
    WORDS, Widget,
};

const SPLITS: [Split; 3] = [Split::Train, Split::HeldOut, Split::HeldOutWords];

/// Every kind of specification the project uses, with `n` seeds each.
fn pages(n: u64) -> impl Iterator<Item = PracticePage> {
    let shapes = |seed, split| {
        [
            PageSpec::icons(seed, split),
            PageSpec::icons(seed, split).with_sizes(8..=13),
            PageSpec::icons(seed, split).on_canvas(64, 64).with_distractors(0..=0),
            PageSpec::icons(seed, split).on_canvas(96, 96).with_distractors(0..=2),
            PageSpec::words(seed, split, 40),
            PageSpec::words(seed, split, WORDS.len()),
            PageSpec::words(seed, split, 40).on_canvas(64, 64).with_distractors(0..=0),
        ]
    };
    let specs = SPLITS.into_iter().flat_map(move |split| (0..n).flat_map(move |seed| shapes(seed, split)));
    specs.map(|spec| PracticePage::generate(&spec).unwrap_or_else(|error| panic!("{spec:?}: {error}")))
}

#[test]
fn widgets_lie_apart_inside_the_canvas() {
    for page in pages(300) {
        let canvas = page.spec.canvas;
        let canvas = PixelBox { left: 0, top: 0, right: canvas.width as i32, bottom: canvas.height as i32 };
        for (i, widget) in page.widgets.iter().enumerate() {
            assert!(canvas.covers(widget.bounds), "{page:?}");
            assert!(widget.bounds.short_side() >= 8, "{page:?}");
            for other in &page.widgets[..i] {
                let with_gap = PixelBox {
                    left: other.bounds.left - 3,
                    top: other.bounds.top - 3,
                    right: other.bounds.right + 3,
                    bottom: other.bounds.bottom + 3,
                };
                assert!(!widget.bounds.overlaps(with_gap), "{page:?}");
            }
        }
    }
}

#[test]
fn every_instruction_names_exactly_one_widget() {
    for page in pages(300) {
        let mut targets = BTreeSet::new();
        for task in &page.tasks {
            let name = page.widgets[task.target].name();
            let bare_cross = task.instruction == "click the close cross";
            let named: Vec<_> = page
                .widgets
                .iter()
                .filter(|w| if bare_cross { w.kind == Kind::Close } else { w.name() == name })
                .collect();
            assert_eq!(named.len(), 1, "{page:?}");
            assert!(bare_cross || task.instruction.ends_with(&name), "{page:?}");
            assert_eq!(task.size_class, SizeClass::of(page.widgets[task.target].bounds));
            assert!(targets.insert(task.target), "two tasks for one widget: {page:?}");
        }
        let names: Vec<_> = page.widgets.iter().map(Widget::name).collect();
        let unique = names.iter().filter(|name| names.iter().filter(|other| other == name).count() == 1);
        assert_eq!(page.tasks.len(), unique.count(), "a unique widget has no task: {page:?}");
    }
}

#[test]
fn half_of_the_distractors_resemble_the_target() {
    for seed in 0..2000 {
        let page = PracticePage::generate(&PageSpec::icons(seed, Split::Train)).unwrap();
        let target = page.target();
        let resembles = |w: &&Widget| {
            (w.color.is_some() && w.color == target.color)
                || (w.shape.is_some() && w.shape == target.shape)
                || (w.kind == target.kind && w.kind != Kind::Icon)
        };
        let n = page.widgets.len() - 1;
        assert!((4..=8).contains(&n), "{page:?}");
        // The target resembles itself.
        assert!(page.widgets.iter().filter(resembles).count() > n.div_ceil(2), "{page:?}");
    }
}

#[test]
fn training_pages_show_nothing_held_out() {
    let mut seen: BTreeMap<HeldOut, usize> = BTreeMap::new();
    for page in pages(300) {
        if page.spec.split == Split::Train {
            assert_eq!(page.held_out, [], "{page:?}");
            let words = page.widgets.iter().filter_map(|w| w.label.as_deref());
            assert!(words.into_iter().all(|word| !HELD_OUT_WORDS.contains(&word)), "{page:?}");
        }
        for aspect in &page.held_out {
            *seen.entry(*aspect).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 5, "not every aspect was ever held out: {seen:?}");
}

#[test]
fn no_training_widget_has_a_held_out_size_or_pair() {
    let mut held_out = BTreeSet::new();
    for seed in 0..1500 {
        let page = PracticePage::generate(&PageSpec::icons(seed, Split::HeldOut)).unwrap();
        if page.held_out.contains(&HeldOut::Size) {
            held_out.insert(page.target().bounds.short_side());
        }
    }
    assert_eq!(held_out, BTreeSet::from([10, 15, 20, 29, 42]));
    for page in pages(300).filter(|page| page.spec.split == Split::Train) {
        assert!(page.widgets.iter().all(|w| !held_out.contains(&w.bounds.short_side())), "{page:?}");
    }
}

#[test]
fn a_page_is_a_function_of_its_specification_and_splits_never_meet() {
    let look = |page: &PracticePage| (page.widgets.clone(), page.decorations.clone());
    let mut all = Vec::new();
    for split in [Split::Train, Split::HeldOut] {
        for seed in 0..300 {
            let spec = PageSpec::icons(seed, split);
            let page = PracticePage::generate(&spec).unwrap();
            assert_eq!(page, PracticePage::generate(&spec).unwrap());
            all.push(look(&page));
        }
    }
    for (i, page) in all.iter().enumerate() {
        assert!(!all[..i].contains(page), "page {i} stands twice");
    }
}

#[test]
fn places_and_document_order_do_not_tell_the_target() {
    let n = 4000;
    let (mut first, mut expected, mut x, mut y) = (0, 0.0, 0.0, 0.0);
    for seed in 0..n {
        let page = PracticePage::generate(&PageSpec::icons(seed, Split::Train)).unwrap();
        first += u32::from(page.tasks[0].target == 0);
        expected += 1.0 / page.widgets.len() as f64;
        let center = page.target().bounds.in_viewport().center();
        (x, y) = (x + center.x / n as f64, y + center.y / n as f64);
    }
    assert!((f64::from(first) - expected).abs() < 4.0 * expected.sqrt(), "{first} against {expected}");
    assert!((x - 96.0).abs() < 14.0 && (y - 80.0).abs() < 8.0, "mean target at ({x:.1}, {y:.1})");
}

#[test]
fn the_icons_tier_needs_few_words_and_small_widgets_are_frequent() {
    let mut words = BTreeSet::new();
    let mut classes: BTreeMap<SizeClass, usize> = BTreeMap::new();
    for seed in 0..2000 {
        let page = PracticePage::generate(&PageSpec::icons(seed, Split::HeldOut)).unwrap();
        words.extend(page.tasks.iter().flat_map(|t| t.instruction.split(' ').map(str::to_owned)));
        *classes.entry(page.tasks[0].size_class).or_default() += 1;
    }
    assert!(words.len() <= 40, "{words:?}");
    assert!(classes.len() == 3 && classes.values().all(|n| *n >= 300), "{classes:?}");
}

#[test]
fn impossible_specifications_are_refused() {
    let spec = PageSpec::icons(1, Split::Train);
    let crowded = PracticePage::generate(&spec.on_canvas(32, 32).with_distractors(40..=40));
    assert!(matches!(crowded, Err(PageError::TooCrowded { widgets: 41, .. })), "{crowded:?}");
    let words = PracticePage::generate(&PageSpec::words(1, Split::Train, 3));
    assert!(matches!(words, Err(PageError::TooFewWords { got: 3, .. })), "{words:?}");
    let sizes = PracticePage::generate(&spec.with_sizes(4..=8));
    assert!(matches!(sizes, Err(PageError::BadRange { field: "sizes", .. })), "{sizes:?}");
}

#[test]
fn the_pages_of_this_generator_never_change() {
    let mut fingerprint: u64 = 0xcbf2_9ce4_8422_2325;
    for page in pages(20) {
        let parts = (page.look, page.layout, page.widgets, page.decorations, page.tasks);
        for byte in format!("{parts:?}").bytes() {
            fingerprint = (fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    let message = "the pages have changed: increase GENERATOR and note both numbers here";
    assert_eq!((GENERATOR, fingerprint), (2, 400_222_079_982_531_418), "{message}");
}

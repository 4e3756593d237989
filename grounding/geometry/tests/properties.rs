//! Properties of the spaces, for any size and any point.

use proptest::prelude::*;
use vigorl_geometry::crop::{PlannedCrop, moved_inside, plan_crop, plan_region, plan_window};
use vigorl_geometry::fit::{FitError, PixelBudget, ShownFit, fit_to_network, smart_resize};
use vigorl_geometry::{
    DevicePixelRatio, Map, Model, Point, Rect, Screen, Size, Space, Thousand, thousand_from_screen,
};

fn check_round_trip<D: Space>(map: Map<D, Screen>, point: Point<Screen>) -> Result<(), TestCaseError> {
    let back = map.inverse().apply(map.apply(point));
    prop_assert!(back.distance(point) < 1e-6, "{point:?} came back as {back:?}");
    // A click is rounded to a whole pixel at the end; half a pixel is what a chain of maps may lose.
    let whole = Point::new(point.x.round(), point.y.round());
    let back = map.inverse().apply(map.apply(whole));
    prop_assert_eq!((back.x.round(), back.y.round()), (whole.x, whole.y));
    Ok(())
}

fn check_inside(plan: PlannedCrop, screenshot: Size<Screen>) -> Result<(), TestCaseError> {
    let window = plan.window;
    prop_assert!(window.left >= 0.0 && window.right <= screenshot.width, "{window:?}");
    prop_assert!(window.top >= 0.0 && window.bottom <= screenshot.height, "{window:?}");
    prop_assert!(window.width() >= 1.0 && window.height() >= 1.0, "{window:?}");
    for edge in [window.left, window.top, window.right, window.bottom] {
        prop_assert_eq!(edge, edge.trunc());
    }
    let corner = plan.crop_from_screen.apply(Point::new(window.right, window.bottom));
    let side = f64::from(plan.side_px);
    prop_assert!(corner.distance(Point::new(side, side)) < 1e-6, "{corner:?}");
    Ok(())
}

fn side() -> impl Strategy<Value = u32> {
    prop_oneof![1_u32..=60, 1_u32..=4_000, Just(20_000)]
}

/// Width and height with at most the aspect ratio that a processor takes.
fn image_size() -> impl Strategy<Value = (u32, u32)> {
    (side(), side()).prop_map(|(w, h)| (w.min(h * 200), h.min(w * 200)))
}

/// The largest is at least four times the smallest: closer together, rounding one side up to a whole factor
/// may jump over both, in the reference as here.
fn budget() -> impl Strategy<Value = PixelBudget> {
    let factor = prop_oneof![Just(28_u32), Just(16), Just(14)];
    (factor, 1_u64..=64, 4_u64..=400).prop_map(|(factor, min_units, times)| {
        let min_pixels = min_units * u64::from(factor) * u64::from(factor);
        PixelBudget { factor, min_pixels, max_pixels: min_pixels * times }
    })
}

/// Any float: in and around a screenshot, on its borders, and the special values.
fn coordinate() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -500.0..5_000.0_f64,
        1 => any::<f64>(),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(0.0), Just(-0.5)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_resize_maps_back_and_forth(
        ((w, h), budget) in (image_size(), budget()), x in 0.0..1.0_f64, y in 0.0..1.0_f64,
    ) {
        let fit = fit_to_network(Size::<Screen>::of_pixels(w, h), budget).unwrap();
        let point = Point::new(x * f64::from(w), y * f64::from(h));
        let seen: Point<Model> = fit.model_from_image.apply(point);
        prop_assert!(seen.x <= f64::from(fit.width) + 1e-6 && seen.y <= f64::from(fit.height) + 1e-6);
        check_round_trip(fit.model_from_image, point)?;
        // A merged patch is a square of the network's image.
        let patch = fit.patch_from_image.apply(point);
        let factor = f64::from(budget.factor);
        prop_assert!(patch.distance(Point::new(seen.x / factor, seen.y / factor)) < 1e-6, "{patch:?}");
    }

    #[test]
    fn a_shown_image_maps_back_and_forth_and_unchanged_nothing_moves(
        ((w, h), limit) in (image_size(), budget()), x in 0.0..1.0_f64, y in 0.0..1.0_f64,
    ) {
        let screenshot = Size::of_pixels(w, h);
        let point = Point::new(x * f64::from(w), y * f64::from(h));
        let shown = ShownFit::within(screenshot, limit).unwrap();
        prop_assert_eq!((shown.width, shown.height), smart_resize(w, h, limit).unwrap());
        check_round_trip(shown.shown_from_screen, point)?;
        let same = ShownFit::unchanged(screenshot);
        let on_it = same.shown_from_screen.apply(point);
        prop_assert_eq!((on_it.x, on_it.y, same.width, same.height), (point.x, point.y, w, h));
    }

    #[test]
    fn the_thousand_grid_and_the_viewport_map_back_and_forth(
        (w, h) in (side(), side()), x in 0.0..1.0_f64, y in 0.0..1.0_f64, ratio in 0.25..4.0_f64,
    ) {
        let size = Size::of_pixels(w, h);
        let point = Point::new(x * size.width, y * size.height);
        let on_grid: Point<Thousand> = thousand_from_screen(size).apply(point);
        prop_assert!((0.0..=1000.0).contains(&on_grid.x) && (0.0..=1000.0).contains(&on_grid.y));
        check_round_trip(thousand_from_screen(size), point)?;
        check_round_trip(DevicePixelRatio::new(ratio).unwrap().viewport_from_screen(), point)?;
    }

    #[test]
    fn a_region_lies_on_the_screenshot_in_its_own_pixels_and_holds_what_is_wanted(
        (w, h) in (side(), side()), (x, y) in (0.0..1.0_f64, 0.0..1.0_f64), (a, b) in (0.0..400.0_f64, 0.0..90.0_f64), side in 1_u32..700,
    ) {
        let size = Size::<Screen>::of_pixels(w, h);
        let (left, top) = (x * size.width, y * size.height);
        let wanted = Rect::new(left, top, (left + a).min(size.width), (top + b).min(size.height));
        if let Some(plan) = plan_region(wanted, size, side) {
            let window = plan.window;
            prop_assert!(window.left >= 0.0 && window.top >= 0.0 && window.right <= size.width && window.bottom <= size.height);
            prop_assert_eq!((window.width(), window.height()), (f64::from(plan.side_px), f64::from(plan.side_px)));
            prop_assert!(plan.side_px <= side && window.width() * window.height() < size.area());
            // Rounding to whole pixels moves a square by half of one.
            prop_assert!(window.left <= wanted.left + 1.0 && window.right >= wanted.right - 1.0);
            prop_assert!(window.top <= wanted.top + 1.0 && window.bottom >= wanted.bottom - 1.0);
            let shown = ShownFit::of_part(&plan).shown_from_screen;
            check_round_trip(shown, Point::new(window.left + x, window.top + y))?;
        }
    }

    #[test]
    fn a_crop_of_a_crop_maps_back_and_forth(
        (w, h) in (side(), side()), (x, y) in (0.0..1.0_f64, 0.0..1.0_f64), offset in 1_u32..300, side in 1_u32..700,
    ) {
        let size = Size::of_pixels(w, h);
        let point = Point::new(x * size.width, y * size.height);
        let crop_from_screen = plan_crop(point, size, offset, side).crop_from_screen;
        check_round_trip(crop_from_screen, point)?;
        let grid_from_crop = thousand_from_screen(size).after(crop_from_screen.inverse());
        let direct = thousand_from_screen(size).apply(point);
        let chained = grid_from_crop.apply(crop_from_screen.apply(point));
        prop_assert!(chained.distance(direct) < 1e-6);
    }

    #[test]
    fn a_crop_lies_on_the_screenshot_and_is_never_empty(
        (w, h) in (side(), side()), (x, y) in (coordinate(), coordinate()), offset in 0_u32..1_000, side in 1_u32..700,
    ) {
        let screenshot = Size::of_pixels(w, h);
        check_inside(plan_crop(Point::new(x, y), screenshot, offset, side), screenshot)?;
    }

    #[test]
    fn a_crop_at_any_corner_or_edge_lies_on_the_screenshot(
        (w, h) in (side(), side()), (column, row) in (0_usize..5, 0_usize..5), offset in 0_u32..1_000,
    ) {
        let screenshot = Size::of_pixels(w, h);
        let places = |side: f64| [-1.0, 0.0, side - 1.0, side, side + 1.0];
        let point = Point::new(places(screenshot.width)[column], places(screenshot.height)[row]);
        check_inside(plan_crop(point, screenshot, offset, 56), screenshot)?;
    }

    #[test]
    fn any_window_is_reduced_to_the_screenshot(
        (w, h) in (side(), side()), edges in [coordinate(), coordinate(), coordinate(), coordinate()],
    ) {
        let screenshot = Size::of_pixels(w, h);
        let [left, top, right, bottom] = edges;
        check_inside(plan_window(Rect::new(left, top, right, bottom), screenshot, 56), screenshot)?;
    }

    #[test]
    fn a_window_moved_inside_keeps_its_size_as_far_as_there_is_room(
        (w, h) in (side(), side()), (x, y) in (coordinate(), coordinate()), offset in 1_u32..1_000,
    ) {
        let screenshot: Size<Screen> = Size::of_pixels(w, h);
        let offset = f64::from(offset);
        let wanted = Rect::new(x - offset, y - offset, x + offset, y + offset);
        let window = moved_inside(wanted, screenshot);
        check_inside(plan_window(window, screenshot, 56), screenshot)?;
        if x.abs() < 1e6 && y.abs() < 1e6 {
            prop_assert!((window.width() - (2.0 * offset).min(screenshot.width)).abs() < 1e-6);
            prop_assert!((window.height() - (2.0 * offset).min(screenshot.height)).abs() < 1e-6);
            // Nothing that the cut window shows is lost.
            let cut = plan_window(wanted, screenshot, 56).window;
            let point = Point::new(x, y);
            prop_assert!(!screenshot.contains(point) || !cut.contains(point) || window.contains(point));
        }
    }

    #[test]
    fn a_point_on_the_screenshot_lies_in_its_crop(
        (w, h) in (side(), side()), x in 0.0..1.0_f64, y in 0.0..1.0_f64, offset in 1_u32..1_000,
    ) {
        let screenshot = Size::of_pixels(w, h);
        // Coordinates are integers in the protocol.
        let point = Point::new((x * screenshot.width).floor(), (y * screenshot.height).floor());
        prop_assert!(plan_crop(point, screenshot, offset, 56).window.contains(point));
    }

    #[test]
    fn resized_sides_are_multiples_of_the_factor_within_the_budget(
        ((w, h), budget) in (image_size(), budget()),
    ) {
        let (new_w, new_h) = smart_resize(w, h, budget).unwrap();
        prop_assert!(new_w > 0 && new_h > 0);
        prop_assert_eq!((new_w % budget.factor, new_h % budget.factor), (0, 0));
        let area = u64::from(new_w) * u64::from(new_h);
        // A side that cannot become smaller than one factor may force the area out of the budget.
        if new_w != budget.factor && new_h != budget.factor {
            prop_assert!(area <= budget.max_pixels, "{new_w}x{new_h} of {w}x{h}");
        }
        prop_assert!(area >= budget.min_pixels, "{new_w}x{new_h} of {w}x{h}");
    }

    #[test]
    fn a_second_resize_changes_nothing(((w, h), budget) in (image_size(), budget())) {
        let (new_w, new_h) = smart_resize(w, h, budget).unwrap();
        // Rounding can push an aspect ratio of almost 200 over what a processor takes.
        let accepted = new_w.max(new_h) <= new_w.min(new_h) * 200;
        if accepted && new_w != budget.factor && new_h != budget.factor {
            prop_assert_eq!(smart_resize(new_w, new_h, budget).unwrap(), (new_w, new_h));
        }
    }

    #[test]
    fn a_clamped_point_lies_on_the_screenshot((w, h) in (side(), side()), x in -1e9..1e9_f64, y in -1e9..1e9_f64) {
        let screenshot: Size<Screen> = Size::of_pixels(w, h);
        prop_assert!(screenshot.contains(Point::new(x, y).clamped(screenshot)));
    }
}

const QWEN: PixelBudget = PixelBudget { factor: 28, min_pixels: 3_136, max_pixels: 12_845_056 };

#[track_caller]
fn check_resize(width: u32, height: u32, expected: Result<(u32, u32), FitError>) {
    assert_eq!(smart_resize(width, height, QWEN), expected);
}

#[test]
fn known_sizes_are_resized_as_by_the_reference() {
    check_resize(1280, 800, Ok((1288, 812)));
    check_resize(1920, 1080, Ok((1932, 1092)));
    check_resize(512, 512, Ok((504, 504)));
    check_resize(384, 384, Ok((392, 392)));
    check_resize(672, 672, Ok((672, 672)));
    // Exact halves go to the even multiple: 2.5 and 3.5 factors.
    check_resize(70, 98, Ok((56, 112)));
    check_resize(1, 1, Ok((56, 56)));
    // A side that rounds to 0 makes the area 0: the image is enlarged to the minimum, 2 x 18 patches of 14.
    check_resize(200, 10, Ok((252, 28)));
    check_resize(10, 200, Ok((28, 252)));
    check_resize(1000, 10, Ok((560, 28)));
}

#[test]
fn no_side_is_ever_0() {
    let without_minimum = PixelBudget { min_pixels: 0, ..QWEN };
    assert_eq!(smart_resize(200, 10, without_minimum), Ok((196, 28)));
    let tiny = PixelBudget { min_pixels: 0, max_pixels: 1, ..QWEN };
    assert_eq!(smart_resize(200, 100, tiny), Ok((28, 28)));
}

#[test]
fn images_without_pixels_or_too_elongated_are_refused() {
    check_resize(0, 10, Err(FitError::Empty));
    check_resize(2, 401, Err(FitError::TooElongated { width: 2, height: 401 }));
}

#[test]
fn crop_edges_are_rounded_halves_to_even_as_by_pillow() {
    let window = plan_crop(Point::new(50.5, 51.5), Size::of_pixels(200, 200), 10, 28).window;
    assert_eq!(window, Rect::new(40.0, 42.0, 60.0, 62.0));
}

#[test]
fn at_a_border_the_window_shrinks_and_is_stretched() {
    let plan = plan_crop(Point::new(1279.0, 5.0), Size::of_pixels(1280, 800), 100, 504);
    assert_eq!(plan.window, Rect::new(1179.0, 0.0, 1280.0, 105.0));
    let center = plan.crop_from_screen.apply(plan.window.center());
    assert!(center.distance(Point::new(252.0, 252.0)) < 1e-9);
}

#[test]
fn coordinate_zero_is_a_place_like_any_other() {
    let size: Size<Screen> = Size::of_pixels(10, 10);
    assert!(size.contains(Point::new(0.0, 0.0)));
    assert!(!size.contains(Point::new(10.0, 0.0)));
    assert!(!size.contains(Point::new(f64::NAN, 0.0)));
}

//! The numbers of lines that are known.

use std::fs;

use image::RgbImage;
use serde_json::{Value, json};

use super::super::Known;
use super::{head, open, played, spot, spots};
use crate::result::EvaluationResult;

/// Two items on web more than on the other platforms, so that the averages differ.
fn uneven() -> tempfile::TempDir {
    let folder = spots();
    let bbox = || serde_json::json!([10, 20, 30, 40]);
    let web = serde_json::json!([
        spot(bbox(), "text", "shop"),
        spot(bbox(), "text", "shop"),
        spot(bbox(), "text", "forum"),
        spot(bbox(), "icon", "shop"),
    ]);
    std::fs::write(folder.path().join("screenspot_web.json"), web.to_string()).unwrap();
    folder
}

#[test]
fn the_mean_over_items_and_the_mean_over_cells_are_both_named() {
    let folder = uneven();
    let set = open(Known::ScreenSpot, folder.path()).unwrap();
    let (hit, miss) = ("(25, 40)", "(300, 200)");
    // Mobile text and icon, desktop text and icon, three texts and an icon of the web.
    let lines = played(&set, &[hit, miss, "here", miss, hit, hit, hit, "(9999, 5)"]);
    let all = EvaluationResult::of(&head(&set), &lines, String::new());
    let result = &all.modes[0];
    assert_eq!((result.all.n_success, result.all.n, result.n_errors), (4, 8, 0));
    assert_eq!(result.n_wrong_format, 1, "a point outside of the picture could be read, and is wrong");
    let average = &result.macro_averages[0];
    assert_eq!((&*average.over, average.n_values, average.n_known), ("cell", 6, 6));
    assert!((average.mean - 2.0 / 6.0).abs() < 1e-12, "two of six cells are wholly right: {average:?}");
    let rate = |group: &str, value: &str| (result.by[group][value].n_success, result.by[group][value].n);
    assert_eq!((rate("by_type", "text"), rate("by_type", "icon")), ((4, 5), (0, 3)));
    assert_eq!((rate("by_platform", "web"), rate("by_cell", "web text")), ((3, 4), (3, 3)));
    let table = all.table();
    for words in [
        "micro over 8 items 50.00 %; macro over 6 of `cell` 33.33 %",
        "wrong format: 1 of 8, each counted as wrong",
        "not the 1272 of the published set",
    ] {
        assert!(table.contains(words), "`{words}` is missing in:\n{table}");
    }
}

#[test]
fn an_average_over_cells_says_how_many_of_them_were_played() {
    let folder = uneven();
    let choice = super::super::SetChoice { limit: Some(1), ..super::choice(folder.path()) };
    let set = super::super::GroundingSet::open(Known::ScreenSpot, &choice).unwrap();
    let result = EvaluationResult::of(&head(&set), &played(&set, &["(25, 40)"]), String::new());
    let average = &result.modes[0].macro_averages[0];
    assert_eq!((average.n_values, average.n_known), (1, 6));
}

#[test]
fn the_hash_of_what_is_asked_changes_with_all_of_it_and_with_nothing_else() {
    let hash = |change: &dyn Fn(&mut Value), side: Option<u32>| {
        let folder = spots();
        let mut item = spot(json!([10, 20, 30, 40]), "text", "shop");
        change(&mut item);
        fs::write(folder.path().join("screenspot_web.json"), json!([item]).to_string()).unwrap();
        if let Some(side) = side {
            RgbImage::new(side, side).save(folder.path().join("screenspot_imgs/a.png")).unwrap();
        }
        head(&open(Known::ScreenSpot, folder.path()).unwrap()).described.items_sha256
    };
    let plain = hash(&|_| (), None);
    assert!(plain.len() == 64 && plain.chars().all(|digit| digit.is_ascii_hexdigit()), "{plain}");
    assert_eq!(hash(&|_| (), None), plain, "in another folder");
    assert_eq!(hash(&|item| item["difficulty"] = json!("hard"), None), plain, "nobody is asked that");
    type Change<'c> = (&'c str, &'c dyn Fn(&mut Value));
    let changes: [Change<'_>; 5] = [
        ("its words", &|item| item["instruction"] = json!("the other button")),
        ("its place", &|item| item["bbox"] = json!([10, 20, 30, 41])),
        ("a group", &|item| item["data_source"] = json!("forum")),
        ("another group", &|item| item["data_type"] = json!("icon")),
        ("its name", &|item| item["id"] = json!("own")),
    ];
    let mut all = vec![plain];
    for (what, change) in changes {
        let changed = hash(change, None);
        assert!(!all.contains(&changed), "{what}");
        all.push(changed);
    }
    assert!(!all.contains(&hash(&|_| (), Some(500))), "the size of its picture");
}

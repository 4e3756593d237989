//! Every layout is read as it is published.

use std::collections::BTreeSet;
use std::fs;

use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::json;
use vigorl_geometry::Point;
use vigorl_judges::scoring::{Correctness, Prediction, Shape, Space, Target};

use super::super::pro::{GtType, InstructionStyle, Language};
use super::super::{BoxFormat, GroundingSet, Known, SetChoice};
use super::{
    HubRow, SIZE, choice, folder, ids, open, pro_item, pro_lists, regions, spots, write_parquet, write_rows,
};
use crate::evaluation::Evaluation;

#[test]
fn lists_of_screenspot_have_boxes_of_left_top_width_height_in_pixels() {
    let folder = spots();
    let set = open(Known::ScreenSpot, folder.path()).unwrap();
    assert_eq!(set.n_items(), 6);
    assert!(regions(&set).iter().all(|region| *region == [10.0, 20.0, 40.0, 60.0]));
    assert_eq!(ids(&set)[..3], ["screenspot_mobile/0", "screenspot_mobile/1", "screenspot_desktop/0"]);
    let item = set.item(1).unwrap();
    assert_eq!(item.instruction, "the icon of ios");
    let values = [("type", "icon"), ("platform", "mobile"), ("cell", "mobile icon"), ("source", "ios")];
    assert_eq!(item.values, values.map(|(group, value)| (group, value.to_owned())));
    assert_eq!(item.chance, Some(30.0 * 40.0 / (400.0 * 300.0)));
    assert!(set.notes()[0].contains("not the 1272 of the published set"), "{:?}", set.notes());
    assert!(set.title().contains("lists · xywh-px"), "{}", set.title());
}

#[test]
fn boxes_without_a_width_or_a_height_are_judged_as_the_judge_of_points_judges_them() {
    let folder = spots();
    let flat = [[50, 20, 0, 40], [10, 70, 30, 0], [90, 90, 0, 0]];
    let items = json!(flat.map(|bbox| super::spot(json!(bbox), "text", "shop")));
    fs::write(folder.path().join("screenspot_web.json"), items.to_string()).unwrap();
    let set = open(Known::ScreenSpot, folder.path()).unwrap();
    assert_eq!(set.n_items(), 7, "they stay in the denominator");
    assert!(set.notes()[0].contains("3 boxes have no width or no height"), "{:?}", set.notes());
    for (idx, [left, top, width, height]) in (4..).zip(flat) {
        let region = set.item(idx).unwrap().targets.remove(0);
        let edges = [left, top, left + width, top + height].map(f64::from);
        assert_eq!(region.numbers(), edges);
        let [left, top, right, bottom] = edges;
        let middle = ((left + right) / 2.0, (top + bottom) / 2.0);
        let beside = [(left - 0.5, top - 0.5), (right + 0.5, bottom + 0.5), (right + 1.0, top - 1.0)];
        let points = [(left, top), middle, (right, bottom)].map(|at| (at, true));
        let target = Target::try_new(edges, [SIZE.0, SIZE.1]).unwrap();
        for ((x, y), is_right) in points.into_iter().chain(beside.map(|at| (at, false))) {
            let said = Prediction { shape: Shape::Point([x, y]), space: Space::Pixels([SIZE.0, SIZE.1]) };
            assert_eq!(region.holds(Point::new(x, y)), is_right, "({x}, {y}) and {edges:?}");
            assert_eq!(target.judge(Some(&said)), Correctness::of(is_right), "({x}, {y}) and {edges:?}");
        }
    }
}

#[test]
fn the_two_versions_have_names_of_their_own() {
    let folder = spots();
    let error = open(Known::ScreenSpotV2, folder.path()).unwrap_err();
    assert!(error.contains("vigorl eval screenspot --data"), "{error}");
    for platform in ["mobile", "desktop", "web"] {
        let place = |end: &str| folder.path().join(format!("screenspot_{platform}{end}.json"));
        fs::rename(place(""), place("_v2")).unwrap();
    }
    fs::rename(folder.path().join("screenspot_imgs"), folder.path().join("screenspotv2_image")).unwrap();
    let set = open(Known::ScreenSpotV2, folder.path()).unwrap();
    assert_eq!(ids(&set)[5], "screenspot_web_v2/1");
    assert_eq!(set.id(), "screenspot-v2/v1");
}

#[test]
fn parquet_of_screenspot_has_boxes_of_four_edges_in_shares_and_its_pictures_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (w, h) = (f64::from(SIZE.0), f64::from(SIZE.1));
    let boxes = [[10.0 / w, 20.0 / h, 40.0 / w, 60.0 / h], [0.0, 0.0, 0.5, 0.5]];
    write_parquet(&folder.path().join("test-00000-of-00001.parquet"), &boxes);
    let set = open(Known::ScreenSpot, folder.path()).unwrap();
    assert_eq!(regions(&set), [vec![10.0, 20.0, 40.0, 60.0], vec![0.0, 0.0, 200.0, 150.0]]);
    assert_eq!(ids(&set)[1], "test-00000-of-00001/1");
    assert_eq!(set.item(0).unwrap().values[2], ("cell", "desktop icon".to_owned()));
    let lines = super::played(&set, &["(40, 60)", "(201, 10)"]);
    let right: Vec<_> = lines.iter().map(|line| line.is_right).collect();
    assert_eq!(right, [Some(true), Some(false)], "the picture is there, and its edges belong to the box");
}

#[test]
fn columns_are_read_however_they_are_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test-00000-of-00001.parquet");
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
    ] {
        let rows = [[0.25, 0.25, 0.5, 0.5], [0.0, 0.0, 0.5, 0.5]].map(HubRow::new);
        write_rows(&path, &rows, compression);
        let written = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
        let of_column = written.metadata().row_group(0).column(0).compression();
        assert_eq!(format!("{of_column:?}"), format!("{compression:?}"), "it is written as it is said");
        let set = open(Known::ScreenSpot, folder.path()).unwrap();
        assert_eq!(
            regions(&set),
            [vec![100.0, 75.0, 200.0, 150.0], vec![0.0, 0.0, 200.0, 150.0]],
            "{compression}"
        );
        assert_eq!(set.screenshot(1).unwrap().unwrap().dimensions(), SIZE, "{compression}: and its picture");
    }
}

#[test]
fn the_bundled_pictures_need_no_folder_and_are_not_called_screenspot() {
    let all = GroundingSet::open(Known::ScreenSpot, &SetChoice::default()).unwrap();
    assert_eq!((all.id(), all.n_items()), ("screenspot-bundled/v1", 20));
    assert!(all.notes()[0].contains("not ScreenSpot's"), "{:?}", all.notes());
    for idx in 0..all.n_items() {
        let item = all.item(idx).unwrap();
        let mut world = all.world(idx, None, vigorl_geometry::DevicePixelRatio::ONE, &[]).unwrap();
        assert_eq!(world.reset(idx).unwrap().goal, item.instruction);
    }
    let limited = |limit| {
        let choice = SetChoice { limit: Some(limit), ..SetChoice::default() };
        ids(&GroundingSet::open(Known::ScreenSpot, &choice).unwrap()).into_iter().collect::<BTreeSet<_>>()
    };
    let (few, more) = (limited(5), limited(9));
    assert_eq!((few.len(), more.len(), limited(1000).len()), (5, 9, 20));
    assert!(few.is_subset(&more), "the shuffle is always the same");
    assert_ne!(few, ids(&all)[..5].iter().cloned().collect(), "and it shuffles");
}

#[test]
fn annotations_of_screenspot_pro_have_boxes_of_four_edges_in_pixels() {
    let of_blender = json!([pro_item("b0", "text", "Creative"), pro_item("b1", "icon", "Creative")]);
    let of_stata = json!([pro_item("s0", "text", "Scientific")]);
    let folder = pro_lists(&[("blender_windows", of_blender), ("stata_windows", of_stata)]);
    let set = open(Known::ScreenSpotPro, folder.path()).unwrap();
    assert_eq!(ids(&set), ["b0", "b1", "s0"]);
    assert_eq!(regions(&set)[0], [10.0, 20.0, 40.0, 60.0]);
    let item = set.item(2).unwrap();
    assert!(item.values.contains(&("cell", "Scientific text".to_owned())), "{item:?}");
    assert!(item.values.contains(&("application", "blender".to_owned())), "{item:?}");
    let lines = super::played(&set, &["(30, 30)", "(300, 30)", "here"]);
    let (_, output) = set.reference_outputs("ours", &lines.iter().collect::<Vec<_>>()).remove(0);
    let detail = &output["details"][0];
    for (name, value) in [
        ("id", json!("b0")),
        ("group", json!("Creative")),
        ("platform", json!("windows")),
        ("lang", json!("en")),
        ("instruction_style", json!("instruction")),
        ("prompt_to_evaluate", json!("the button")),
        ("gt_type", json!("positive")),
        ("ui_type", json!("text")),
        ("task_filename", json!("blender_windows")),
        ("pred", json!([30.0, 30.0])),
        ("raw_response", json!(super::answer("(30, 30)"))),
        ("bbox", json!([10.0, 20.0, 40.0, 60.0])),
        ("correctness", json!("correct")),
    ] {
        assert_eq!(detail[name], value, "{name}: {detail:#}");
    }
    let path = detail["img_path"].as_str().unwrap();
    assert!(path.ends_with("images/a.png"), "{path}");
    assert_eq!(output["details"][1]["correctness"], "wrong");
    assert_eq!(output["details"][2]["correctness"], "wrong_format");
    assert_eq!(output["details"][2]["pred"], json!(null));
    let overall = &output["metrics"]["overall"];
    assert_eq!((&overall["num_total"], &overall["wrong_format_num"]), (&json!(3), &json!(1)));
}

#[test]
fn screenspot_pro_is_asked_in_other_words_only_where_the_file_has_them() {
    let mut styled = pro_item("styled", "text", "Dev");
    styled["action"] = json!("press the button");
    let mut negative = pro_item("negative", "text", "Dev");
    negative["gt_type"] = json!("negative");
    let folder = pro_lists(&[("vscode_macos", json!([styled, negative]))]);
    let asked = |change: &dyn Fn(&mut SetChoice)| {
        let mut choice = choice(folder.path());
        change(&mut choice);
        GroundingSet::open(Known::ScreenSpotPro, &choice)
    };
    let plain = asked(&|_| {}).unwrap();
    assert_eq!(ids(&plain), ["styled"], "positive items are what is asked for");
    assert!(plain.notes()[0].contains("1 items of the other kind"), "{:?}", plain.notes());
    let action = asked(&|choice| choice.instruction_style = Some(InstructionStyle::Action)).unwrap();
    assert_eq!(action.item(0).unwrap().instruction, "press the button");
    let error = asked(&|choice| choice.instruction_style = Some(InstructionStyle::Description)).unwrap_err();
    assert!(error.contains("`styled`: it has no field `description`"), "{error}");
    let chinese = asked(&|choice| choice.language = Some(Language::Cn)).unwrap();
    assert_eq!(chinese.item(0).unwrap().instruction, "按钮");
    let error = asked(&|choice| {
        choice.language = Some(Language::Cn);
        choice.gt_type = Some(GtType::All);
    });
    assert!(error.unwrap_err().contains("leave out"));
    let all = asked(&|choice| choice.gt_type = Some(GtType::All)).unwrap();
    assert_eq!((all.item(0).unwrap().is_absent, all.item(1).unwrap().is_absent), (false, true));
    let only = asked(&|choice| choice.gt_type = Some(GtType::Negative)).unwrap();
    assert_eq!(ids(&only), ["negative"]);
}

#[test]
fn osworld_g_has_boxes_outlines_and_what_is_not_there() {
    let item = |id: &str, kind: &str, numbers: serde_json::Value, words: &str| {
        json!({
            "id": id, "image_path": "a.png", "image_size": [SIZE.0, SIZE.1], "instruction": words,
            "box_type": kind, "box_coordinates": numbers, "GUI_types": ["Button"],
        })
    };
    let items = |words: &str| {
        json!([
            item("x-0", "bbox", json!([10.5, 20.0, 30.0, 40.0]), words),
            item("x-1", "polygon", json!([100, 100, 140, 100, 120, 140]), words),
            item("x-2", "refusal", json!([]), words),
        ])
    };
    let classes = json!({ "classified": { "text_matching": [{ "id": "x-0" }, "x-1"], "refusal": ["x-2"] } });
    let folder = folder(
        "benchmark/images",
        &[
            ("benchmark/OSWorld-G.json", items("the thing")),
            ("benchmark/OSWorld-G_refined.json", items("the round thing")),
            ("benchmark/classification_result.json", classes),
        ],
    );
    let set = open(Known::OsworldG, folder.path()).unwrap();
    assert_eq!(regions(&set)[0], [10.5, 20.0, 40.5, 60.0]);
    assert_eq!(regions(&set)[1], [100.0, 100.0, 140.0, 100.0, 120.0, 140.0]);
    assert!(set.item(2).unwrap().is_absent && regions(&set)[2].is_empty());
    assert!(set.notes().iter().any(|note| note.contains("the original ones")), "{:?}", set.notes());
    // Below the slope of the outline, beside it, and a point of negative numbers, which says that there is no place.
    let lines = super::played(&set, &["(40, 60)", "(101, 130)", "(-1, -1)"]);
    let right: Vec<_> = lines.iter().map(|line| line.is_right).collect();
    assert_eq!(right, [Some(true), Some(false), Some(true)]);
    let lines = super::played(&set, &["(-1, -1)", "(120, 110)", "nowhere"]);
    let outcomes: Vec<_> = lines.iter().map(|line| json!(line.outcome)).collect();
    assert_eq!(
        outcomes,
        ["wrong", "correct", "wrong_format"],
        "an answer that cannot be read refuses nothing"
    );
    let refined = SetChoice { refined: true, ..choice(folder.path()) };
    let refined = GroundingSet::open(Known::OsworldG, &refined).unwrap();
    assert_eq!(refined.item(0).unwrap().instruction, "the round thing");
    assert_eq!(refined.to_json()["instructions"], "refined");
}

#[test]
fn ui_vision_has_corners_in_any_order_which_are_sorted_and_counted() {
    let list = |bbox: serde_json::Value| {
        json!([{
            "image_path": "a.png", "image_size": [SIZE.0, SIZE.1], "prompt_to_evaluate": "the button",
            "bbox": bbox, "platform": "Blender", "element_type": "Button",
        }])
    };
    let place = "annotations/element_grounding/element_grounding_";
    let names = ["basic", "functional", "spatial"].map(|split| format!("{place}{split}.json"));
    let boxes = [json!([10, 20, 40, 60]), json!([40, 60, 10, 20]), json!([40, 20, 10, 60])];
    let files: Vec<_> = names.iter().map(|name| &**name).zip(boxes.map(list)).collect();
    let folder = folder("images", &files);
    let set = open(Known::UiVision, folder.path()).unwrap();
    assert!(regions(&set).iter().all(|region| *region == [10.0, 20.0, 40.0, 60.0]));
    assert!(set.notes().contains(&"2 boxes have swapped corners, which were sorted".to_owned()));
    assert_eq!(set.item(2).unwrap().values[0], ("split", "spatial".to_owned()));
    assert_eq!(set.macro_groups(), ["split"], "the published number is the mean of the three");
}

#[test]
fn mmbench_gui_has_shares_and_pictures_by_platform() {
    let item = |bbox: serde_json::Value, level: &str| {
        json!({
            "image_path": "a.png", "platform": "os_windows", "instruction": "the button", "bbox": bbox,
            "grounding_type": level, "data_type": "icon", "app_name": "paint",
        })
    };
    let list =
        json!([item(json!([0.1, 0.2, 0.5, 0.6]), "basic"), item(json!([-1, 0.2, 0.5, 0.6]), "advanced")]);
    let folder = folder("offline_images/os_windows", &[("L2_annotations.json", list)]);
    let set = open(Known::MmbenchGui, folder.path()).unwrap();
    assert_eq!(regions(&set), [vec![40.0, 60.0, 200.0, 180.0], vec![0.0, 60.0, 200.0, 180.0]]);
    assert!(set.notes()[0].contains("1 boxes have an edge of -1"), "{:?}", set.notes());
    assert_eq!(set.macro_groups(), ["level"]);
}

#[test]
fn somebody_can_say_what_the_boxes_are() {
    let folder = spots();
    let told = SetChoice { box_format: Some(BoxFormat::XyxyPx), ..choice(folder.path()) };
    let set = GroundingSet::open(Known::ScreenSpot, &told).unwrap();
    assert_eq!(regions(&set)[0], [10.0, 20.0, 30.0, 40.0]);
    assert_eq!(
        (&set.to_json()["bbox_format"], &set.to_json()["bbox_format_is_told"]),
        (&json!("xyxy-px"), &json!(true))
    );
}

#[test]
fn options_of_one_set_are_refused_by_the_others() {
    let folder = spots();
    let styled = SetChoice { language: Some(Language::Cn), ..choice(folder.path()) };
    assert!(GroundingSet::open(Known::ScreenSpot, &styled).unwrap_err().contains("screenspot-pro"));
    let refined = SetChoice { refined: true, ..choice(folder.path()) };
    assert!(GroundingSet::open(Known::ScreenSpot, &refined).unwrap_err().contains("osworld-g"));
    let nowhere = GroundingSet::open(Known::UiVision, &SetChoice::default()).unwrap_err();
    assert!(nowhere.contains("--data") && nowhere.contains("docs/evaluation.md"), "{nowhere}");
}

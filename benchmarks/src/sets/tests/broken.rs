//! What is broken is named, and nothing of it is played; what is left out is counted.

use std::fs;

use image::ImageFormat;
use parquet::basic::Compression;
use serde_json::{Value, json};

use super::super::pro::FILES;
use super::super::{BoxFormat, GroundingSet, Known, SetChoice};
use super::{
    HubRow, SIZE, choice, folder, head, open, picture, pro_item, pro_lists, spot, spots, write_parquet,
    write_rows,
};
use crate::evaluation::Evaluation;
use crate::result::EvaluationResult;

/// Lists of ScreenSpot, of which the one of web is this.
fn with_web(web: Value) -> tempfile::TempDir {
    let folder = spots();
    fs::write(folder.path().join("screenspot_web.json"), web.to_string()).unwrap();
    folder
}

#[test]
fn a_broken_item_is_named_and_can_be_left_out_but_never_silently() {
    let good = spot(json!([10, 20, 30, 40]), "text", "shop");
    let changed = |field: &str, value: Value| {
        let mut item = good.clone();
        item[field] = value;
        item
    };
    for (broken, word) in [
        (changed("img_filename", json!("missing.png")), "missing.png` is not there"),
        (changed("img_filename", json!("../screenspot_web.json")), "no path inside"),
        (changed("bbox", json!([390, 290, 100, 100])), "leaves the picture"),
        (changed("bbox", json!([10, 20, -30, 40])), "negative width"),
        (changed("bbox", json!([10, 20, 30])), "it cannot be read"),
        (changed("bbox", json!("10 20 30 40")), "it cannot be read"),
        (changed("instruction", json!("  ")), "asks for nothing"),
        (changed("data_type", json!("image")), "none of: text, icon"),
        (changed("data_source", json!("ios")), "not of the platform of its list"),
        (changed("split", json!("train")), "belongs to the split `train`"),
    ] {
        let folder = with_web(json!([good, broken, good]));
        let error = open(Known::ScreenSpot, folder.path()).unwrap_err();
        for word in ["`screenspot_web/1`", word, "nothing was played", "--skip-broken"] {
            assert!(error.contains(word), "`{word}` is missing in: {error}");
        }
        let skipping = SetChoice { skip_broken: true, ..choice(folder.path()) };
        let set = GroundingSet::open(Known::ScreenSpot, &skipping).unwrap();
        assert_eq!(set.n_items(), 6);
        assert_eq!((&set.to_json()["n_skipped"], &set.to_json()["n_items"]), (&json!(1), &json!(6)));
        let notes = set.notes().join("\n");
        assert!(
            notes.contains("1 broken items were left out") && notes.contains("screenspot_web/1"),
            "{notes}"
        );
    }
}

#[test]
fn a_box_that_is_written_in_another_way_is_never_left_out() {
    let good = spot(json!([10, 20, 30, 40]), "text", "shop");
    // As four edges it fits, and as left, top, width, height it does not.
    let other = spot(json!([300, 200, 350, 250]), "text", "shop");
    let folder = with_web(json!([good, other]));
    for skip_broken in [false, true] {
        let asked = SetChoice { skip_broken, ..choice(folder.path()) };
        let error = GroundingSet::open(Known::ScreenSpot, &asked).unwrap_err();
        assert!(error.contains("`screenspot_web/1`") && error.contains("--bbox-format"), "{error}");
    }
    let told = SetChoice { box_format: Some(BoxFormat::XyxyPx), ..choice(folder.path()) };
    assert_eq!(GroundingSet::open(Known::ScreenSpot, &told).unwrap().n_items(), 6);
}

#[test]
fn shares_above_one_are_refused_by_the_name_of_their_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test-00000-of-00001.parquet");
    write_parquet(&path, &[[0.1, 0.1, 0.2, 0.2], [10.0, 20.0, 40.0, 60.0]]);
    let error = open(Known::ScreenSpot, folder.path()).unwrap_err();
    assert!(error.contains("`test-00000-of-00001/1`") && error.contains("shares from 0 to 1"), "{error}");
    write_parquet(&path, &[[10.0, 20.0, 40.0, 60.0], [20.0, 20.0, 40.0, 60.0]]);
    let told = SetChoice { box_format: Some(BoxFormat::XyxyPx), ..choice(folder.path()) };
    assert_eq!(GroundingSet::open(Known::ScreenSpot, &told).unwrap().n_items(), 2);
    write_parquet(&path, &[[0.3, 0.1, 0.2, 0.2]]);
    let error = open(Known::ScreenSpot, folder.path()).unwrap_err();
    assert!(error.contains("swapped corners"), "{error}");
}

#[test]
fn a_file_of_parquet_that_is_cut_or_changed_gives_rows_or_an_error_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test-00000-of-00001.parquet");
    write_parquet(&path, &[[0.1, 0.1, 0.2, 0.2], [0.2, 0.2, 0.4, 0.6]]);
    let whole = fs::read(&path).unwrap();
    for n in [0, 4, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..n]).unwrap();
        let error = open(Known::ScreenSpot, folder.path()).unwrap_err();
        assert!(error.contains("test-00000-of-00001") && error.contains("fetch the file again"), "{error}");
    }
    let mut n_errors = 0;
    for at in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        fs::write(&path, &changed).unwrap();
        n_errors += usize::from(open(Known::ScreenSpot, folder.path()).is_err());
    }
    assert!(n_errors > 0, "most of the file is what says how it is read");
}

#[test]
fn a_compression_that_is_not_read_is_named_with_its_column_and_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test-00000-of-00001.parquet");
    write_parquet(&path, &[[0.1, 0.1, 0.2, 0.2]]);
    let mut file = fs::read(&path).unwrap();
    // Nobody here writes LZO. Behind a column's name stands how it is compressed: 0 is not at all, 6 is LZO.
    let named = b"\x0binstruction\x15\x00";
    let at = file.windows(named.len()).rposition(|bytes| bytes == named).unwrap();
    file[at + named.len() - 1] = 6;
    fs::write(&path, file).unwrap();
    for skip_broken in [false, true] {
        let asked = SetChoice { skip_broken, ..choice(folder.path()) };
        let error = GroundingSet::open(Known::ScreenSpot, &asked).unwrap_err();
        for word in [
            "test-00000-of-00001.parquet",
            "`instruction` is compressed with LZO",
            "zstd",
            "write the file again",
        ] {
            assert!(error.contains(word), "`{word}` is missing in: {error}");
        }
        assert!(!error.contains("fetch the file again"), "the file is whole: {error}");
    }
}

#[test]
fn a_list_that_is_cut_or_missing_is_refused() {
    let folder = spots();
    let path = folder.path().join("screenspot_web.json");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    for skip_broken in [false, true] {
        let asked = SetChoice { skip_broken, ..choice(folder.path()) };
        let error = GroundingSet::open(Known::ScreenSpot, &asked).unwrap_err();
        assert!(error.contains("whole up to item `screenspot_web/0`"), "{error}");
    }
    fs::remove_file(&path).unwrap();
    let error = open(Known::ScreenSpot, folder.path()).unwrap_err();
    assert!(error.contains("screenspot_web.json` is not there"), "{error}");
    let skipping = SetChoice { skip_broken: true, ..choice(folder.path()) };
    let set = GroundingSet::open(Known::ScreenSpot, &skipping).unwrap();
    assert_eq!(set.n_items(), 4);
    assert!(set.notes().join("\n").contains("nothing of it is measured"), "{:?}", set.notes());
}

#[test]
fn a_part_of_screenspot_pro_is_refused_or_told_with_the_numbers() {
    let folder = pro_lists(&[
        ("blender_windows", json!([pro_item("b0", "text", "Creative")])),
        ("word_macos", json!([pro_item("w0", "icon", "Office")])),
    ]);
    let set = open(Known::ScreenSpotPro, folder.path()).unwrap();
    assert!(!set.notes().join("\n").contains("26 files"), "all are there: {:?}", set.notes());
    let remove = |stem: &str| {
        fs::remove_file(folder.path().join(format!("annotations/{stem}.json"))).unwrap();
    };
    let check = |words: &[&str], n_items: u64| {
        let error = open(Known::ScreenSpotPro, folder.path()).unwrap_err();
        let skipping = SetChoice { skip_broken: true, ..choice(folder.path()) };
        let set = GroundingSet::open(Known::ScreenSpotPro, &skipping).unwrap();
        let table = EvaluationResult::of(&head(&set), &[], String::new()).table();
        for word in words {
            assert!(error.contains(word), "`{word}` is missing in: {error}");
            assert!(table.contains(word), "`{word}` is missing in: {table}");
        }
        assert!(error.contains("--skip-broken measures without"), "{error}");
        assert_eq!(set.n_items(), n_items);
    };
    remove("stata_windows");
    check(&["25 of 26 files", "`stata_windows.json` is not there"], 2);
    remove("blender_windows");
    check(&["24 of 26 files", "`blender_windows.json`, `stata_windows.json` are not there"], 1);
    FILES[..2].iter().chain(&FILES[3..8]).for_each(|stem| remove(stem));
    check(&["17 of 26 files", "`android_studio_macos.json`", "and 4 more are not there"], 1);
}

#[test]
fn another_set_in_the_layout_of_screenspot_pro_has_files_of_its_own() {
    let items = json!([pro_item("m0", "text", "Dev")]);
    let folder = folder("images", &[("annotations/screenspot_mobile.json", items)]);
    let set = open(Known::ScreenSpotPro, folder.path()).unwrap();
    let notes = set.notes().join("\n");
    assert!(!notes.contains("26 files") && notes.contains("not the 1581 of the published set"), "{notes}");
}

#[test]
fn a_group_that_screenspot_pro_does_not_have_is_broken() {
    let items = json!([
        pro_item("b0", "text", "Creative"),
        pro_item("b1", "text", "creative"),
        pro_item("b2", "icon", "Games")
    ]);
    let folder = pro_lists(&[("blender_windows", items)]);
    let error = open(Known::ScreenSpotPro, folder.path()).unwrap_err();
    for word in [
        "2 of 3 items",
        "`b1`: its group is `creative`",
        "`b2`: its group is `Games`",
        "none of: Dev, Creative, CAD",
    ] {
        assert!(error.contains(word), "`{word}` is missing in: {error}");
    }
    let skipping = SetChoice { skip_broken: true, ..choice(folder.path()) };
    let set = GroundingSet::open(Known::ScreenSpotPro, &skipping).unwrap();
    assert_eq!((set.n_items(), &set.to_json()["n_skipped"]), (1, &json!(2)));
    let (_, groups) = set.groups().into_iter().find(|(group, _)| *group == "group").unwrap();
    assert_eq!(groups, ["Dev", "Creative", "CAD", "Scientific", "Office", "OS"], "and no row is made for it");
}

#[test]
fn ids_that_stand_twice_and_pictures_of_another_size_are_refused() {
    let mut other = pro_item("b1", "text", "Dev");
    other["img_size"] = json!([3840, 2160]);
    let twice = json!([pro_item("b0", "text", "Dev"), pro_item("b0", "icon", "Dev"), other]);
    let folder = pro_lists(&[("vscode_macos", twice)]);
    let error = open(Known::ScreenSpotPro, folder.path()).unwrap_err();
    for word in ["2 of 3 items", "`b0`: another item before it has the same id", "400x300", "3840x2160"] {
        assert!(error.contains(word), "`{word}` is missing in: {error}");
    }
}

/// JSON in which this stands where `"@"` does: no value of `serde_json` is written so.
fn written(json: &Value, value: &str) -> String {
    json.to_string().replace("\"@\"", value)
}

#[test]
fn a_value_that_is_none_breaks_its_item_and_is_named_with_its_field() {
    let good = spot(json!([10, 20, 30, 40]), "text", "shop");
    for (field, value, in_json, words) in [
        ("bbox", json!([10, 20, "@", 40]), "NaN", "`bbox[2]` is NaN"),
        ("bbox", json!(["@", 20, 30, 40]), "Infinity", "`bbox[0]` is Infinity"),
        ("bbox", json!([10, 20, 30, "@"]), "-Infinity", "`bbox[3]` is -Infinity"),
        ("bbox", json!([10, "@", 30, 40]), "1e999", "`bbox[1]` is 1e999"),
        ("bbox", json!("@"), "NaN", "`bbox` is NaN"),
        ("bbox", json!([10, 20, "@", 40]), "\"nan\"", "`bbox[2]`: invalid type: string"),
        ("bbox", json!([10, 20, "@", 40]), "null", "`bbox[2]`: invalid type: null"),
        ("instruction", json!("@"), "NaN", "`instruction` is NaN"),
        ("instruction", json!("@"), "\"NaN\"", "`instruction` is `NaN`"),
        ("instruction", json!("@"), "\" nan \"", "`instruction` is `nan`"),
        ("data_type", json!("@"), "NaN", "`data_type` is NaN"),
        ("data_source", json!("@"), "\"nan\"", "data_source is `nan`"),
        ("img_filename", json!("@"), "NaN", "`img_filename` is NaN"),
        ("split", json!("@"), "NaN", "`split` is NaN"),
    ] {
        let mut item = good.clone();
        item[field] = value;
        let folder = spots();
        let text = written(&json!([good, item, good]), in_json);
        fs::write(folder.path().join("screenspot_web.json"), text).unwrap();
        let error = open(Known::ScreenSpot, folder.path()).unwrap_err();
        for word in ["1 of 7 items", "`screenspot_web/1`", words, "nothing was played"] {
            assert!(error.contains(word), "{field} {in_json}: `{word}` is missing in: {error}");
        }
        let skipping = SetChoice { skip_broken: true, ..choice(folder.path()) };
        let set = GroundingSet::open(Known::ScreenSpot, &skipping).unwrap();
        assert_eq!((set.n_items(), &set.to_json()["n_skipped"]), (6, &json!(1)), "{field} {in_json}");
        assert!(set.notes().join("\n").contains(words), "{:?}", set.notes());
    }
    // Nobody reads it.
    let mut item = good.clone();
    item["difficulty"] = json!("@");
    let folder = spots();
    fs::write(folder.path().join("screenspot_web.json"), written(&json!([item]), "NaN")).unwrap();
    assert_eq!(open(Known::ScreenSpot, folder.path()).unwrap().n_items(), 5);
}

#[test]
fn a_value_that_is_none_breaks_its_row_of_a_parquet_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test-00000-of-00001.parquet");
    let good = [0.1, 0.1, 0.2, 0.2];
    for (bbox, instruction, words) in [
        ([0.1, f64::NAN, 0.2, 0.2], "the button", "`bbox[1]` is NaN"),
        ([0.1, 0.1, f64::INFINITY, 0.2], "the button", "`bbox[2]` is inf"),
        ([f64::NEG_INFINITY, 0.1, 0.2, 0.2], "the button", "`bbox[0]` is -inf"),
        (good, "nan", "`instruction` is `nan`"),
        (good, "NaN", "`instruction` is `NaN`"),
        (good, " ", "asks for nothing"),
    ] {
        let rows = [HubRow::new(good), HubRow { instruction, ..HubRow::new(bbox) }];
        write_rows(&path, &rows, Compression::SNAPPY);
        let error = open(Known::ScreenSpot, folder.path()).unwrap_err();
        for word in ["1 of 2 items", "`test-00000-of-00001/1`", words] {
            assert!(error.contains(word), "`{word}` is missing in: {error}");
        }
        let skipping = SetChoice { skip_broken: true, ..choice(folder.path()) };
        let set = GroundingSet::open(Known::ScreenSpot, &skipping).unwrap();
        assert_eq!((set.n_items(), &set.to_json()["n_skipped"]), (1, &json!(1)), "{words}");
    }
}

#[test]
fn a_value_that_is_none_is_named_in_every_set() {
    let refused = |set: Known, pictures: &str, name: &str, item: Value, in_json: &str, words: &[&str]| {
        let folder = folder(pictures, &[]);
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, written(&json!([item]), in_json)).unwrap();
        let error = open(set, folder.path()).unwrap_err();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?} are missing in: {error}");
    };
    let pro = |field: &str| {
        let mut item = pro_item("p0", "text", "Dev");
        item[field] = json!("@");
        item
    };
    let list = "annotations/another_set.json";
    for (field, in_json, words) in [
        ("bbox", "[10, 20, 40, NaN]", "`bbox[3]` is NaN"),
        ("img_size", "[NaN, 300]", "`img_size[0]` is NaN"),
        ("instruction", "NaN", "`instruction` is NaN, which is no text"),
        ("instruction", "\"nan\"", "`instruction` is `nan`"),
        ("group", "\"nan\"", "group is `nan`"),
        ("application", "\"nan\"", "`application` is `nan`"),
        ("platform", "NaN", "`platform` is NaN"),
    ] {
        refused(Known::ScreenSpotPro, "images", list, pro(field), in_json, &["`p0`", words]);
    }
    let osworld = |field: &str| {
        let mut item = json!({
            "id": "o0", "image_path": "a.png", "image_size": [SIZE.0, SIZE.1], "instruction": "the thing",
            "box_type": "polygon", "box_coordinates": [100, 100, 140, 100, 120, 140],
        });
        item[field] = json!("@");
        item
    };
    for (field, in_json, words) in [
        ("box_coordinates", "[100, 100, 140, NaN, 120, 140]", "`box_coordinates[3]` is NaN"),
        ("image_size", "[400, Infinity]", "`image_size[1]` is Infinity"),
        ("instruction", "\"NaN\"", "`instruction` is `NaN`"),
    ] {
        refused(Known::OsworldG, "images", "OSWorld-G.json", osworld(field), in_json, &["`o0`", words]);
    }
    let mmbench = |field: &str| {
        let mut item = json!({
            "image_path": "a.png", "platform": "os_windows", "instruction": "the button", "bbox": [0.1, 0.2, 0.5, 0.6],
            "grounding_type": "basic", "data_type": "icon", "app_name": "paint",
        });
        item[field] = json!("@");
        item
    };
    for (field, in_json, words) in [
        ("bbox", "[0.1, NaN, 0.5, 0.6]", "`bbox[1]` is NaN"),
        ("app_name", "\"nan\"", "`app_name` is `nan`"),
        ("grounding_type", "NaN", "`grounding_type` is NaN"),
    ] {
        let place = "offline_images/os_windows";
        let words = ["`L2_annotations/0`", words];
        refused(Known::MmbenchGui, place, "L2_annotations.json", mmbench(field), in_json, &words);
    }
    for (field, in_json, words) in [
        ("bbox", "[10, 20, 40, Infinity]", "`bbox[3]` is Infinity"),
        ("prompt_to_evaluate", "\"nan\"", "`prompt_to_evaluate` is `nan`"),
        ("element_type", "NaN", "`element_type` is NaN"),
        ("platform", "\"NaN\"", "`platform` is `NaN`"),
    ] {
        let place = "annotations/element_grounding/element_grounding_";
        let files = ["functional", "spatial"].map(|split| format!("{place}{split}.json"));
        let folder = folder("images", &[(&*files[0], json!([])), (&*files[1], json!([]))]);
        let mut item = json!({
            "image_path": "a.png", "image_size": [SIZE.0, SIZE.1], "prompt_to_evaluate": "the button",
            "bbox": [10, 20, 40, 60], "platform": "Blender", "element_type": "Button",
        });
        item[field] = json!("@");
        let text = written(&json!([item]), in_json);
        fs::write(folder.path().join(format!("{place}basic.json")), text).unwrap();
        let error = open(Known::UiVision, folder.path()).unwrap_err();
        for word in ["`element_grounding_basic/0`", words] {
            assert!(error.contains(word), "`{word}` is missing in: {error}");
        }
    }
}

/// A list of OSWorld-G with one good box and this outline.
fn outlined(numbers: Value) -> tempfile::TempDir {
    let item = |id: &str, kind: &str, numbers: Value| {
        json!({
            "id": id, "image_path": "a.png", "image_size": [SIZE.0, SIZE.1], "instruction": "the thing",
            "box_type": kind, "box_coordinates": numbers, "GUI_types": ["Button"],
        })
    };
    let items = json!([item("box", "bbox", json!([10, 20, 30, 40])), item("outline", "polygon", numbers)]);
    folder("images", &[("OSWorld-G.json", items)])
}

#[test]
fn an_outline_that_leaves_its_picture_or_holds_nothing_is_named_and_can_be_left_out() {
    for (numbers, word) in [
        (json!([390, 100, 410, 100, 390, 140]), "the corner (410, 100) of its polygon leaves the picture"),
        (json!([100, -20, 140, 20, 100, 40]), "the corner (100, -20)"),
        (json!([900, 100, 940, 100, 900, 140]), "400x300 pixels"),
        (json!([100, 100, 140, 140, 180, 180]), "on a line"),
        (json!([100, 100, 100, 100, 100, 100]), "on a line"),
        (json!([100, 100, 140, 100]), "4 numbers"),
        (json!([]), "0 numbers"),
    ] {
        let folder = outlined(numbers);
        let error = open(Known::OsworldG, folder.path()).unwrap_err();
        for word in ["1 of 2 items", "`outline`", word, "nothing was played", "--skip-broken"] {
            assert!(error.contains(word), "`{word}` is missing in: {error}");
        }
        let skipping = SetChoice { skip_broken: true, ..choice(folder.path()) };
        let set = GroundingSet::open(Known::OsworldG, &skipping).unwrap();
        assert_eq!((set.n_items(), &set.to_json()["n_skipped"]), (1, &json!(1)));
        assert!(set.notes().join("\n").contains("`outline`"), "{:?}", set.notes());
    }
}

#[test]
fn an_outline_in_shares_is_never_left_out() {
    let folder = outlined(json!([0.25, 0.25, 0.5, 0.25, 0.5, 0.5]));
    for skip_broken in [false, true] {
        let asked = SetChoice { skip_broken, ..choice(folder.path()) };
        let error = GroundingSet::open(Known::OsworldG, &asked).unwrap_err();
        assert!(error.contains("`outline`") && error.contains("nothing but shares"), "{error}");
    }
}

/// Pictures that were cut or changed in every format that says so itself, each with its name.
fn broken_pictures() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let whole = picture(format);
        for n in [whole.len() / 2, whole.len() * 9 / 10, whole.len() - 1] {
            all.push((format!("{n} of {} bytes of a {format:?}", whole.len()), whole[..n].to_vec()));
        }
    }
    // In the middle of the pixels: nothing but a checksum tells.
    let mut png = picture(ImageFormat::Png);
    let middle = png.len() / 2;
    png[middle] ^= 1;
    all.push(("a PNG with another bit".to_owned(), png));
    let mut jpeg = picture(ImageFormat::Jpeg);
    let middle = jpeg.len() / 2;
    jpeg[middle..middle + 2].copy_from_slice(&[0xff, 0x02]);
    all.push(("a JPEG whose scan was written over".to_owned(), jpeg));
    all.push(("a picture without bytes".to_owned(), Vec::new()));
    all
}

#[test]
fn a_picture_that_is_cut_or_damaged_breaks_its_item_before_anything_is_played() {
    let (good, mut other) =
        (spot(json!([10, 20, 30, 40]), "text", "shop"), spot(json!([10, 20, 30, 40]), "icon", "shop"));
    other["img_filename"] = json!("b.png");
    for (name, bytes) in broken_pictures() {
        let folder = with_web(json!([good, other, good]));
        fs::write(folder.path().join("screenspot_imgs/b.png"), bytes).unwrap();
        let error = open(Known::ScreenSpot, folder.path()).unwrap_err();
        for word in ["1 of 7 items", "`screenspot_web/1`", "b.png", "nothing was played", "--skip-broken"] {
            assert!(error.contains(word), "{name}: `{word}` is missing in: {error}");
        }
        let skipping = SetChoice { skip_broken: true, ..choice(folder.path()) };
        let set = GroundingSet::open(Known::ScreenSpot, &skipping).unwrap();
        assert_eq!((set.n_items(), &set.to_json()["n_skipped"]), (6, &json!(1)), "{name}");
        assert!(set.notes().join("\n").contains("screenspot_web/1"), "{name}: {:?}", set.notes());
        let lines = super::played(&set, &["(25, 40)"; 6]);
        assert!(lines.iter().all(|line| line.is_right == Some(true)), "{name}: the others are played");
    }
}

#[test]
fn a_picture_in_a_parquet_file_that_is_cut_or_damaged_breaks_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test-00000-of-00001.parquet");
    for (name, bytes) in broken_pictures() {
        let mut rows = [[0.1, 0.1, 0.2, 0.2], [0.2, 0.2, 0.3, 0.3]].map(HubRow::new);
        rows[1].picture = bytes;
        write_rows(&path, &rows, Compression::SNAPPY);
        let error = open(Known::ScreenSpot, folder.path()).unwrap_err();
        for word in ["1 of 2 items", "`test-00000-of-00001/1`", "its picture cannot be read"] {
            assert!(error.contains(word), "{name}: `{word}` is missing in: {error}");
        }
        let skipping = SetChoice { skip_broken: true, ..choice(folder.path()) };
        let set = GroundingSet::open(Known::ScreenSpot, &skipping).unwrap();
        assert_eq!((set.n_items(), &set.to_json()["n_skipped"]), (1, &json!(1)), "{name}");
    }
}

#[test]
fn a_picture_that_breaks_while_items_are_played_is_a_failure_of_the_world_and_no_wrong_answer() {
    let folder = spots();
    let set = open(Known::ScreenSpot, folder.path()).unwrap();
    let path = folder.path().join("screenspot_imgs/a.png");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let lines = super::played(&set, &[]);
    assert_eq!((lines.len(), lines.iter().filter(|line| line.is_error()).count()), (6, 6));
    let why = lines[0].why.as_deref().unwrap();
    assert!(why.contains("a.png") && why.contains("lost its end"), "{why}");
}

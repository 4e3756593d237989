//! Small sets of questions in every layout, written by the tests themselves.

use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use image::{ImageFormat, Rgb, RgbImage};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;
use tempfile::TempDir;
use vigorl_policy::{Preset, Sampling, ScriptedPolicy, ground};

use super::vstar::lettered;
use super::{KnownQuestions, OptionOrder, QuestionChoice, QuestionSet, fitted, joined};
use crate::evaluation::{Evaluation as _, Mode};
use crate::head::{Asked, Head};
use crate::line::{Line, Outcome};
use crate::result::EvaluationResult;

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::new(width, height).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// V*Bench as files: two questions of one category, one of the other.
fn vstar() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let add = |name: &str, question: &str, options: &[&str]| {
        let fields = json!({ "target_object": ["dog"], "bbox": [[1, 2, 3, 4]], "question": question, "options": options });
        write(folder.path(), &format!("{name}.json"), fields.to_string().as_bytes());
        write(folder.path(), &format!("{name}.jpg"), &png(60, 40));
    };
    add(
        "direct_attributes/sa_1",
        "What is the color of the dog?",
        &["It is red.", "It is blue.", "It is green."],
    );
    add("direct_attributes/sa_2", "What is the color of the cat?", &["It is white.", "It is black."]);
    add("relative_position/sa_3", "Is the dog left of the cat?", &["It is left.", "It is right."]);
    folder
}

fn open(known: KnownQuestions, folder: &Path, options: Option<OptionOrder>) -> Result<QuestionSet, String> {
    let choice = QuestionChoice { folder: Some(folder.to_owned()), options, ..QuestionChoice::default() };
    QuestionSet::open(known, &choice)
}

/// What is asked of each item, and the right answer.
fn asked(set: &QuestionSet) -> Vec<(String, String)> {
    let of = |idx| {
        let words = set.in_words(idx).unwrap().unwrap();
        (words.question, words.truth)
    };
    (0..set.n_items()).map(of).collect()
}

/// A column of a file: one text for each row, or a list of them.
enum Column {
    One(Vec<Vec<u8>>),
    /// A file in a group, or none.
    Files(Vec<Option<Vec<u8>>>),
    Lists(Vec<Vec<Vec<u8>>>),
}

fn write_parquet(path: &Path, schema: &str, columns: &[Column]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for column in columns {
        let mut writer = group.next_column().unwrap().unwrap();
        let typed = writer.typed::<ByteArrayType>();
        let bytes = |values: &[Vec<u8>]| {
            values.iter().map(|value| ByteArray::from(value.clone())).collect::<Vec<_>>()
        };
        match column {
            Column::One(values) => typed.write_batch(&bytes(values), None, None).unwrap(),
            Column::Files(values) => {
                let there: Vec<Vec<u8>> = values.iter().flatten().cloned().collect();
                let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
                typed.write_batch(&bytes(&there), Some(&levels), None).unwrap()
            }
            Column::Lists(values) => {
                let repeated: Vec<i16> =
                    values.iter().flat_map(|list| (0..list.len()).map(|at| i16::from(at > 0))).collect();
                typed
                    .write_batch(&bytes(&values.concat()), Some(&vec![1; repeated.len()]), Some(&repeated))
                    .unwrap()
            }
        };
        writer.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn the_first_option_of_vstar_is_right_and_its_place_depends_on_the_item_alone() {
    let folder = vstar();
    let set = open(KnownQuestions::VStar, folder.path(), None).unwrap();
    assert_eq!((set.n_items(), set.id()), (3, "vstar/v1"));
    let first = asked(&set);
    assert_eq!(first, asked(&open(KnownQuestions::VStar, folder.path(), None).unwrap()));
    assert_eq!(first[0].1, "It is red.");
    for option in ["It is red.", "It is blue.", "It is green."] {
        assert!(first[0].0.contains(option), "{first:?}");
    }
    assert!(set.notes()[0].contains("not the 191"), "{:?}", set.notes());
    let given = asked(&open(KnownQuestions::VStar, folder.path(), Some(OptionOrder::AsGiven)).unwrap());
    assert!(given[0].0.contains("Options: It is red.; It is blue.; It is green.\n"), "{}", given[0].0);
    let item = set.item(2).unwrap();
    assert_eq!(item.values, [("category", "relative_position".to_owned())]);
    assert_eq!((item.chance, item.picture.unwrap().size), (Some(0.5), [60, 40]));
}

#[test]
fn a_circle_has_every_option_in_front_once_and_counts_if_all_are_right() {
    let folder = vstar();
    let set = open(KnownQuestions::VStar, folder.path(), Some(OptionOrder::Circular)).unwrap();
    let asked = asked(&set);
    assert_eq!(set.n_items(), 3 + 2 + 2);
    let firsts: Vec<bool> =
        asked[..3].iter().map(|(question, _)| question.contains("Options: It is red.")).collect();
    assert_eq!(firsts.iter().filter(|is_first| **is_first).count(), 1, "{asked:?}");
    // The first question is right each time, the second once, the third never.
    let says = ["It is red.", "It is red.", "Surely it is red!", "It is white.", "It is black.", "no", "no"];
    let lines = answered(&set, &says);
    let result = &EvaluationResult::of(&head(&set), &lines, String::new()).modes;
    let [lenient, strict] = &result[..] else { panic!("two rules judge: {result:?}") };
    assert_eq!((lenient.rule, strict.rule), (Some("lenient"), Some("strict")));
    assert_eq!((lenient.all.n_success, lenient.all.n), (4, 7));
    assert_eq!(strict.all.n_success, 3, "`Surely it is red!` is more than the option");
    let circular = |mode: &crate::ModeResult| mode.circular.map(|rate| (rate.n_success, rate.n));
    assert_eq!((circular(lenient), circular(strict)), (Some((1, 3)), Some((0, 3))));
    assert_eq!(lenient.by["by_category"]["direct_attributes"].n, 5);
    let table = EvaluationResult::of(&head(&set), &lines, String::new()).table();
    assert!(table.contains("right in every order of the options: 33.3 %"), "{table}");
    // Without the last asking of the last question, only the two others were judged in every order.
    let part = &EvaluationResult::of(&head(&set), &lines[..6], String::new()).modes;
    assert_eq!(circular(&part[0]), Some((1, 2)), "half a circle is none");
    assert_eq!(EvaluationResult::of(&head(&set), &lines[..2], String::new()).modes[0].circular, None);
}

#[test]
fn a_right_answer_with_nothing_to_compare_is_refused_before_anything_is_asked() {
    for (truth, is_refused) in [("", true), (" ", true), ("\u{3000}", true), ("Red", false), ("3", false)] {
        let folder = vstar();
        let fields = json!({ "question": "Which?", "options": [truth, "It is blue."] });
        write(folder.path(), "direct_attributes/sa_1.json", fields.to_string().as_bytes());
        let opened = open(KnownQuestions::VStar, folder.path(), None);
        assert_eq!(opened.is_err(), is_refused, "{truth:?}");
        if let Err(error) = opened {
            assert!(error.contains("`direct_attributes/sa_1`") && error.contains("nothing in it"), "{error}");
        }
    }
}

fn head(set: &QuestionSet) -> Head {
    Head::of(set, Asked::default(), vec![Mode::SingleTurn])
}

/// Asks every question of a policy that answers so.
fn answered(set: &QuestionSet, says: &[&str]) -> Vec<Line> {
    let mut policy = ScriptedPolicy::new(
        says.iter().map(|say| format!("<think> I look (3, 4) </think>\n<answer> {say} </answer>")),
    );
    let line = |idx: u64| {
        let words = set.in_words(idx).unwrap().unwrap();
        let (preset, sampling) = (Preset::spatial(), Sampling::greedy(512));
        let said =
            ground(&mut policy, &words.picture, &*words.question, &preset, &sampling, &mut ()).unwrap();
        let item = set.item(idx).unwrap();
        Line::in_words(&item, &words.truth, Ok(&said), (Mode::SingleTurn, 0, idx), Duration::ZERO)
    };
    (0..set.n_items()).map(line).collect()
}

#[test]
fn an_answer_that_nobody_could_ask_for_or_read_is_no_right_one() {
    let folder = vstar();
    let set = open(KnownQuestions::VStar, folder.path(), None).unwrap();
    let at = (Mode::SingleTurn, 0, 0);
    let failed =
        Line::in_words(&set.item(0).unwrap(), "It is red.", Err("the server is gone"), at, Duration::ZERO);
    assert_eq!(
        (failed.outcome, failed.is_right, failed.why.as_deref()),
        (Some(Outcome::Error), None, Some("the server is gone"))
    );
    let mut policy = ScriptedPolicy::new(["It is red."; 9]);
    let words = set.in_words(0).unwrap().unwrap();
    let (preset, sampling) = (Preset::spatial(), Sampling::greedy(512));
    let said = ground(&mut policy, &words.picture, &*words.question, &preset, &sampling, &mut ()).unwrap();
    let line = Line::in_words(&set.item(0).unwrap(), &words.truth, Ok(&said), at, Duration::ZERO);
    assert_eq!(
        (line.outcome, line.is_right_strict),
        (Some(Outcome::WrongFormat), Some(false)),
        "without tags"
    );
}

#[test]
fn the_list_with_letters_is_the_same_questions() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "direct_attributes_/a.jpg", &png(20, 10));
    let text = "What is it?\n(A) It is red.\n(B) It is blue.\nAnswer with the option's letter from the given choices directly.";
    let row = |label: &str| {
        let row = json!({
            "question_id": 7, "image": "direct_attributes_/a.jpg", "text": text, "category": "direct_attributes", "label": label,
        });
        write(folder.path(), "test_questions.jsonl", row.to_string().as_bytes());
        open(KnownQuestions::VStar, folder.path(), Some(OptionOrder::AsGiven))
    };
    let (question, truth) = asked(&row("B").unwrap()).remove(0);
    assert_eq!(
        question,
        "What is it?\nOptions: It is red.; It is blue.\nAnswer with the exact text of one option."
    );
    assert_eq!(truth, "It is blue.");
    let error = row("C").unwrap_err();
    assert!(error.contains("line 1") && error.contains("`C` is no letter"), "{error}");
    assert_eq!(lettered("no options"), None);
}

#[test]
fn rows_of_vigorl_are_asked_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "images/a.png", &png(30, 20));
    let row = json!({
        "id": "sat_1", "image": "images/a.png",
        "conversations": [
            { "from": "human", "value": "<image>Which is closer? Choose between: the chair, the table" },
            { "from": "gpt", "value": "the chair" },
        ],
    });
    write(folder.path(), "sat2_test.jsonl", format!("{row}\n").as_bytes());
    let set = open(KnownQuestions::Sat2, folder.path(), None).unwrap();
    let words = ("Which is closer? Choose between: the chair, the table".to_owned(), "the chair".to_owned());
    assert_eq!(asked(&set), [words]);
    assert_eq!(set.item(0).unwrap().chance, None, "nobody says how many options there are");
    assert_eq!(set.to_json()["options"], "as-given");
    for (order, name) in [(OptionOrder::Shuffled, "shuffled"), (OptionOrder::Circular, "circular")] {
        let error = open(KnownQuestions::Sat2, folder.path(), Some(order)).unwrap_err();
        assert!(
            error.contains(&format!("--options {name}")) && error.contains("leave --options out"),
            "{error}"
        );
    }
    write(folder.path(), "sat2_test.jsonl", format!("{row}\n{{\"image\": 5}}").as_bytes());
    let error = open(KnownQuestions::Sat2, folder.path(), None).unwrap_err();
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn the_pictures_of_blink_stand_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let columns = [
        Column::One(texts(&["val_Counting_1", "val_Counting_2"])),
        Column::One(texts(&["How many?", "Which one?"])),
        Column::Files(vec![Some(png(40, 30)), Some(png(2000, 1000))]),
        Column::Files(vec![Some(png(20, 50)), None]),
        Column::Lists(vec![texts(&["one", "two"]), texts(&["one", "two", "three"])]),
        Column::One(texts(&["(B)", "(A)"])),
    ];
    let schema = "message rows {
        required binary idx (STRING);
        required binary question (STRING);
        optional group image_1 { required binary bytes; }
        optional group image_2 { required binary bytes; }
        required group choices (LIST) { repeated group list { required binary element (STRING); } }
        required binary answer (STRING);
    }";
    write_parquet(&folder.path().join("Counting/val-00000-of-00001.parquet"), schema, &columns);
    let set = open(KnownQuestions::Blink, folder.path(), None).unwrap();
    let size = |idx| set.screenshot(idx).unwrap().unwrap().dimensions();
    assert_eq!((size(0), size(1)), ((60, 50), (1260, 630)), "side by side, and no side longer than 1260");
    assert_eq!(set.item(1).unwrap().picture.unwrap().size, [1260, 630]);
    let asked = asked(&set);
    assert_eq!((&*asked[0].1, &*asked[1].1), ("two", "one"));
    assert!(asked[1].0.contains("Options: one; two; three\n"), "in the set's own order: {}", asked[1].0);
    assert!(set.notes()[0].contains("not there: Art_Style"), "{:?}", set.notes());
    let choice = QuestionChoice {
        folder: Some(folder.path().to_owned()),
        part: Some("test".to_owned()),
        ..QuestionChoice::default()
    };
    let error = QuestionSet::open(KnownQuestions::Blink, &choice).unwrap_err();
    assert!(error.contains("not published"), "{error}");
}

#[test]
fn words_that_the_reference_takes_out_of_answers_of_sat_are_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    let columns = [
        Column::Lists(vec![vec![png(40, 30), png(40, 30)]]),
        Column::One(texts(&["How did I move?"])),
        Column::Lists(vec![texts(&["left in the first frame", "right in the first frame"])]),
        Column::One(texts(&["ego_movement"])),
        Column::One(texts(&["right in the first frame"])),
    ];
    let schema = "message rows {
        required group image_bytes (LIST) { repeated group list { required binary element; } }
        required binary question (STRING);
        required group answers (LIST) { repeated group list { required binary element (STRING); } }
        required binary question_type (STRING);
        required binary correct_answer (STRING);
    }";
    write_parquet(&folder.path().join("SAT_val.parquet"), schema, &columns);
    let set = open(KnownQuestions::Sat2, folder.path(), Some(OptionOrder::AsGiven)).unwrap();
    let (question, truth) = asked(&set).remove(0);
    assert_eq!(truth, "right");
    assert!(question.contains("Options: left; right\n"), "{question}");
    assert_eq!(set.screenshot(0).unwrap().unwrap().dimensions(), (80, 30));
    assert_eq!(set.groups(), [("type", vec!["ego_movement".to_owned()])]);
}

#[test]
fn pictures_are_joined_from_the_left_and_fitted() {
    let red = RgbImage::from_pixel(2, 1, Rgb([255, 0, 0]));
    let blue = RgbImage::from_pixel(1, 3, Rgb([0, 0, 255]));
    let all = joined(vec![red, blue]);
    assert_eq!(all.dimensions(), (3, 3));
    assert_eq!((all[(1, 0)], all[(2, 2)], all[(0, 2)]), (Rgb([255, 0, 0]), Rgb([0, 0, 255]), Rgb([255; 3])));
    assert_eq!(
        [fitted((2520, 100), Some(1260)), fitted((100, 50), Some(1260)), fitted((9, 9999), None)],
        [(1260, 50), (100, 50), (9, 9999)]
    );
}

#[test]
fn a_value_that_is_none_is_named_with_its_question_and_its_field() {
    for (question, options, words) in [
        ("NaN", "[\"It is red.\", \"It is blue.\"]", "its `question` is NaN"),
        ("\"Which?\"", "[\"It is red.\", NaN]", "its `options[1]` is NaN"),
        ("\"Which?\"", "[\"It is red.\", 1e999]", "its `options[1]` is 1e999"),
        ("\"nan\"", "[\"It is red.\", \"It is blue.\"]", "its question is `nan`"),
        ("\"Which?\"", "[\"NaN\", \"It is blue.\"]", "its right answer is `NaN`"),
        ("\"Which?\"", "[\"It is red.\", \"nan\"]", "its option is `nan`"),
    ] {
        let folder = vstar();
        let fields = format!("{{\"question\": {question}, \"options\": {options}}}");
        write(folder.path(), "direct_attributes/sa_1.json", fields.as_bytes());
        let error = open(KnownQuestions::VStar, folder.path(), None).unwrap_err();
        assert!(error.contains("direct_attributes/sa_1") && error.contains(words), "{words}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "images/a.png", &png(30, 20));
    let row = "{\"id\": \"sat_1\", \"image\": NaN, \"conversations\": []}\n";
    write(folder.path(), "sat2_test.jsonl", row.as_bytes());
    let error = open(KnownQuestions::Sat2, folder.path(), None).unwrap_err();
    assert!(error.contains("line 1") && error.contains("its `image` is NaN"), "{error}");
}

#[test]
fn a_picture_that_is_cut_is_named_with_its_question() {
    let folder = vstar();
    let whole = png(60, 40);
    write(folder.path(), "relative_position/sa_3.jpg", &whole[..whole.len() - 5]);
    let error = open(KnownQuestions::VStar, folder.path(), None).unwrap_err();
    assert!(error.contains("`relative_position/sa_3`") && error.contains("lost its end"), "{error}");
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (known, expected) in [
        (KnownQuestions::VStar, "direct_attributes/"),
        (KnownQuestions::Blink, "val-*.parquet"),
        (KnownQuestions::Sat2, "SAT_val.parquet"),
    ] {
        let error = open(known, folder.path(), None).unwrap_err();
        assert!(error.contains(expected) && error.contains("docs/evaluation.md"), "{error}");
    }
    let folder = vstar();
    fs::remove_file(folder.path().join("direct_attributes/sa_2.jpg")).unwrap();
    let error = open(KnownQuestions::VStar, folder.path(), None).unwrap_err();
    assert!(error.contains("`direct_attributes/sa_2`: its picture is not beside"), "{error}");
    write(folder.path(), "direct_attributes/sa_2.jpg", b"no picture");
    let error = open(KnownQuestions::VStar, folder.path(), None).unwrap_err();
    assert!(error.contains("sa_2") && error.contains("cannot be read"), "{error}");
}

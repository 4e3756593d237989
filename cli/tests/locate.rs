//! `vigorl locate` with the embedded policy: what it prints, and pictures that cannot be shown to it.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

#[path = "../../grounding/endpoint/tests/endpoint/server.rs"]
#[expect(dead_code, reason = "the tests of the client itself need more of it")]
mod server;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use server::{Reply, Server, Ways};

fn locate(folder: &Path, picture: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    // Here it is the policy that is tested.
    let looks = ["--eyes", "policy", "--min-confidence", "0"];
    command.args(["locate", picture, "click the red square"]).args(looks).args(more).current_dir(folder);
    command.env("XDG_CONFIG_HOME", folder).output().unwrap()
}

fn page(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let inside = (30..50).contains(&x) && (40..60).contains(&y);
        if inside { Rgb([216, 30, 36]) } else { Rgb([250, 250, 250]) }
    })
}

#[test]
fn json_has_the_agreed_fields_and_the_overlay_is_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    page(192, 160).save(folder.path().join("page.png")).unwrap();
    let output = locate(folder.path(), "page.png", &["--json", "--overlay", "seen.png"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let json: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    for name in ["point", "answer_text", "confidence", "turns", "image_size", "model"] {
        assert!(json.get(name).is_some(), "{name}");
    }
    assert_eq!(json["image_size"], serde_json::json!([192, 160]));
    let expected = if json["point"].is_null() { 1 } else { 0 };
    assert_eq!(output.status.code(), Some(expected), "{said}");
    let turn = &json["turns"][0];
    for name in [
        "completion",
        "thoughts",
        "zoom",
        "crop",
        "n_prompt_tokens",
        "n_completion_tokens",
        "logprob_sum",
        "millis",
        "malformed",
    ] {
        assert!(turn.get(name).is_some(), "{name}");
    }
    let seen = image::open(folder.path().join("seen.png")).unwrap();
    assert_eq!((seen.width() % 192, seen.height() % 160), (0, 0));
}

#[test]
fn fewer_pixels_are_fewer_visual_tokens_and_too_few_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    page(192, 160).save(folder.path().join("page.png")).unwrap();
    let seen = |more: &[&str]| {
        let output = locate(folder.path(), "page.png", &[&["--json", "-v"], more].concat());
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (json["seen"].clone(), json["model"]["max_pixels"].clone(), String::from_utf8(output.stderr).unwrap())
    };
    let (own, limit, said) = seen(&[]);
    assert_eq!(own, serde_json::json!({"size": [80, 64], "n_visual_tokens": 20}));
    assert_eq!(limit, 6_400);
    let words = "192x160 is seen as 80x64: 20 visual tokens; with --max-pixels 2560 as";
    assert!(said.contains(words), "{said}");
    let (reduced, limit, said) = seen(&["--max-pixels", "3000"]);
    assert_eq!(reduced, serde_json::json!({"size": [48, 48], "n_visual_tokens": 9}));
    assert_eq!(limit, 3_000);
    assert!(
        said.contains("without --max-pixels as 80x64") && said.contains("about 0.45 times the"),
        "{said}"
    );
    let output = locate(folder.path(), "page.png", &["--max-pixels", "255"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--max-pixels: 255 pixels are too few") && said.contains("16x16 = 256"), "{said}");
}

#[test]
fn a_form_is_recorded_turn_by_turn_and_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    page(192, 160).save(folder.path().join("page.png")).unwrap();
    let json = |more: &[&str]| -> serde_json::Value {
        let output = locate(folder.path(), "page.png", &[&["--json"], more].concat());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let (free, held) = (json(&[]), json(&["--constrain"]));
    assert_eq!(held["point"], free["point"]);
    assert_eq!((&free["model"]["constrained"], &held["model"]["constrained"]), (&false.into(), &true.into()));
    assert!(free["turns"][0]["n_forced_tokens"].is_null());
    assert!(held["turns"][0]["n_forced_tokens"].as_u64() > Some(0));
    assert!(held["turns"][0]["n_passes"].as_u64() < free["turns"][0]["n_passes"].as_u64());
}

#[test]
fn a_preset_that_asks_for_text_gets_its_text() {
    let folder = tempfile::tempdir().unwrap();
    page(192, 160).save(folder.path().join("page.png")).unwrap();
    let output = locate(folder.path(), "page.png", &["--json", "--preset", "visual-search"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // What the embedded policy writes is a point; as a text it is an answer nevertheless.
    let expected = if json["answer_text"].is_string() && json["malformed"].is_null() { 0 } else { 1 };
    assert_eq!(output.status.code(), Some(expected), "{json}");
}

#[test]
fn a_grounder_is_shown_what_its_makers_show_and_answers_in_one_turn() {
    let folder = tempfile::tempdir().unwrap();
    page(192, 160).save(folder.path().join("page.png")).unwrap();
    let json = |more: &[&str]| -> serde_json::Value {
        let output = locate(folder.path(), "page.png", &[&["--json", "--preset", "gta1"], more].concat());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    // By its own file, `nano` would see 80x64.
    let shown = json(&[]);
    assert_eq!(shown["seen"]["size"], serde_json::json!([192, 160]));
    assert_eq!(shown["model"]["max_pixels"], 4_096 * 2_160);
    assert_eq!(shown["turns"].as_array().unwrap().len(), 1);
    assert_eq!(json(&["--max-pixels", "6400"])["seen"]["size"], serde_json::json!([80, 64]));
    let output = locate(folder.path(), "page.png", &["--preset", "gta1", "--max-turns", "3"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--max-turns: the preset `gta1` answers in one turn"), "{said}");
}

#[test]
fn an_overlay_that_cannot_be_written_is_said_before_anything_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    page(192, 160).save(folder.path().join("page.png")).unwrap();
    for (overlay, words) in [
        ("nowhere/seen.png", "no folder `nowhere`"),
        ("seen.txt", "`seen.txt` is no picture's name"),
        ("seen", "end it in .png"),
    ] {
        // A model that is nowhere: had it been looked for, that would be said.
        let more = ["--overlay", overlay, "--preset", "nano", "--model", "./nowhere"];
        let output = locate(folder.path(), "page.png", &more);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "`{words}` is missing in: {said}");
    }
}

#[test]
fn an_overlay_that_fails_does_not_cost_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    page(192, 160).save(folder.path().join("page.png")).unwrap();
    // A folder in place of the file passes every check but the writing.
    fs::create_dir(folder.path().join("seen.png")).unwrap();
    let output = locate(folder.path(), "page.png", &["--json", "--overlay", "seen.png"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write `seen.png`"), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["turns"].is_array());
}

#[test]
fn one_pixel_is_looked_at_and_answered_or_refused_in_time() {
    let folder = tempfile::tempdir().unwrap();
    page(1, 1).save(folder.path().join("dot.png")).unwrap();
    let clock = Instant::now();
    let output = locate(folder.path(), "dot.png", &["--json"]);
    assert!(clock.elapsed() < Duration::from_secs(30));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // There is one pixel to point at; anything else is no point.
    assert!(json["point"].is_null() || json["point"] == serde_json::json!([0, 0]), "{json}");
}

/// A PNG that says it has these sides, and holds nothing.
fn hollow_png(width: u32, height: u32) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(
                crc ^ u32::from(*byte),
                |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
            )
        })
    };
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    for (name, content) in [(b"IHDR", header), (b"IDAT", vec![]), (b"IEND", vec![])] {
        let body = [&name[..], &content].concat();
        png.extend((content.len() as u32).to_be_bytes());
        png.extend(&body);
        png.extend(crc(&body).to_be_bytes());
    }
    png
}

#[track_caller]
fn check_refused(name: &str, content: &[u8], code: i32, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), content).unwrap();
    let clock = Instant::now();
    let output = locate(folder.path(), name, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty());
    for word in words {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
    assert!(clock.elapsed() < Duration::from_secs(30));
}

#[test]
fn pictures_that_cannot_be_shown_are_refused_with_the_cause() {
    check_refused("huge.png", &hollow_png(20_000, 20_000), 2, &["20000x20000", "100 megapixels"]);
    check_refused("hollow.png", &hollow_png(100, 100), 2, &["`hollow.png` is damaged"]);
    check_refused("text.png", b"no picture", 2, &["`text.png` is no picture"]);
    let mut jpeg = std::io::Cursor::new(Vec::new());
    page(192, 160).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    check_refused("half.jpg", &jpeg[..jpeg.len() / 2], 2, &["`half.jpg` is damaged", "lost its end"]);
    let mut thin = Vec::new();
    let long = RgbImage::new(1000, 2);
    long.write_to(&mut std::io::Cursor::new(&mut thin), image::ImageFormat::Png).unwrap();
    check_refused("thin.png", &thin, 1, &["1000x2", "200 times"]);
}

/// Looks with the model of a server.
fn locate_at(server: &Server, folder: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["locate", "page.png", "click the red square", "--eyes", "policy", "--min-confidence", "0"]);
    command.args(["--base-url", &server.url()]).args(more).current_dir(folder);
    command.env("XDG_CONFIG_HOME", folder).env("OPENAI_API_KEY", "sk-hush").output().unwrap()
}

#[test]
fn a_model_behind_a_server_answers_and_the_record_says_who_it_was() {
    let folder = tempfile::tempdir().unwrap();
    page(192, 160).save(folder.path().join("page.png")).unwrap();
    let turn = "<think> The square is at (40, 50). </think>\n<answer> (40, 50) </answer>";
    let server = Server::saying(Ways::all(), &[turn, turn]);
    let output = locate_at(&server, folder.path(), &["--json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let json: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(json["point"], serde_json::json!([40, 50]));
    assert_eq!(json["seen"], serde_json::json!({ "size": [196, 168], "n_visual_tokens": 42 }));
    let model = &json["model"];
    assert_eq!(model["name"], "ViGoRL-3b-Web-Grounding");
    assert!(model["sha256"].is_null());
    let endpoint = &model["endpoint"];
    assert_eq!((&endpoint["base_url"], &endpoint["served_model"]), (&server.url().into(), &model["name"]));
    assert_eq!(endpoint["found"]["logprobs"], "taken");
    assert!(endpoint["weights"].as_str().unwrap().starts_with("unknown"));
    assert!(json["confidence"].is_f64() && json["calibrated_on"].is_null());
    assert!(server.seen().iter().all(|seen| seen.key.as_deref() == Some("Bearer sk-hush")));
    let all = format!("{json}{said}");
    assert!(!all.contains("sk-hush"), "{all}");
    // Fewer pixels are asked for than the server shows.
    let output = locate_at(&server, folder.path(), &["--json", "--max-pixels", "9000"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["seen"]["n_visual_tokens"], 9);
    assert_eq!(server.asked()[1].pictures()[0].dimensions(), (84, 84));
}

#[test]
fn what_is_wrong_with_a_server_is_said_before_anything_is_asked_in_earnest() {
    let folder = tempfile::tempdir().unwrap();
    page(192, 160).save(folder.path().join("page.png")).unwrap();
    let good = || Server::saying(Ways::all(), &[]);
    let two = Ways { models: vec!["ViGoRL-a", "ViGoRL-b"], ..Ways::all() };
    let strange = Ways { models: vec!["my-model"], ..Ways::all() };
    let zooming = Ways { models: vec!["ViGoRL-Multiturn-3b-Web-Grounding"], max_pictures: 1, ..Ways::all() };
    let mixing = Ways { max_pictures: 99, goes_on_from: true, ..zooming.clone() };
    for (server, more, code, words) in [
        (Server::saying(two, &[]), &[][..], 2, "the server has 2 models"),
        (good(), &["--served-model", "x"], 2, "; it has `ViGoRL-3b-Web-Grounding`"),
        (Server::saying(strange, &[]), &[], 2, "`my-model` does not say how this checkpoint is spoken to"),
        (Server::start(|_| Reply::error(401, "no")), &[], 1, "put the right one into OPENAI_API_KEY"),
        (Server::saying(zooming, &[]), &[], 1, "forbid zooms with --max-turns 1"),
        (Server::saying(mixing, &[]), &[], 1, "so zooms would be answered wrongly"),
        (good(), &["--constrain"], 2, "--constrain: a server cannot be held"),
        (good(), &["--dtype", "bf16"], 2, "--dtype: a server decides itself"),
        (good(), &["--model", "nano"], 2, "cannot be used with"),
        (
            good(),
            &["--served-max-pixels", "500000", "--max-pixels", "600000"],
            2,
            "shows its model 500000 pixels",
        ),
        (good(), &["--served-max-pixels", "9"], 2, "less than one visual token"),
        (good(), &["--request-secs", "0"], 2, "--request-secs: `0` is not a number of seconds above 0"),
    ] {
        let output = locate_at(&server, folder.path(), more);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{more:?}: {said}");
        assert!(said.contains(words), "`{words}` is missing in: {said}");
        assert!(server.asked().is_empty() && output.stdout.is_empty(), "{more:?}");
    }
    let wrong = |arguments: &[&str]| {
        let output = locate(folder.path(), "page.png", arguments);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = wrong(&["--base-url", "http://me:hush@host/v1"]);
    assert!(said.contains("--base-url: this is no address") && !said.contains("hush"), "{said}");
    assert!(wrong(&["--served-model", "x"]).contains("--served-model is about a server"));
}

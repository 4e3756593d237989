//! The client against a real HTTP server on this machine: what is sent, what is made of what comes back, and of what does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

mod failures;
mod server;

use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use serde_json::json;
use server::{Reply, Seen, Server as TestServer, Stop, Way, Ways, answer};
use vigorl_endpoint::{
    ApiKey, BaseUrl, Endpoint, EndpointError, Found, FurtherTurns, Offer, Patience, Pictures, Server, Stops,
    VisualTokens,
};
use vigorl_geometry::Point;
use vigorl_geometry::fit::PixelBudget;
use vigorl_policy::resize::{Filter, resize};
use vigorl_policy::wire::FORCED_FINAL_PREFIX;
use vigorl_policy::{
    Conversation, Finish, Limits, Malformed, Message, Part, Policy, PolicyError, Preset, Role, Sampling,
    TurnForm, View, ground, share,
};

const BUDGET: PixelBudget = PixelBudget { factor: 28, min_pixels: 3_136, max_pixels: 12_845_056 };
const ZOOM: &str = "<think> Look at (100, 50). </think>\n<tool_call>\n{\"name\": \"search_coordinate\", \"arguments\": {\"coordinate\": [100, 50]}}\n</tool_call>";
const ANSWER: &str = "<think> There. </think>\n<answer> (100, 50) </answer>";

fn patience() -> Patience {
    Patience { limit: Duration::from_secs(20), n_retries: 3, first_pause: Duration::from_millis(1) }
}

fn way_to(url: &str, patience: Patience) -> Server {
    Server::new(BaseUrl::parse(url).unwrap(), None, patience)
}

fn go_on() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn open(server: &TestServer, name: Option<&str>, budget: PixelBudget) -> Result<Endpoint, EndpointError> {
    let mut way = way_to(&server.url(), patience());
    let model = way.served_model(name, &mut go_on)?;
    Endpoint::open(way, model, budget, &mut go_on)
}

fn endpoint(server: &TestServer) -> Endpoint {
    open(server, None, BUDGET).unwrap()
}

fn noise(width: u32, height: u32) -> Arc<RgbImage> {
    let mixed = |x: u32, y: u32| (x * 7 + y * 13 + x * y % 11) as u8;
    Arc::new(RgbImage::from_fn(width, height, |x, y| Rgb([mixed(x, y), mixed(y, x), mixed(x + y, 3)])))
}

fn talk(text: &str) -> Conversation {
    Conversation { messages: vec![Message::text(Role::User, text)], forced_prefix: None }
}

fn two_turns() -> Preset {
    let limits = Limits { max_turns: 2, ..Preset::web_grounding_multiturn().limits };
    Preset { limits, ..Preset::web_grounding_multiturn() }
}

fn complete(
    policy: &mut Endpoint,
    conversation: &Conversation,
) -> Result<vigorl_policy::Completion, PolicyError> {
    policy.complete(conversation, &Sampling::greedy(64), &mut |_| ControlFlow::Continue(()))
}

#[test]
fn texts_and_pictures_are_sent_in_their_order_and_in_the_size_the_network_sees() {
    let server = TestServer::saying(Ways::all(), &["said"]);
    let mut policy = endpoint(&server);
    let (large, crop) = (noise(300, 200), noise(504, 504));
    let parts = vec![
        Part::Image(large.clone()),
        Part::Text("\nfind ".to_owned()),
        Part::Text("it <|im_end|>".to_owned()),
    ];
    let sampled = vec![Part::Sampled { text: ZOOM.to_owned(), ids: vec![1, 2] }];
    let seen = vec![
        Part::Text("<observation>\n".to_owned()),
        Part::Image(crop.clone()),
        Part::Text("</observation>".to_owned()),
    ];
    let conversation = Conversation {
        messages: vec![
            Message::text(Role::System, "Think."),
            Message { role: Role::User, parts },
            Message { role: Role::Assistant, parts: sampled },
            Message { role: Role::User, parts: seen },
        ],
        forced_prefix: None,
    };
    let sampling = Sampling {
        temperature: 0.5,
        top_p: 0.9,
        seed: 6,
        stop: vec!["</answer>".to_owned()],
        ..Sampling::greedy(77)
    };
    let mut heard = String::new();
    let said = policy.complete(&conversation, &sampling, &mut |piece| {
        heard.push_str(piece);
        ControlFlow::Continue(())
    });
    let said = said.unwrap();
    assert_eq!((said.text.as_str(), heard.as_str(), said.finish), ("said", "said", Finish::EndOfTurn));
    let [asked] = &server.asked()[..] else { panic!("one question") };
    let body = &asked.body;
    for (field, value) in [
        ("model", json!("ViGoRL-3b-Web-Grounding")),
        ("stream", json!(true)),
        ("temperature", json!(0.5)),
        ("top_p", json!(0.9)),
        ("seed", json!(3)),
        ("max_tokens", json!(77)),
        ("stop", json!(["</answer>"])),
        ("include_stop_str_in_output", json!(true)),
        ("logprobs", json!(true)),
        ("repetition_penalty", json!(1.0)),
        ("top_k", json!(-1)),
        ("n", json!(null)),
        ("continue_final_message", json!(null)),
    ] {
        assert_eq!(body[field], value, "{field}");
    }
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
    assert_eq!((&messages[0]["content"], &messages[2]["content"]), (&json!("Think."), &json!(ZOOM)));
    let kinds = |idx: usize| -> Vec<String> {
        let parts = messages[idx]["content"].as_array().unwrap().iter();
        parts.map(|part| part["text"].as_str().unwrap_or("a picture").to_owned()).collect()
    };
    // Neighbouring texts are one, and nobody forges the end of a message.
    assert_eq!(kinds(1), ["a picture", "\nfind it <| im_end|>"]);
    assert_eq!(kinds(3), ["<observation>\n", "a picture", "</observation>"]);
    let [first, second] = &asked.pictures()[..] else { panic!("two pictures") };
    assert_eq!(*first, resize(&large, 308, 196, Filter::Bicubic));
    assert_eq!(second, &*crop, "what fits already is sent as it is");
}

#[test]
fn an_episode_zooms_is_made_to_answer_and_tells_how_sure_it_is() {
    let forced = format!("{FORCED_FINAL_PREFIX} (10, 20) </answer>");
    let server = TestServer::saying(Ways::all(), &[ZOOM, &forced]);
    let mut policy = endpoint(&server);
    let said =
        ground(&mut policy, &noise(308, 196), "it", &two_turns(), &Sampling::greedy(99), &mut ()).unwrap();
    assert_eq!(said.answer, Some(Point::new(10.0, 20.0)));
    assert_eq!(said.turns[0].completion.text, ZOOM);
    assert_eq!(said.turns[1].completion.text, " (10, 20) </answer>");
    assert_eq!((said.turns[1].forced, said.turns[1].completion.prefix_in_words), (true, false));
    // Two tokens of the server touch the answer, each with a log-probability of -0.25.
    let sure = said.confidence.unwrap();
    assert!((sure.ln() + 0.5).abs() < 1e-6, "{sure}");
    let [zooming, answering] = &server.asked()[..] else { panic!("two questions") };
    assert_eq!((zooming.pictures().len(), answering.pictures().len()), (1, 2));
    let last = answering.body["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(*last, json!({ "role": "assistant", "content": FORCED_FINAL_PREFIX }));
    assert_eq!(answering.body["continue_final_message"], true);
    assert_eq!(answering.body["add_generation_prompt"], false);
    // What the server counted.
    assert!(said.turns[1].completion.n_prompt_tokens > said.turns[0].completion.n_prompt_tokens);
}

#[test]
fn where_a_turn_cannot_be_continued_its_beginning_is_asked_for_in_words_and_marked() {
    for way in [Way::Refused, Way::Ignored] {
        let ways = Ways { continues: way, logprobs: way, ..Ways::all() };
        for (reply, point, malformed) in [
            (ANSWER, Some(Point::new(100.0, 50.0)), None),
            // It stands on its own: nothing says that this was meant as the answer.
            ("(100, 50)", None, Some(Malformed::NoAction)),
        ] {
            let server = TestServer::saying(ways.clone(), &[ZOOM, reply]);
            let mut policy = endpoint(&server);
            let expected = if way == Way::Refused { Offer::Refused } else { Offer::Ignored };
            assert_eq!((policy.found().continued, policy.found().logprobs), (expected, expected));
            let said =
                ground(&mut policy, &noise(308, 196), "it", &two_turns(), &Sampling::greedy(99), &mut ())
                    .unwrap();
            assert!(said.turns[1].forced && said.turns[1].completion.prefix_in_words);
            assert!(!said.turns[0].completion.prefix_in_words);
            assert_eq!((said.answer, said.malformed), (point, malformed));
            assert_eq!(said.confidence, None, "nobody told the probability of a token");
            let last = &server.asked()[1];
            assert!(last.texts().ends_with(&format!("go on from there:\n{FORCED_FINAL_PREFIX}")));
            assert_eq!(last.body["continue_final_message"], json!(null));
            assert_eq!(last.body["messages"].as_array().unwrap().last().unwrap()["role"], "user");
        }
    }
}

#[test]
fn what_a_server_does_with_a_request_is_found_out() {
    let all = Found {
        pictures: Pictures::Several,
        visual_tokens: VisualTokens::AsStated,
        further_turns: FurtherTurns::Alike,
        continued: Offer::Taken,
        logprobs: Offer::Taken,
        stops: Stops::Kept,
        several: Offer::Taken,
        neutral: Offer::Taken,
        usage: Offer::Taken,
        tells_length: Offer::Taken,
    };
    let check = |ways: Ways, expected: Found| {
        let server = TestServer::saying(ways.clone(), &[]);
        assert_eq!(*endpoint(&server).found(), expected, "{ways:?}");
    };
    let ways = Ways::all;
    check(ways(), all.clone());
    // One JSON object instead of a stream says the same.
    check(Ways { streams: false, ..ways() }, all.clone());
    check(Ways { logprobs: Way::Ignored, ..ways() }, Found { logprobs: Offer::Ignored, ..all.clone() });
    check(Ways { several: Way::Ignored, ..ways() }, Found { several: Offer::Ignored, ..all.clone() });
    check(Ways { several: Way::Refused, ..ways() }, Found { several: Offer::Refused, ..all.clone() });
    check(Ways { penalty: Way::Ignored, ..ways() }, Found { neutral: Offer::Ignored, ..all.clone() });
    check(Ways { penalty: Way::Refused, ..ways() }, Found { neutral: Offer::Refused, ..all.clone() });
    check(Ways { max_pictures: 1, ..ways() }, Found { pictures: Pictures::One, ..all.clone() });
    check(Ways { tells_length: false, ..ways() }, Found { tells_length: Offer::Ignored, ..all.clone() });
    check(Ways { stop: Stop::Named, ..ways() }, Found { stops: Stops::Named, ..all.clone() });
    check(Ways { stop: Stop::Stripped, ..ways() }, Found { stops: Stops::Stripped, ..all.clone() });
    check(Ways { stop: Stop::Ignored, ..ways() }, Found { stops: Stops::Ignored, ..all.clone() });
    let refused = Found { stops: Stops::Refused, ..all.clone() };
    check(Ways { stop: Stop::Refused, ..ways() }, refused);
    // 64 visual tokens are stated for the larger picture of the two, and 4 for the smaller one.
    let other = VisualTokens::Other { seen: 21, stated: 60 };
    check(Ways { max_visual: 25, ..ways() }, Found { visual_tokens: other, ..all.clone() });
    let mixed = Found { further_turns: FurtherTurns::Mixed, ..all.clone() };
    check(Ways { goes_on_from: true, ..ways() }, mixed);
    let uncounted = Found { usage: Offer::Ignored, visual_tokens: VisualTokens::Unknown, ..all.clone() };
    check(Ways { counts: false, ..ways() }, uncounted);
    let strict = Found { continued: Offer::Refused, neutral: Offer::Refused, stops: Stops::Refused, ..all };
    check(Ways { is_strict: true, ..ways() }, strict);
}

#[test]
fn a_server_that_is_stuck_with_a_stop_string_is_not_sent_any() {
    let server =
        TestServer::saying(Ways { stop: Stop::Stuck, ..Ways::all() }, &[&format!("{ANSWER}\nand more")]);
    let mut way = way_to(&server.url(), Patience { limit: Duration::from_millis(300), ..patience() });
    let model = way.served_model(None, &mut go_on).unwrap();
    let mut policy = Endpoint::open(way, model, BUDGET, &mut go_on).unwrap();
    assert_eq!(policy.found().stops, Stops::Unknown);
    let sampling = Sampling { stop: vec!["</answer>".to_owned()], ..Sampling::greedy(99) };
    let said = policy.complete(&talk("it"), &sampling, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((said.text.as_str(), said.finish), (ANSWER, Finish::StopString));
    assert_eq!(server.asked()[0].body["stop"], json!(null));
}

#[test]
fn the_only_model_is_taken_and_of_several_one_must_be_named() {
    let model = |ways: Ways, name: Option<&str>| {
        let server = TestServer::saying(ways, &[]);
        way_to(&server.url(), patience()).served_model(name, &mut go_on)
    };
    assert_eq!(model(Ways::all(), None).unwrap().name, "ViGoRL-3b-Web-Grounding");
    let two = || Ways { models: vec!["a", "b"], ..Ways::all() };
    let said = model(two(), None).unwrap_err();
    assert!(said.is_of_usage());
    assert_eq!(said.to_string(), "the server has 2 models, `a`, `b`: choose one with --served-model");
    assert_eq!(model(two(), Some("b")).unwrap().name, "b");
    assert!(
        model(Ways { models: vec![], ..Ways::all() }, None)
            .unwrap_err()
            .to_string()
            .contains("lists no models")
    );
    // It would answer, and somebody else would be measured.
    for takes_any_name in [false, true] {
        let said = model(Ways { takes_any_name, ..two() }, Some("c")).unwrap_err();
        assert!(said.is_of_usage(), "{said}");
        let said = said.to_string();
        let why = if takes_any_name { "it answers to any name" } else { "The model `c` does not exist." };
        assert!(said.starts_with("the server has no model `c` (") && said.contains(why), "{said}");
        assert!(said.ends_with("; it has `a`, `b`: choose one with --served-model"), "{said}");
    }
}

#[test]
fn a_model_that_is_not_listed_is_asked_where_names_count() {
    let hidden = Ways { models: vec!["hidden"], ..Ways::all() };
    let of_model = hidden.clone();
    let server = TestServer::start(move |seen: &Seen| match seen.line.as_str() {
        "GET /v1/models" => Reply::Json(200, json!({ "data": [{ "id": "another" }] })),
        _ => answer(&of_model, seen, "one, two, three"),
    });
    let model = way_to(&server.url(), patience()).served_model(Some("hidden"), &mut go_on).unwrap();
    assert_eq!((model.name.as_str(), model.is_listed), ("hidden", false));
    // The same without a list.
    let server = TestServer::start(move |seen: &Seen| match seen.line.as_str() {
        "GET /v1/models" => Reply::error(404, "no such path"),
        _ => answer(&hidden, seen, "one, two, three"),
    });
    let mut way = way_to(&server.url(), patience());
    assert!(!way.served_model(Some("hidden"), &mut go_on).unwrap().is_listed);
    assert!(matches!(way.served_model(None, &mut go_on), Err(EndpointError::NoList { .. })));
}

#[test]
fn a_key_is_shown_to_the_server_and_to_nobody_else() {
    let server = TestServer::start(|seen: &Seen| match seen.key.as_deref() {
        Some("Bearer sk-right") => Reply::Json(200, json!({ "data": [{ "id": "a" }] })),
        other => Reply::error(401, &format!("Incorrect API key provided: {}", other.unwrap_or("none"))),
    });
    let ask = |key: Option<&str>| {
        let key = key.map(|key| ApiKey::new(key).unwrap());
        Server::new(BaseUrl::parse(&server.url()).unwrap(), key, patience()).served_model(None, &mut go_on)
    };
    assert_eq!(ask(Some("sk-right")).unwrap().name, "a");
    for wrong in [Some("sk-wrong"), None] {
        let said = ask(wrong).unwrap_err();
        assert!(matches!(said, EndpointError::Unauthorized { status: 401, .. }));
        let said = said.to_string();
        assert!(said.contains("OPENAI_API_KEY") && said.contains("Incorrect API key"), "{said}");
        assert!(!said.contains("sk-wrong"), "{said}");
    }
    // No one asks twice with a key that was refused.
    assert_eq!(server.seen().len(), 3);
}

/// Answers nobody before so many wait.
struct Gate {
    waiting: Mutex<usize>,
    all: Condvar,
}

#[test]
fn several_conversations_are_asked_at_once_and_each_gets_its_own_answer() {
    const N: usize = 6;
    let gate = Arc::new(Gate { waiting: Mutex::new(0), all: Condvar::new() });
    let of_server = gate.clone();
    let server = TestServer::with(Ways::all(), move |seen| {
        let mut waiting = of_server.waiting.lock().unwrap();
        *waiting += 1;
        of_server.all.notify_all();
        let limit = Duration::from_secs(15);
        let (waiting, _) = of_server.all.wait_timeout_while(waiting, limit, |n| *n < N).unwrap();
        match *waiting >= N {
            true => answer(&Ways::all(), seen, &format!("heard {}", seen.texts())),
            false => Reply::error(400, "asked one after the other"),
        }
    });
    let mut policy = endpoint(&server);
    let talks: Vec<Conversation> = (0..N).map(|n| talk(&format!("talk {n}"))).collect();
    let expected: Vec<String> = (0..N).map(|n| format!("heard talk {n}")).collect();
    // As one batch, through handles of several threads, and by policies beside each other.
    let sampling = Sampling::greedy(9);
    let asks: Vec<_> = talks.iter().map(|talk| (talk, &sampling)).collect();
    let said = policy.complete_batch(&asks, &mut |_, _| ControlFlow::Continue(()));
    let texts = |said: Vec<Result<vigorl_policy::Completion, PolicyError>>| -> Vec<String> {
        said.into_iter().map(|said| said.unwrap().text).collect()
    };
    assert_eq!(texts(said), expected);
    *gate.waiting.lock().unwrap() = 0;
    let shared = share(&mut policy, |handle| {
        std::thread::scope(|scope| {
            let ask = |talk| {
                let mut handle = handle.clone();
                let sampling = &sampling;
                scope.spawn(move || handle.complete(talk, sampling, &mut |_| ControlFlow::Continue(())))
            };
            let threads: Vec<_> = talks.iter().map(ask).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    });
    assert_eq!(texts(shared), expected);
    *gate.waiting.lock().unwrap() = 0;
    let beside = std::thread::scope(|scope| {
        let ask = |talk| {
            let mut beside = policy.beside();
            scope.spawn(move || complete(&mut beside, talk))
        };
        let threads: Vec<_> = talks.iter().map(ask).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(texts(beside), expected);
}

#[test]
fn whoever_breaks_off_is_let_go_while_the_server_is_silent() {
    let server = TestServer::with(Ways::all(), |_| Reply::Silence(Duration::from_secs(60)));
    let mut policy = endpoint(&server);
    let clock = Instant::now();
    let mut n_asked = 0;
    let said = policy.complete(&talk("it"), &Sampling::greedy(9), &mut |piece| {
        assert_eq!(piece, "");
        n_asked += 1;
        if n_asked > 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let said = said.unwrap();
    assert_eq!((said.text.as_str(), said.finish), ("", Finish::Cancelled));
    assert!(clock.elapsed() < Duration::from_secs(10));
    // The same while it is found out what the server does.
    let silent = TestServer::start(|_| Reply::Silence(Duration::from_secs(60)));
    let mut n_left = 3;
    let mut few_times = || {
        n_left -= 1;
        if n_left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let model = way_to(&silent.url(), patience()).served_model(None, &mut few_times);
    assert!(matches!(model, Err(EndpointError::Cancelled)));
    assert!(clock.elapsed() < Duration::from_secs(15));
}

#[test]
fn one_conversation_that_fails_leaves_the_others() {
    let server = TestServer::with(Ways::all(), |seen| match seen.texts().as_str() {
        "fail" => Reply::error(400, "no"),
        _ => answer(&Ways::all(), seen, "said"),
    });
    let mut policy = endpoint(&server);
    let (good, bad) = (talk("it"), talk("fail"));
    let sampling = Sampling::greedy(9);
    let held = TurnForm::of_turn(&two_turns(), &view(), false);
    let held = Sampling { form: held, ..sampling.clone() };
    let asks = [(&good, &sampling), (&bad, &sampling), (&good, &held)];
    let said = policy.complete_batch(&asks, &mut |_, _| ControlFlow::Continue(()));
    let [Ok(first), Err(PolicyError::Backend(error)), Err(PolicyError::HoldsNoForms { .. })] = &said[..]
    else {
        panic!("{said:?}")
    };
    assert_eq!(first.text, "said");
    assert!(error.to_string().ends_with("(status 400): no"), "{error}");
}

fn view() -> View {
    let preset = Preset::web_grounding();
    View::new(&noise(308, 196), preset.answer_space, preset.max_image_pixels, BUDGET).unwrap()
}

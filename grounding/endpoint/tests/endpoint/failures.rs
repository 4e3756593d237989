//! Each way in which a server can fail: what is tried again, how often, and what is said of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::server::End;

/// A policy at a server that fails in earnest as `replies` say, the last one for ever.
fn failing(replies: Vec<Reply>) -> (TestServer, Endpoint) {
    let next = AtomicUsize::new(0);
    let server = TestServer::with(Ways::all(), move |_| {
        replies[next.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1)].clone()
    });
    let policy = endpoint(&server);
    (server, policy)
}

fn whole() -> Reply {
    Reply::Json(200, json!({ "choices": [{ "message": { "content": "said" }, "finish_reason": "stop" }] }))
}

fn raw(body: &str, announced: usize) -> Reply {
    let headers = "Content-Type: application/json\r\n".to_owned();
    Reply::Raw { status: 200, headers, body: body.as_bytes().to_vec(), announced }
}

fn cut_stream() -> Reply {
    Reply::Stream(vec![json!({ "choices": [{ "delta": { "content": "<answer> (1" } }] })], End::Silently)
}

#[test]
fn what_may_pass_is_tried_again_until_it_has_passed() {
    for failure in [
        Reply::error(429, "too many"),
        Reply::error(500, "oops"),
        Reply::error(503, "loading"),
        Reply::Silence(Duration::from_millis(1)),
        cut_stream(),
        // The end of the stream says nothing of why the answer ended.
        Reply::Stream(vec![json!({ "choices": [{ "delta": { "content": "(1" } }] })], End::Done),
        Reply::Stream(vec![json!({ "error": { "message": "out of memory" } })], End::Done),
        Reply::Stream(vec![json!({ "choices": [{ "delta": {}, "finish_reason": "abort" }] })], End::Done),
        raw("{\"choices\": [{\"message\"", 24),
        raw("{\"choices\": [{\"message\"", 99),
        raw("", 0),
    ] {
        let (server, mut policy) = failing(vec![failure.clone(), failure.clone(), whole()]);
        let said = complete(&mut policy, &talk("it"));
        assert_eq!(said.unwrap_or_else(|error| panic!("{failure:?}: {error}")).text, "said");
        assert_eq!(server.asked().len(), 3, "{failure:?}");
    }
}

#[test]
fn nothing_is_tried_for_ever_and_nothing_is_made_of_half_an_answer() {
    for (failure, n_tries, words) in [
        (Reply::error(429, "too many"), 4, "answered with status 429 in 4 tries: too many"),
        (Reply::error(503, "loading"), 4, "answered with status 503 in 4 tries: loading"),
        (
            cut_stream(),
            4,
            "ended too early in 4 tries: it does not say why it ended; nothing is made of half",
        ),
        (raw("{\"choices\": [", 13), 4, "ended too early in 4 tries: its JSON has no end"),
        (raw("{\"choices\": [", 99), 4, "ended too early in 4 tries"),
        (Reply::error(400, "bad picture"), 1, "refuses the request (status 400): bad picture"),
        (Reply::error(401, "no"), 1, "OPENAI_API_KEY"),
        (Reply::error(403, "no"), 1, "OPENAI_API_KEY"),
        (Reply::error(404, "Not Found"), 1, "--base-url usually ends in /v1"),
        (Reply::error(404, "The model `x` does not exist."), 1, "The model `x` does not exist."),
        (Reply::Json(302, json!({})), 1, "status 302"),
        (raw("<html>hello</html>", 18), 1, "does this server speak OpenAI's API there?"),
        (raw("{\"choices\": 3}", 14), 1, "no chat completion"),
        (raw("{}", 2), 1, "there are no `choices` in `{}`"),
    ] {
        let (server, mut policy) = failing(vec![failure.clone()]);
        let said = complete(&mut policy, &talk("it")).unwrap_err();
        assert!(matches!(&said, PolicyError::Backend(error) if error.is::<EndpointError>()));
        assert!(said.to_string().contains(words), "{failure:?}: {said}");
        assert_eq!(server.asked().len(), n_tries, "{failure:?}");
    }
}

#[test]
fn a_server_is_asked_again_when_it_wants_to_be() {
    let later = |secs: &str| Reply::Raw {
        status: 429,
        headers: format!("Retry-After: {secs}\r\n"),
        body: Vec::new(),
        announced: 0,
    };
    let (server, mut policy) = failing(vec![later("1"), whole()]);
    let clock = Instant::now();
    assert_eq!(complete(&mut policy, &talk("it")).unwrap().text, "said");
    assert!(clock.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.asked().len(), 2);
    // Nobody waits for a day.
    let (server, mut policy) = failing(vec![later("86400")]);
    assert!(complete(&mut policy, &talk("it")).unwrap_err().to_string().contains("status 429"));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn an_answer_that_does_not_come_in_time_is_an_error_and_is_asked_for_once() {
    let server = TestServer::with(Ways::all(), |_| Reply::Silence(Duration::from_secs(60)));
    let mut way = way_to(&server.url(), Patience { limit: Duration::from_millis(400), ..patience() });
    let model = way.served_model(None, &mut go_on).unwrap();
    let mut policy = Endpoint::open(way, model, BUDGET, &mut go_on).unwrap();
    let said = complete(&mut policy, &talk("it")).unwrap_err().to_string();
    assert!(said.contains("no whole answer within 0.4 s") && said.contains("--request-secs"), "{said}");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn where_nobody_listens_that_is_said() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}/v1");
    let said = way_to(&url, patience()).served_model(None, &mut go_on).unwrap_err().to_string();
    assert!(said.contains(&format!("`{url}/models` cannot be reached in 4 tries")), "{said}");
    assert!(said.contains("is the server running"), "{said}");
}

#[test]
fn a_conversation_that_is_too_long_is_the_policys_own_doing() {
    let words = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.";
    let (_server, mut policy) = failing(vec![Reply::error(400, words)]);
    let said = complete(&mut policy, &talk("it"));
    assert!(matches!(said, Err(PolicyError::TooLong { n_tokens: 5000, limit: 4096 })));
}

#[test]
fn a_model_that_does_not_see_is_found_out() {
    let blind = |ways: Ways| {
        let server = TestServer::saying(ways, &[]);
        open(&server, None, BUDGET).unwrap_err().to_string()
    };
    let refuses = blind(Ways { max_pictures: 0, ..Ways::all() });
    assert!(refuses.contains("takes no pictures") && refuses.contains("At most 0 image(s)"), "{refuses}");
    // It takes them, and its model never gets them.
    let ignores = blind(Ways { max_visual: 0, ..Ways::all() });
    assert!(ignores.contains("takes no pictures") && ignores.contains("adds no token"), "{ignores}");
}

#[test]
fn one_picture_is_enough_for_one_turn_and_not_for_zooms() {
    let server = TestServer::saying(Ways { max_pictures: 1, ..Ways::all() }, &[ANSWER, ZOOM]);
    let mut policy = endpoint(&server);
    let mut play =
        |preset: &Preset| ground(&mut policy, &noise(308, 196), "it", preset, &Sampling::greedy(99), &mut ());
    assert!(play(&Preset::web_grounding()).unwrap().answer.is_some());
    let said = play(&two_turns()).unwrap_err().to_string();
    assert!(said.contains("one picture in a conversation, and here are 2"), "{said}");
    assert!(said.contains("--limit-mm-per-prompt") && said.contains("--max-turns 1"), "{said}");
}

#[test]
fn a_server_that_shows_less_than_is_stated_is_noticed() {
    // It keeps to what is stated for small pictures, and reduces large ones.
    let server = TestServer::saying(Ways { max_visual: 70, ..Ways::all() }, &[ANSWER, ANSWER]);
    let mut policy = endpoint(&server);
    assert_eq!(policy.found().visual_tokens, VisualTokens::AsStated);
    let mut play = |side| {
        let preset = Preset::web_grounding();
        ground(&mut policy, &noise(side, side), "it", &preset, &Sampling::greedy(99), &mut ())
    };
    assert!(play(224).is_ok());
    let said = play(560).unwrap_err().to_string();
    assert!(said.contains("whose pictures alone are 400") && said.contains("--served-max-pixels"), "{said}");
    // Stated as it is, pictures are reduced here, and nothing is left to reduce there.
    let stated = BUDGET.with_max_pixels(70 * 28 * 28).unwrap();
    let server = TestServer::saying(Ways { max_visual: 70, ..Ways::all() }, &[ANSWER]);
    let mut policy = open(&server, None, stated).unwrap();
    let preset = Preset::web_grounding();
    let said = ground(&mut policy, &noise(560, 560), "it", &preset, &Sampling::greedy(99), &mut ()).unwrap();
    let [picture] = &server.asked()[0].pictures()[..] else { panic!("one picture") };
    assert_eq!(picture.dimensions(), (224, 224));
    // The policy speaks of the picture that it was shown.
    assert_eq!(said.answer, Some(Point::new(250.0, 125.0)));
}

#[test]
fn what_the_server_takes_out_of_the_text_is_written_back_or_refused() {
    let call = json!([{ "index": 0, "function": { "name": "search_coordinate", "arguments": "{\"coordinate\": [100, 50]}" } }]);
    let (_server, mut policy) = failing(vec![Reply::Stream(
        vec![
            json!({ "choices": [{ "delta": { "content": "<think> Look at (100, 50). </think>\n" } }] }),
            json!({ "choices": [{ "delta": { "tool_calls": call }, "finish_reason": "tool_calls" }] }),
        ],
        End::Silently,
    )]);
    let sampling = Sampling { stop: vec!["</tool_call>".to_owned()], ..Sampling::greedy(99) };
    let said = policy.complete(&talk("it"), &sampling, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((said.text.as_str(), said.finish), (ZOOM, Finish::StopString));
    assert!(said.logprobs.is_empty() && said.token_ends.is_empty());
    let thoughts = json!({ "choices": [{ "delta": { "reasoning_content": "hm" } }] });
    let (server, mut policy) = failing(vec![Reply::Stream(vec![thoughts], End::Done)]);
    assert!(
        complete(&mut policy, &talk("it")).unwrap_err().to_string().contains("without a reasoning parser")
    );
    assert_eq!(server.asked().len(), 1);
    // Some servers have two names for thoughts, and tell both where there are none.
    let both = json!({ "content": "(1, 2)", "reasoning_content": null, "reasoning": null });
    let said = json!({ "choices": [{ "delta": both, "finish_reason": "stop" }] });
    let (_server, mut policy) = failing(vec![Reply::Stream(vec![said], End::Done)]);
    assert_eq!(complete(&mut policy, &talk("it")).unwrap().text, "(1, 2)");
}

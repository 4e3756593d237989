//! A real HTTP server on this machine that behaves like servers of chat completions do: a small model of fixed words behind
//! the fields of the API, whose ways can be changed one by one.
//!
//! Invariant: it knows nothing of the client. It counts, cuts and stops as the API says, on what was really sent.

use std::io::{BufRead as _, BufReader, Cursor, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use serde_json::{Value, json};

/// What it counts when it is not asked for more.
const COUNTS: &str = "one, two, three, four, five, six, seven";
/// Side of a merged patch.
const FACTOR: u32 = 28;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) key: Option<String>,
    pub(crate) body: Value,
}

impl Seen {
    /// All pictures of the request, in order.
    pub(crate) fn pictures(&self) -> Vec<RgbImage> {
        let parts = self.body["messages"].as_array().into_iter().flatten();
        let parts = parts.filter_map(|message| message["content"].as_array()).flatten();
        parts.filter_map(|part| part["image_url"]["url"].as_str()).map(decoded).collect()
    }

    /// All texts of the request, one after the other.
    pub(crate) fn texts(&self) -> String {
        let mut all = String::new();
        for message in self.body["messages"].as_array().into_iter().flatten() {
            match &message["content"] {
                Value::String(text) => all.push_str(text),
                content => {
                    let parts = content.as_array().into_iter().flatten();
                    parts.filter_map(|part| part["text"].as_str()).for_each(|text| all.push_str(text));
                }
            }
        }
        all
    }

    /// Whether it is one of the questions by which a client finds out what there is.
    pub(crate) fn is_probe(&self) -> bool {
        let texts = self.texts();
        texts.contains("Count from one") || texts.contains("Hello")
    }
}

fn decoded(url: &str) -> RgbImage {
    let png = STANDARD.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
    image::load_from_memory(&png).unwrap().to_rgb8()
}

/// What comes back.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Json(u16, Value),
    /// Headers and body as they are; what is announced is what `announced` says.
    Raw {
        status: u16,
        headers: String,
        body: Vec<u8>,
        announced: usize,
    },
    /// Events, and then the connection ends.
    Stream(Vec<Value>, End),
    /// Nothing, for so long; then the connection ends.
    Silence(Duration),
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Silently,
}

impl Reply {
    pub(crate) fn error(status: u16, said: &str) -> Self {
        Self::Json(status, json!({ "error": { "message": said } }))
    }
}

/// What becomes of something in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Heeded,
    Ignored,
    Refused,
}

/// What becomes of a text that ends the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    KeptOnRequest,
    Named,
    Stripped,
    Ignored,
    Refused,
    Stuck,
}

/// How a server behaves.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    pub(crate) models: Vec<&'static str>,
    /// Whether it answers to any name.
    pub(crate) takes_any_name: bool,
    pub(crate) streams: bool,
    pub(crate) counts: bool,
    pub(crate) max_pictures: usize,
    /// Visual tokens of a picture at most.
    pub(crate) max_visual: usize,
    pub(crate) logprobs: Way,
    pub(crate) continues: Way,
    pub(crate) several: Way,
    pub(crate) penalty: Way,
    pub(crate) stop: Stop,
    pub(crate) tells_length: bool,
    /// Whether fields that it does not know are refused.
    pub(crate) is_strict: bool,
    /// Whether it goes on from what it remembers of the request before, and loses the pictures of a further turn.
    pub(crate) goes_on_from: bool,
}

impl Ways {
    /// As vLLM behaves.
    pub(crate) fn all() -> Self {
        Self {
            models: vec!["ViGoRL-3b-Web-Grounding"],
            takes_any_name: false,
            streams: true,
            counts: true,
            max_pictures: 99,
            max_visual: usize::MAX,
            logprobs: Way::Heeded,
            continues: Way::Heeded,
            several: Way::Heeded,
            penalty: Way::Heeded,
            stop: Stop::KeptOnRequest,
            tells_length: true,
            is_strict: false,
            goes_on_from: false,
        }
    }
}

/// A running server. Every connection has a thread of its own and ends with its answer.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// One that answers as `answer` says.
    pub(crate) fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                // A client that hangs up early is the client's affair.
                std::thread::spawn(move || serve(stream.unwrap(), &log, &*answer).ok());
            }
        });
        Self { address, seen }
    }

    /// One that behaves in these ways, and says what `say` says where it is asked in earnest.
    pub(crate) fn with(ways: Ways, say: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let before = Mutex::new(0);
        Self::start(move |seen| match seen.line.as_str() {
            "POST /v1/chat/completions" if ways.goes_on_from && goes_on(&before, seen) => {
                answer(&ways, seen, "something else")
            }
            "GET /v1/models" => {
                let all: Vec<Value> = ways.models.iter().map(|name| json!({ "id": name })).collect();
                Reply::Json(200, json!({ "object": "list", "data": all }))
            }
            "POST /v1/chat/completions" if seen.is_probe() => answer(&ways, seen, COUNTS),
            "POST /v1/chat/completions" => say(seen),
            _ => Reply::error(404, "no such path"),
        })
    }

    /// One that says these turns, one for each question in earnest.
    pub(crate) fn saying(ways: Ways, turns: &[&str]) -> Self {
        let turns: Mutex<Vec<String>> = Mutex::new(turns.iter().rev().map(ToString::to_string).collect());
        let of_turns = ways.clone();
        Self::with(ways, move |seen| {
            let turn = turns.lock().unwrap().pop();
            turn.map_or_else(
                || Reply::error(400, "nothing left to say"),
                |turn| answer(&of_turns, seen, &turn),
            )
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What was asked in earnest.
    pub(crate) fn asked(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        let is_earnest = |seen: &&Seen| seen.line.starts_with("POST") && !seen.is_probe();
        seen.iter().filter(is_earnest).cloned().collect()
    }

    /// Everything that was asked.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Whether a request has more messages than the one before, which is what `transformers serve` looks at first.
fn goes_on(before: &Mutex<usize>, seen: &Seen) -> bool {
    let n = seen.body["messages"].as_array().map_or(0, Vec::len);
    let before = std::mem::replace(&mut *before.lock().unwrap(), n);
    (1..n).contains(&before) && !seen.pictures().is_empty()
}

/// What a model that would say `says` answers to a request.
pub(crate) fn answer(ways: &Ways, seen: &Seen, says: &str) -> Reply {
    let body = &seen.body;
    let is_there = |name: &str| !body[name].is_null();
    let name = body["model"].as_str().unwrap_or_default();
    if !ways.takes_any_name && !ways.models.contains(&name) {
        return Reply::error(404, &format!("The model `{name}` does not exist."));
    }
    let of_others = ["continue_final_message", "repetition_penalty", "include_stop_str_in_output"];
    if ways.is_strict && of_others.into_iter().any(is_there) {
        return Reply::Json(422, json!({ "detail": "Unexpected keys in the request" }));
    }
    for (field, way) in [
        ("logprobs", ways.logprobs),
        ("continue_final_message", ways.continues),
        ("repetition_penalty", ways.penalty),
    ] {
        if is_there(field) && way == Way::Refused {
            return Reply::error(400, &format!("`{field}` is not supported"));
        }
    }
    let n = body["n"].as_u64().unwrap_or(1);
    if n > 1 && ways.several == Way::Refused {
        return Reply::error(400, "`n` is not supported");
    }
    let n_pictures = seen.pictures().len();
    if n_pictures > ways.max_pictures {
        return Reply::error(400, &format!("At most {} image(s) may be provided", ways.max_pictures));
    }
    match ways.stop {
        Stop::Refused if is_there("stop") => return Reply::error(400, "`stop` is not supported"),
        Stop::Stuck if is_there("stop") => return Reply::Silence(Duration::from_secs(60)),
        _ => {}
    }
    said(ways, seen, says, n)
}

/// The tokens of a text: each ends with its blank.
fn tokens(text: &str) -> Vec<&str> {
    text.split_inclusive(' ').collect()
}

fn said(ways: &Ways, seen: &Seen, says: &str, n: u64) -> Reply {
    let body = &seen.body;
    let is_continued = body["continue_final_message"] == true && ways.continues == Way::Heeded;
    let begun = body["messages"].as_array().and_then(|all| all.last()?["content"].as_str());
    let mut says = match begun {
        Some(begun) if is_continued => says.strip_prefix(begun).unwrap_or(says).to_owned(),
        _ => says.to_owned(),
    };
    if body["repetition_penalty"].as_f64().is_some_and(|by| by > 1.0) && ways.penalty == Way::Heeded {
        says = format!("no, {says}");
    }
    let max_tokens = body["max_tokens"].as_u64().map_or(usize::MAX, |n| n as usize);
    let all = tokens(&says);
    let (mut text, mut finish) = (all[..all.len().min(max_tokens)].concat(), "stop");
    if all.len() > max_tokens && ways.tells_length {
        finish = "length";
    }
    let whole = text.clone();
    let mut stop_reason = Value::Null;
    let stops = body["stop"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let first = stops.filter_map(|stop| Some((text.find(stop)?, stop))).min();
    if let (Some((at, stop)), true) = (first, ways.stop != Stop::Ignored) {
        let keeps = ways.stop == Stop::KeptOnRequest && body["include_stop_str_in_output"] == true;
        text.truncate(if keeps { at + stop.len() } else { at });
        finish = "stop";
        if matches!(ways.stop, Stop::Named | Stop::KeptOnRequest) {
            stop_reason = stop.into();
        }
    }
    let logprobs = (body["logprobs"] == true && ways.logprobs == Way::Heeded).then(|| {
        let said = tokens(&whole).into_iter().map(|token| json!({ "token": token, "logprob": -0.25 }));
        json!({ "content": said.collect::<Vec<_>>() })
    });
    let prompt = n_prompt(ways, seen) - if is_continued { 5 } else { 0 };
    let usage = json!({ "prompt_tokens": prompt, "completion_tokens": tokens(&whole).len() });
    let n = if ways.several == Way::Heeded { n } else { 1 };
    if !ways.streams || body["stream"] != true {
        let choice = |index| {
            json!({ "index": index, "message": { "role": "assistant", "content": text }, "finish_reason": finish,
                "stop_reason": stop_reason, "logprobs": logprobs })
        };
        let choices: Vec<Value> = (0..n).map(choice).collect();
        return Reply::Json(
            200,
            json!({ "choices": choices, "usage": if ways.counts { usage } else { Value::Null } }),
        );
    }
    let mut events = Vec::new();
    for index in 0..n {
        events.push(
            json!({ "choices": [{ "index": index, "delta": { "role": "assistant", "content": "" } }] }),
        );
        for piece in tokens(&text) {
            events.push(json!({ "choices": [{ "index": index, "delta": { "content": piece } }] }));
        }
        events.push(json!({ "choices": [{ "index": index, "delta": {}, "finish_reason": finish,
            "stop_reason": stop_reason, "logprobs": logprobs }] }));
    }
    if ways.counts && body["stream_options"]["include_usage"] == true {
        events.push(json!({ "choices": [], "usage": usage }));
    }
    Reply::Stream(events, End::Done)
}

/// Tokens of the prompt: those of the pictures, and one for each word.
fn n_prompt(ways: &Ways, seen: &Seen) -> usize {
    let visual = |picture: &RgbImage| {
        let n = (picture.width() / FACTOR) * (picture.height() / FACTOR);
        (n as usize).min(ways.max_visual)
    };
    seen.pictures().iter().map(visual).sum::<usize>() + 10 + seen.texts().split_whitespace().count()
}

/// Reads one request and answers it.
fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Seen>>,
    answer: &(dyn Fn(&Seen) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut lines, mut n_bytes, mut key) = (Vec::new(), 0, None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => n_bytes = value.trim().parse().unwrap(),
            "authorization" => key = Some(value.trim().to_owned()),
            _ => {}
        }
        lines.push(line.to_owned());
    }
    let mut body = vec![0; n_bytes];
    reader.read_exact(&mut body)?;
    let line = lines[0].rsplit_once(' ').map_or("", |(line, _version)| line).to_owned();
    let seen = Seen { line, key, body: serde_json::from_slice(&body).unwrap_or(Value::Null) };
    log.lock().unwrap().push(seen.clone());
    write(reader.into_inner(), answer(&seen))
}

fn write(mut stream: TcpStream, reply: Reply) -> std::io::Result<()> {
    let head =
        |status: u16, headers: &str| format!("HTTP/1.1 {status} Said\r\nConnection: close\r\n{headers}\r\n");
    match reply {
        Reply::Json(status, json) => {
            let body = json.to_string();
            let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
            stream.write_all(format!("{}{body}", head(status, &headers)).as_bytes())
        }
        Reply::Raw { status, headers, body, announced } => {
            let headers = format!("{headers}Content-Length: {announced}\r\n");
            stream.write_all(head(status, &headers).as_bytes())?;
            std::io::copy(&mut Cursor::new(body), &mut stream).map(drop)
        }
        Reply::Stream(events, end) => {
            stream.write_all(head(200, "Content-Type: text/event-stream; charset=utf-8\r\n").as_bytes())?;
            for event in events {
                stream.write_all(format!("data: {event}\n\n").as_bytes())?;
            }
            match end {
                End::Done => stream.write_all(b"data: [DONE]\n\n"),
                End::Silently => Ok(()),
            }
        }
        Reply::Silence(long) => {
            // Until the client hangs up, or for so long.
            stream.set_read_timeout(Some(long))?;
            stream.read(&mut [0]).map(drop)
        }
    }
}

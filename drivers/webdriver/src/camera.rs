//! Captures over a connection of its own to the browser.
//!
//! Invariant: a capture that the browser never answers costs a moment. It answers none that meets the change from one
//! page to the next (chromium 156), and over the WebDriver server, which waits for it, the session would be lost with
//! it. Here it is asked for again, and only answers to what was asked for since are taken: an old one shows what was.
//! A browser that is not our own, or that offers no such connection, is captured over its server; one that offers it
//! and cannot be connected to is an error.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};
use vigorl_interface::DriverError;

/// How long a silence may be until somebody asks why.
const SILENCE: Duration = Duration::from_millis(300);
/// A capture is asked for again after so many silences: a busy machine takes a while for the first one.
const PATIENCE: u32 = 4;

/// A connection to the page that is shown.
#[derive(Debug)]
pub(crate) struct Camera {
    socket: WebSocket<TcpStream>,
    last_id: u64,
}

impl Camera {
    /// Connects to a tab of the browser that has this profile; nothing if it offers no such connection, because it
    /// talks to its server through a pipe.
    ///
    /// # Errors
    /// Says why a connection that is offered cannot be had.
    pub(crate) fn open(profile: &Path, tab: &str) -> Result<Option<Self>, String> {
        let written = match std::fs::read_to_string(profile.join("DevToolsActivePort")) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("the port of its own protocol cannot be read: {error}")),
        };
        let port = written.lines().next().and_then(|line| line.parse::<u16>().ok());
        let port = port.ok_or_else(|| format!("the port of its own protocol is {written:?}"))?;
        let connected = TcpStream::connect(("127.0.0.1", port)).and_then(|stream| {
            stream.set_read_timeout(Some(SILENCE))?;
            stream.set_write_timeout(Some(SILENCE))?;
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        let stream = connected.map_err(|error| format!("port {port} of its own protocol: {error}"))?;
        let url = format!("ws://127.0.0.1:{port}/devtools/page/{tab}");
        // A picture is one message, however large.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = tungstenite::client::client_with_config(url, stream, Some(config))
            .map_err(|error| format!("port {port} of its own protocol: {error}"))?;
        Ok(Some(Self { socket, last_id: 0 }))
    }

    /// The picture as the browser sends it: PNG in base64. `why` is asked when the browser is silent, and ends the wait
    /// by an error. Nothing if the connection is of no use any more.
    pub(crate) fn capture(
        &mut self,
        parameters: &Value,
        deadline: Duration,
        why: impl Fn() -> Result<(), DriverError>,
    ) -> Result<Option<String>, DriverError> {
        let begin = Instant::now();
        let first_id = self.last_id + 1;
        let mut n_silences = 0;
        loop {
            if n_silences % PATIENCE == 0 && !self.ask(parameters) {
                return Ok(None);
            }
            match self.answer(first_id) {
                Answer::Picture(picture) => return Ok(Some(picture)),
                Answer::Silence => n_silences += 1,
                Answer::Useless => return Ok(None),
            }
            why()?;
            if begin.elapsed() >= deadline {
                return Err(DriverError::Deadline { request: "screenshot", deadline });
            }
        }
    }

    fn ask(&mut self, parameters: &Value) -> bool {
        self.last_id += 1;
        let request = json!({ "id": self.last_id, "method": "Page.captureScreenshot", "params": parameters });
        self.socket.send(Message::text(request.to_string())).is_ok()
    }

    /// The next answer to a request from `first_id` on.
    fn answer(&mut self, first_id: u64) -> Answer {
        loop {
            let message = match self.socket.read() {
                Ok(Message::Text(text)) => text,
                Ok(_) => continue,
                Err(Error::Io(e)) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Answer::Silence;
                }
                Err(_) => return Answer::Useless,
            };
            let Ok(mut answer) = serde_json::from_str::<Value>(&message) else { return Answer::Useless };
            if answer["id"].as_u64().is_none_or(|id| id < first_id) {
                continue;
            }
            return match answer["result"]["data"].take() {
                Value::String(picture) => Answer::Picture(picture),
                _ => Answer::Useless,
            };
        }
    }
}

enum Answer {
    Picture(String),
    Silence,
    Useless,
}

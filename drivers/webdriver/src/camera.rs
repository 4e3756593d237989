//! Captures over a connection of its own to the browser.
//!
//! Invariant: a capture that the browser never answers costs a moment. It answers none that meets the change from one
//! page to the next (chromium 156), and over the WebDriver server, which waits for it, the session would be lost with
//! it. Here it is asked for again, and only answers to what was asked for since are taken: an old one shows what was.
//! A browser that somebody else's server has started, or that offers no such connection, is captured over its server; one
//! that offers it and cannot be connected to is an error.

use std::time::{Duration, Instant};

use serde_json::Value;
use vigorl_interface::DriverError;

use crate::connection::{Connection, Port, Said};

/// A capture is asked for again after so many silences: a busy machine takes a while for the first one.
const PATIENCE: u32 = 4;

/// A connection to the page that is shown.
#[derive(Debug)]
pub(crate) struct Camera(Connection);

impl Camera {
    /// Connects to a tab of the browser at this port; nothing if it offers no such connection.
    ///
    /// # Errors
    /// Says why a connection that is offered cannot be had.
    pub(crate) fn open(port: &Port, tab: &str) -> Result<Option<Self>, String> {
        Ok(Connection::open(port, tab)?.map(Self))
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
        let (mut first_id, mut n_silences) = (None, 0);
        loop {
            if n_silences % PATIENCE == 0 {
                let Some(id) = self.0.ask("Page.captureScreenshot", parameters) else { return Ok(None) };
                first_id.get_or_insert(id);
            }
            match self.answer(first_id.unwrap_or_default()) {
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

    /// The next answer to a request from `first_id` on.
    fn answer(&mut self, first_id: u64) -> Answer {
        loop {
            let mut answer = match self.0.hear() {
                Said::Message(answer) => answer,
                Said::Silence => return Answer::Silence,
                Said::Useless => return Answer::Useless,
            };
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

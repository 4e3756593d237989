//! A tab of our own, over a connection of our own to the browser, in which we say what becomes of each request.
//!
//! Invariants: whoever drives never sees the tab, because it is closed, and gone, before anything else is done; every request
//! has a deadline.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vigorl_interface::{DriverError, wait_while};

use crate::connection::{Connection, Said};

/// Pause between two looks whether the tab is gone.
const TICK: Duration = Duration::from_millis(10);

/// Whoever says what becomes of the requests of the tab.
pub(crate) trait Answers {
    /// What it wants to be asked about, as `Fetch.enable` has it.
    fn wanted(&self) -> Value;

    /// What is done about an event, as a method and its parameters; nothing where nobody waits for it.
    fn answer(&mut self, event: &Value) -> Option<(&'static str, Value)>;
}

/// The connection, and what it is used for.
#[derive(Debug)]
pub(crate) struct OwnTab<A> {
    connection: Connection,
    request: &'static str,
    deadline: Duration,
    pub(crate) answers: A,
}

impl<A> OwnTab<A> {
    pub(crate) fn new(connection: Connection, request: &'static str, deadline: Duration, answers: A) -> Self {
        Self { connection, request, deadline, answers }
    }

    pub(crate) fn refused(&self, detail: String) -> DriverError {
        DriverError::Refused { request: self.request, detail }
    }
}

impl<A: Answers> OwnTab<A> {
    /// Does something in the tab, whose session it is told.
    pub(crate) fn in_tab<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &str) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        let blank = json!({ "url": "about:blank", "background": true });
        let target = self.ask(None, "Target.createTarget", &blank)?["targetId"].take();
        let session = self.attach(&target);
        let done = session.and_then(|session| work(self, &session));
        // Also where it failed.
        let closed = self.close(&target);
        let done = done?;
        closed.map(|()| done)
    }

    fn attach(&mut self, target: &Value) -> Result<String, DriverError> {
        let attached =
            self.ask(None, "Target.attachToTarget", &json!({ "targetId": target, "flatten": true }))?;
        let session = attached["sessionId"].as_str().unwrap_or_default().to_owned();
        let wanted = self.answers.wanted();
        self.ask(Some(&session), "Fetch.enable", &wanted)?;
        Ok(session)
    }

    /// Closes the tab, and waits until it is gone: nobody else may take it for one of the pages'.
    fn close(&mut self, target: &Value) -> Result<(), DriverError> {
        self.ask(None, "Target.closeTarget", &json!({ "targetId": target }))?;
        let (end, mut failed) = (Instant::now() + self.deadline, Ok(()));
        let is_there = || match self.ask(None, "Target.getTargets", &json!({})) {
            Ok(all) => {
                let targets = all["targetInfos"].as_array().map(Vec::as_slice).unwrap_or_default();
                targets.iter().any(|other| other["targetId"] == *target)
            }
            Err(error) => {
                failed = Err(error);
                false
            }
        };
        match wait_while(Some(end), TICK, is_there) {
            true => Err(DriverError::Deadline { request: self.request, deadline: self.deadline }),
            false => failed,
        }
    }

    /// A request and its answer; what the tab asks for meanwhile is answered.
    pub(crate) fn ask(
        &mut self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
    ) -> Result<Value, DriverError> {
        let closed = || DriverError::Gone {
            what: "browser",
            detail: "our own connection to it was closed".to_owned(),
        };
        let begin = Instant::now();
        let id = self.connection.ask_in(session, method, parameters).ok_or_else(closed)?;
        while begin.elapsed() < self.deadline {
            match self.connection.hear() {
                Said::Message(mut answer) if answer["id"] == id => {
                    return match answer["error"]["message"].as_str() {
                        Some(why) => Err(self.refused(why.to_owned())),
                        None => Ok(answer["result"].take()),
                    };
                }
                Said::Message(event) => {
                    if let Some((method, parameters)) = self.answers.answer(&event) {
                        let session = event["sessionId"].as_str();
                        self.connection.ask_in(session, method, &parameters).ok_or_else(closed)?;
                    }
                }
                Said::Silence => {}
                Said::Useless => return Err(closed()),
            }
        }
        Err(DriverError::Deadline { request: self.request, deadline: self.deadline })
    }
}

//! Files for the window in which a person chooses them, which a click opens and no page shows. Invariant: no such window opens;
//! whoever asks for it is given the files, or the request says why it was given none.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vigorl_interface::DriverError;

use crate::connection::{Connection, Port, Said};

/// How long a page may take to ask for files behind a click.
const PATIENCE: Duration = Duration::from_secs(2);

/// Hands files over to whoever asks for some behind the click. Without a connection of our own nothing is clicked.
pub(crate) fn upload(
    port: Option<&Port>,
    tab: &str,
    files: &[String],
    click: impl FnOnce() -> Result<(), DriverError>,
) -> Result<(), DriverError> {
    let opened = match port {
        Some(port) => Connection::open(port, tab).map_err(|why| refused(&why))?,
        None => None,
    };
    let mut chooser = Chooser(opened.ok_or_else(|| refused("there is no file field at this point"))?);
    chooser.ask("Page.enable", &json!({}))?;
    chooser.ask("Page.setInterceptFileChooserDialog", &json!({ "enabled": true }))?;
    click()?;
    let asked = chooser.asked()?;
    if files.len() > 1 && asked["mode"] == "selectSingle" {
        return Err(refused("the field takes one file"));
    }
    chooser
        .ask("DOM.setFileInputFiles", &json!({ "files": files, "backendNodeId": asked["backendNodeId"] }))
        .map(drop)
}

/// The windows of a tab, caught as long as this lives.
struct Chooser(Connection);

impl Chooser {
    /// A request and its answer.
    fn ask(&mut self, method: &str, parameters: &Value) -> Result<Value, DriverError> {
        let closed = || refused("the connection to the browser was closed");
        let id = self.0.ask(method, parameters).ok_or_else(closed)?;
        let mut answer = self.hear(|message| message["id"] == id)?.ok_or_else(closed)?;
        match answer["error"]["message"].as_str() {
            Some(why) => Err(refused(why)),
            None => Ok(answer["result"].take()),
        }
    }

    /// What is told of whoever asks for files.
    fn asked(&mut self) -> Result<Value, DriverError> {
        let asked = self.hear(|message| message["method"] == "Page.fileChooserOpened")?;
        let none = || refused("what is at this point was clicked, and asked for no file");
        Ok(asked.ok_or_else(none)?["params"].take())
    }

    /// The first message of a kind; nothing if none comes in time.
    fn hear(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Result<Option<Value>, DriverError> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            match self.0.hear() {
                Said::Message(message) if is_wanted(&message) => return Ok(Some(message)),
                Said::Message(_) | Said::Silence => {}
                Said::Useless => return Err(refused("the connection to the browser was closed")),
            }
        }
        Ok(None)
    }
}

fn refused(detail: &str) -> DriverError {
    DriverError::Refused { request: "upload", detail: detail.to_owned() }
}

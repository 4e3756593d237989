//! A server: the way to it, and which of its models is meant. Invariant: a name that the server does not have is an error, also
//! where the server would answer to any name.

use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::address::{ApiKey, BaseUrl};
use crate::courier::{Asked, Courier, Patience};
use crate::error::EndpointError;

/// How long is waited before whoever asks is asked whether he still waits.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// A name that no server has.
const NOBODY: &str = "vigorl-asks-whether-names-count";

/// A server and the way to it.
#[derive(Debug)]
pub struct Server {
    address: BaseUrl,
    key: Option<ApiKey>,
    patience: Patience,
    line: Option<Line>,
}

/// An open way: connections belong to the runtime that opened them.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) courier: Courier,
    pub(crate) runtime: Runtime,
}

/// One of a server's models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedModel {
    /// By which it is asked.
    pub name: String,
    /// Whether the server lists it.
    pub is_listed: bool,
}

impl Server {
    /// A server at an address; nothing is sent yet.
    pub fn new(address: BaseUrl, key: Option<ApiKey>, patience: Patience) -> Self {
        Self { address, key, patience, line: None }
    }

    /// The same server for another thread, which has connections of its own.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self::new(self.address.clone(), self.key.clone(), self.patience)
    }

    /// Where it is.
    pub fn address(&self) -> &BaseUrl {
        &self.address
    }

    /// The way to it.
    pub(crate) fn line(&mut self) -> Result<&Line, EndpointError> {
        let line = match self.line.take() {
            Some(line) => line,
            None => {
                let no_client =
                    |why: String| EndpointError::NoClient { address: self.address.to_string(), why };
                let runtime = Builder::new_current_thread().enable_all().build();
                Line {
                    courier: Courier::try_new(self.address.clone(), self.key.clone(), self.patience)?,
                    runtime: runtime.map_err(|error| no_client(error.to_string()))?,
                }
            }
        };
        Ok(self.line.insert(line))
    }

    /// Does something over the way to the server, as long as `go_on` says so.
    pub(crate) fn wait<T>(
        &mut self,
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
        work: impl AsyncFnOnce(&Courier) -> Result<T, EndpointError>,
    ) -> Result<T, EndpointError> {
        let Line { courier, runtime } = self.line()?;
        runtime.block_on(async {
            let broken_off = async {
                while go_on().is_continue() {
                    tokio::time::sleep(TICK).await;
                }
            };
            tokio::select! {
                done = work(courier) => done,
                () = broken_off => Err(EndpointError::Cancelled),
            }
        })
    }

    /// The model of that name; without a name the only one that there is.
    ///
    /// # Errors
    /// If there is no such model, several and no name, or no server. Whoever breaks off gets [`EndpointError::Cancelled`].
    pub fn served_model(
        &mut self,
        wanted: Option<&str>,
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<ServedModel, EndpointError> {
        let wanted = wanted.map(str::to_owned);
        self.wait(go_on, async move |courier: &Courier| {
            let listed = courier.get("models").await.and_then(|json| names(&json));
            let Some(wanted) = wanted else { return only(listed) };
            let there = match listed {
                Err(why) if why.is_refusal() => Vec::new(),
                listed => listed?,
            };
            if there.contains(&wanted) {
                return Ok(ServedModel { name: wanted, is_listed: true });
            }
            unlisted(courier, wanted, there).await
        })
    }
}

/// The only model of a list.
fn only(listed: Result<Vec<String>, EndpointError>) -> Result<ServedModel, EndpointError> {
    let mut there = match listed {
        Err(why) if why.is_refusal() => return Err(EndpointError::NoList { why: why.to_string() }),
        listed => listed?,
    };
    match there.pop() {
        None => Err(EndpointError::NoList { why: "its list is empty".to_owned() }),
        Some(name) if there.is_empty() => Ok(ServedModel { name, is_listed: true }),
        Some(last) => {
            there.push(last);
            Err(EndpointError::SeveralModels { there })
        }
    }
}

/// The names in a list of models.
fn names(json: &Value) -> Result<Vec<String>, EndpointError> {
    let list = json.get("data").and_then(Value::as_array).ok_or_else(|| EndpointError::Garbage {
        address: "/models".to_owned(),
        why: "there is no list `data`".to_owned(),
    })?;
    Ok(list.iter().filter_map(|model| Some(model.get("id")?.as_str()?.to_owned())).collect())
}

/// Whether a server has a model that it does not list: `transformers serve` loads whatever is named. One that answers to a
/// name that nobody has takes no notice of names, so that somebody else would answer.
async fn unlisted(
    courier: &Courier,
    wanted: String,
    there: Vec<String>,
) -> Result<ServedModel, EndpointError> {
    let once = courier.with(Patience { n_retries: 0, ..courier.patience });
    match once.ask(&one_token(NOBODY)).await {
        Ok(_) => {
            let said = "it answers to any name, and does not list this one".to_owned();
            return Err(EndpointError::NoModel { wanted, said, there });
        }
        Err(error) if error.is_refusal() => {}
        Err(error) => return Err(error),
    }
    match courier.ask(&one_token(&wanted)).await {
        Ok(_) => Ok(ServedModel { name: wanted, is_listed: false }),
        Err(error) if error.is_refusal() && !there.is_empty() => {
            Err(EndpointError::NoModel { wanted, said: error.to_string(), there })
        }
        Err(error) => Err(error),
    }
}

/// The smallest question.
fn one_token(model: &str) -> Asked {
    let body = json!({
        "model": model,
        "messages": [{ "role": "user", "content": "Hello" }],
        "max_tokens": 1,
        "temperature": 0,
        "stream": true,
    });
    Asked { body: body.to_string(), stops: Vec::new(), ends_itself: true }
}

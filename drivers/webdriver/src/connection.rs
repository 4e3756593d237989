//! A connection of our own to the browser, or to a tab of it, in its own protocol. Invariant: whoever hears waits no longer
//! than [`SILENCE`], and decides then for how long to go on; whoever asks, no longer than [`SENDING`].

use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

/// How long a silence may be until somebody asks why.
const SILENCE: Duration = Duration::from_millis(300);
/// How long a request may take to be sent: what an origin has stored can be megabytes.
const SENDING: Duration = Duration::from_secs(10);

/// The connection. What is switched on over it ends with it.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: WebSocket<TcpStream>,
    last_id: u64,
}

/// What came over it.
pub(crate) enum Said {
    /// An answer, which has the `id` of its request, or an event, which has a `method`.
    Message(Value),
    /// Nothing for a while.
    Silence,
    /// It is closed, or does not speak this protocol.
    Useless,
}

impl Connection {
    /// Connects to a tab of the browser that has this profile; nothing if it offers no such connection, because it
    /// talks to its server through a pipe.
    ///
    /// # Errors
    /// Says why a connection that is offered cannot be had.
    pub(crate) fn open(profile: &Path, tab: &str) -> Result<Option<Self>, String> {
        Self::connect(profile, |_browser| format!("/devtools/page/{tab}"))
    }

    /// Connects to the browser itself, likewise: over it, tabs are reached by sessions.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_browser(profile: &Path) -> Result<Option<Self>, String> {
        Self::connect(profile, str::to_owned)
    }

    /// Connects to an address of the browser, which is made of the browser's own.
    fn connect(profile: &Path, address: impl FnOnce(&str) -> String) -> Result<Option<Self>, String> {
        let written = match std::fs::read_to_string(profile.join("DevToolsActivePort")) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("the port of its own protocol cannot be read: {error}")),
        };
        let mut lines = written.lines();
        let port = lines.next().and_then(|line| line.parse::<u16>().ok());
        let port = port.ok_or_else(|| format!("the port of its own protocol is {written:?}"))?;
        let connected = TcpStream::connect(("127.0.0.1", port)).and_then(|stream| {
            stream.set_read_timeout(Some(SILENCE))?;
            stream.set_write_timeout(Some(SENDING))?;
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        let stream = connected.map_err(|error| format!("port {port} of its own protocol: {error}"))?;
        let url = format!("ws://127.0.0.1:{port}{}", address(lines.next().unwrap_or_default()));
        // A picture is one message, however large.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = tungstenite::client::client_with_config(url, stream, Some(config))
            .map_err(|error| format!("port {port} of its own protocol: {error}"))?;
        Ok(Some(Self { socket, last_id: 0 }))
    }

    /// Sends a request, whose answer will have this id; nothing if the connection is of no use any more.
    pub(crate) fn ask(&mut self, method: &str, parameters: &Value) -> Option<u64> {
        self.ask_in(None, method, parameters)
    }

    /// The same in a session of a tab, over a connection to the browser.
    pub(crate) fn ask_in(&mut self, session: Option<&str>, method: &str, parameters: &Value) -> Option<u64> {
        self.last_id += 1;
        let mut request = json!({ "id": self.last_id, "method": method, "params": parameters });
        if let Some(session) = session {
            request["sessionId"] = session.into();
        }
        self.socket.send(Message::text(request.to_string())).is_ok().then_some(self.last_id)
    }

    /// What ends the connection from another thread, also while that waits.
    pub(crate) fn end(&self) -> std::io::Result<TcpStream> {
        self.socket.get_ref().try_clone()
    }

    /// What comes next.
    pub(crate) fn hear(&mut self) -> Said {
        loop {
            let message = match self.socket.read() {
                Ok(Message::Text(text)) => text,
                Ok(_) => continue,
                Err(Error::Io(e)) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Said::Silence;
                }
                Err(_) => return Said::Useless,
            };
            return serde_json::from_str(&message).map_or(Said::Useless, Said::Message);
        }
    }
}

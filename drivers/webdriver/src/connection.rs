//! A connection of our own to the browser, or to a tab of it, in its own protocol. Invariant: whoever hears waits no longer
//! than [`SILENCE`], and decides then for how long to go on; whoever asks, no longer than [`SENDING`].

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

/// How long a silence may be until somebody asks why.
const SILENCE: Duration = Duration::from_millis(300);
/// How long a request may take to be sent: what an origin has stored can be megabytes.
const SENDING: Duration = Duration::from_secs(10);

/// Where a browser offers connections of its own protocol.
#[derive(Debug, Clone)]
pub(crate) enum Port {
    /// The browser that has this profile has written it there.
    InProfile(PathBuf),
    /// It was asked for.
    Known {
        /// Who listens.
        address: SocketAddrV4,
        /// The way to the browser itself.
        path: String,
    },
}

impl Port {
    /// The address, and the way to the browser itself; nothing if it offers no connection, because it talks to its server
    /// through a pipe.
    fn found(&self) -> Result<Option<(SocketAddrV4, String)>, String> {
        let profile = match self {
            Self::Known { address, path } => return Ok(Some((*address, path.clone()))),
            Self::InProfile(profile) => profile,
        };
        let written = match std::fs::read_to_string(profile.join("DevToolsActivePort")) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("the port of its own protocol cannot be read: {error}")),
        };
        let mut lines = written.lines();
        let port = lines.next().and_then(|line| line.parse::<u16>().ok());
        let port = port.ok_or_else(|| format!("the port of its own protocol is {written:?}"))?;
        let path = lines.next().unwrap_or_default().to_owned();
        Ok(Some((SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), path)))
    }
}

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
    /// Connects to a tab of the browser at this port; nothing if it offers no such connection.
    ///
    /// # Errors
    /// Says why a connection that is offered cannot be had.
    pub(crate) fn open(port: &Port, tab: &str) -> Result<Option<Self>, String> {
        Self::connect(port, |_browser| format!("/devtools/page/{tab}"))
    }

    /// Connects to the browser itself, likewise: over it, tabs are reached by sessions.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_browser(port: &Port) -> Result<Option<Self>, String> {
        Self::connect(port, str::to_owned)
    }

    /// Connects to an address of the browser, which is made of the browser's own.
    fn connect(port: &Port, way: impl FnOnce(&str) -> String) -> Result<Option<Self>, String> {
        let Some((address, path)) = port.found()? else { return Ok(None) };
        let connected = TcpStream::connect(address).and_then(|stream| {
            stream.set_read_timeout(Some(SILENCE))?;
            stream.set_write_timeout(Some(SENDING))?;
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        let wrong =
            |error: &dyn std::fmt::Display| format!("port {} of its own protocol: {error}", address.port());
        let stream = connected.map_err(|error| wrong(&error))?;
        let url = format!("ws://{address}{}", way(&path));
        // A picture is one message, however large.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = tungstenite::client::client_with_config(url, stream, Some(config))
            .map_err(|error| wrong(&error))?;
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

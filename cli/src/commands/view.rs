//! `vigorl view`: recorded runs in a browser, from a server that only this machine can reach.
//!
//! Invariant: it writes nothing, and reads nothing but runs: `gate` says what may be asked for and opened, `site` what
//! is answered, `http` how.

mod gate;
mod http;
mod site;

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use crate::args::ViewArgs;
use crate::commands::{Form, pretty};
use crate::exit::Ending;
use crate::settings::Settings;
use crate::{interrupt, terminal};

use site::Site;

/// Pause between two looks at whether Ctrl-C was pressed.
const TICK: Duration = Duration::from_millis(50);

/// Serves the runs until Ctrl-C.
pub(crate) fn view(args: &ViewArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let site = Site::open(args.folder.as_deref().unwrap_or(&settings.output_dir))?;
    let port = args.port.unwrap_or(0);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("cannot listen on port {port}: choose another --port, or none"))?;
    let url = format!("http://{}{}", listener.local_addr()?, site.start());
    terminal::data(&match form {
        Form::Json => pretty(&json!({ "url": url })),
        Form::Text => url,
    });
    terminal::note("open it in a browser; Ctrl-C ends it");
    let answer = move |request: &http::Request| {
        let hosts: Vec<&str> = request.hosts.iter().map(String::as_str).collect();
        let reply = gate::refusal(request.is_reading(), &hosts);
        let reply = reply.unwrap_or_else(|| site.answer(&request.target));
        terminal::detail(&format!("{} {} {}", reply.status, request.method, request.target));
        reply
    };
    // It ends with the program, whatever a browser still wants.
    thread::spawn(move || http::answer_all(&listener, answer));
    while !cancel.is_set() {
        thread::sleep(TICK);
    }
    Ok(Ending::Interrupted)
}

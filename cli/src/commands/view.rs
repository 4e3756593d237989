//! `vigorl view`: recorded runs in a browser, from a server that only this machine can reach.
//!
//! Invariant: it listens on the loopback interface alone; what is answered, `vigorl_report::view` says.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use vigorl_interface::wait_while;
use vigorl_report::view::{Answered, Site, serve};

use crate::args::ViewArgs;
use crate::commands::{Form, pretty};
use crate::exit::{Ending, usage};
use crate::settings::Settings;
use crate::{interrupt, terminal};

/// Pause between two looks at whether Ctrl-C was pressed.
const TICK: Duration = Duration::from_millis(50);

/// Serves the runs until Ctrl-C.
pub(crate) fn view(args: &ViewArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let site = Site::open(args.folder.as_deref().unwrap_or(&settings.output_dir))
        .map_err(|error| usage(error.to_string()))?;
    let port = args.port.unwrap_or(0);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("cannot listen on port {port}: choose another --port, or none"))?;
    let url = format!("http://{}{}", listener.local_addr()?, site.start());
    terminal::data(&match form {
        Form::Json => pretty(&json!({ "url": url })),
        Form::Text => url,
    });
    terminal::note("open it in a browser; Ctrl-C ends it");
    let log = |Answered { method, target, status }: Answered<'_>| {
        terminal::detail(&format!("{status} {method} {target}"));
    };
    // It ends with the program, whatever a browser still wants.
    thread::spawn(move || serve(&listener, site, log));
    wait_while(None, TICK, || !cancel.is_set());
    Ok(Ending::Interrupted)
}

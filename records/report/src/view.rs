//! The server of recorded runs: pages for a browser on this machine.
//!
//! Invariant: it writes nothing, and reads nothing but runs: `gate` says what may be asked for and opened, `site` what
//! is answered, `http` how; `wish` what is to be shown of the list, and `rows` what is known of its runs.

mod gate;
mod http;
mod rows;
mod site;
mod wish;

use std::net::TcpListener;

pub(crate) use gate::encoded;
pub(crate) use site::run_address;
pub use site::{Site, SiteError};
pub use wish::{Ended, Wish};

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// `GET`, or what else was tried.
    pub method: &'a str,
    /// The address, as it was asked for.
    pub target: &'a str,
    /// The status of the answer.
    pub status: u16,
}

/// Answers whoever connects, for as long as the program lives; `answered` is told of each answer.
pub fn serve(listener: &TcpListener, site: Site, answered: impl Fn(Answered<'_>) + Send + Sync + 'static) {
    http::answer_all(listener, move |request| {
        let hosts: Vec<&str> = request.hosts.iter().map(String::as_str).collect();
        let reply = gate::refusal(request.is_reading(), &hosts);
        let reply = reply.unwrap_or_else(|| site.answer(&request.target));
        let (method, target) = (request.method.as_str(), request.target.as_str());
        answered(Answered { method, target, status: reply.status });
        reply
    });
}

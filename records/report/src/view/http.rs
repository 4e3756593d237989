//! The HTTP of the viewer: one request on each connection, its head parsed by `httparse`.
//!
//! Invariant: a head is bounded in size and time, a body is never used, and each connection has a thread of its own:
//! browsers open some ahead and say nothing on them, which must keep no other waiting.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::site::Reply;

/// Longest head of a request; browsers send about one kilobyte.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// Longest silence of a browser that has something to say, or to hear.
const PATIENCE: Duration = Duration::from_secs(30);
/// Said with every answer.
const HEADERS: &str = "Cache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\n\
    X-Frame-Options: DENY\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Referrer-Policy: no-referrer\r\n\
    Connection: close\r\n";

/// What a browser asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// Every `Host` header.
    pub(super) hosts: Vec<String>,
}

impl Request {
    /// Whether it only asks to see something.
    pub(super) fn is_reading(&self) -> bool {
        self.method == "GET" || self.method == "HEAD"
    }
}

/// Answers whoever connects, for as long as the program lives.
pub(super) fn answer_all(listener: &TcpListener, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
    let answer = Arc::new(answer);
    // A connection that broke before it was accepted is none.
    for stream in listener.incoming().flatten() {
        let answer = Arc::clone(&answer);
        // Whoever has gone away needs no answer; without a thread, the connection is closed.
        thread::Builder::new().spawn(move || converse(stream, &*answer)).ok();
    }
}

fn converse(mut stream: TcpStream, answer: &impl Fn(&Request) -> Reply) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let (reply, with_body) = match read_head(&mut stream)? {
        Ok(request) => (answer(&request), request.method != "HEAD"),
        Err(refused) => (refused, true),
    };
    let mut bytes = head(&reply).into_bytes();
    if with_body {
        bytes.extend_from_slice(&reply.body);
    }
    stream.write_all(&bytes)?;
    // With something unread, closing would tear the answer out of the browser's hands.
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream.take(MAX_HEAD as u64), &mut io::sink())?;
    Ok(())
}

fn head(reply: &Reply) -> String {
    let words = match reply.status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed\r\nAllow: GET, HEAD",
        431 => "Request Header Fields Too Large",
        _ => "Internal Server Error",
    };
    let (status, kind, n_bytes) = (reply.status, reply.kind, reply.body.len());
    format!("HTTP/1.1 {status} {words}\r\nContent-Type: {kind}\r\nContent-Length: {n_bytes}\r\n{HEADERS}\r\n")
}

/// The head of a request, or why there is none that can be answered.
fn read_head(stream: &mut impl io::Read) -> io::Result<Result<Request, Reply>> {
    let mut bytes = Vec::new();
    let mut part = [0; 2048];
    loop {
        let n = stream.read(&mut part)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&part[..n]);
        match parse(&bytes) {
            Ok(Some(request)) => return Ok(Ok(request)),
            Ok(None) if bytes.len() < MAX_HEAD => {}
            Ok(None) => return Ok(Err(Reply::text(431, "refused: the head of the request is too long"))),
            Err(error) => return Ok(Err(Reply::text(400, &format!("refused: {error}")))),
        }
    }
}

/// The request, once its head is complete.
fn parse(bytes: &[u8]) -> Result<Option<Request>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    if parsed.parse(bytes)?.is_partial() {
        return Ok(None);
    }
    let hosts = parsed.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    let hosts = hosts.map(|header| String::from_utf8_lossy(header.value).into_owned()).collect();
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    Ok(Some(Request { method: text(parsed.method), target: text(parsed.path), hosts }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Result<Request, u16> {
        read_head(&mut text.as_bytes()).unwrap().map_err(|reply| reply.status)
    }

    #[test]
    fn heads_are_read_and_others_refused() {
        let request = status("GET /a?b HTTP/1.1\r\nhost: x\r\nHost: y:1\r\nAccept: */*\r\n\r\n").unwrap();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/a?b"));
        assert_eq!(request.hosts, ["x", "y:1"]);
        assert!(request.is_reading());
        assert_eq!(status("GET / HTTP/3\r\n\r\n"), Err(400));
        assert_eq!(status("\u{0}\r\n\r\n"), Err(400));
        assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MAX_HEAD))), Err(431));
        assert_eq!(
            status(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1))),
            Err(400)
        );
        assert!(read_head(&mut "GET / HTTP/1.1\r\n".as_bytes()).is_err(), "it breaks off");
    }
}

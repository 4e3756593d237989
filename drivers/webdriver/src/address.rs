//! What an address without a scheme means: to somebody who types it, and to the page that is open.

use reqwest::Url;

/// The whole address. A host with its port is asked over HTTP; anything else without a scheme is relative to the page that
/// is open, and where none is, to nothing: then it begins with a host.
///
/// # Errors
/// Why it means nothing.
pub(crate) fn completed(url: &str, open: impl FnOnce() -> Option<String>) -> Result<String, String> {
    let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
    if is_host_with_port(authority) {
        return Ok(format!("http://{url}"));
    }
    if Url::parse(url).is_ok_and(|url| !url.scheme().is_empty()) {
        return Ok(url.to_owned());
    }
    let is_page = |open: &Url| ["http", "https", "file"].contains(&open.scheme());
    let open = open().and_then(|open| Url::parse(&open).ok()).filter(is_page);
    match open {
        Some(open) => {
            open.join(url).map(String::from).map_err(|error| format!("`{url}` is no address: {error}"))
        }
        None if is_host(authority) && (authority.contains('.') || authority == "localhost") => {
            Ok(format!("http://{url}"))
        }
        None => Err(format!("`{url}` is no address, and no page is open that it could be relative to")),
    }
}

fn is_host_with_port(authority: &str) -> bool {
    let Some((host, port)) = authority.rsplit_once(':') else { return false };
    port.parse::<u16>().is_ok() && (is_host(host) || (host.starts_with('[') && host.ends_with(']')))
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, open: Option<&str>, expected: Option<&str>) {
        let got = completed(url, || open.map(str::to_owned));
        assert_eq!(got.as_deref().ok(), expected, "{got:?}");
    }

    #[test]
    fn an_address_is_completed_by_http_or_by_the_page_that_is_open() {
        let page = Some("http://shop.test:81/a/b?c#d");
        check("https://x.org/y", page, Some("https://x.org/y"));
        check("about:blank", page, Some("about:blank"));
        check("data:text/html,x", None, Some("data:text/html,x"));
        check("127.0.0.1:80/x", page, Some("http://127.0.0.1:80/x"));
        check("localhost:8080", None, Some("http://localhost:8080"));
        check("[::1]:8080/x", None, Some("http://[::1]:8080/x"));
        check("/x?y", page, Some("http://shop.test:81/x?y"));
        check("x", page, Some("http://shop.test:81/a/x"));
        check("../x", page, Some("http://shop.test:81/x"));
        check("?q=1", page, Some("http://shop.test:81/a/b?q=1"));
        check("#e", page, Some("http://shop.test:81/a/b?c#e"));
        check("//other.test/x", page, Some("http://other.test/x"));
        check("x.html", Some("file:///a/b.html"), Some("file:///a/x.html"));
        check("example.org/x", Some("about:blank"), Some("http://example.org/x"));
        check("localhost/x", None, Some("http://localhost/x"));
        check("/x", Some("about:blank"), None);
        check("not a url", Some("data:text/html,x"), None);
        check("", None, None);
    }
}

//! Which hosts a browser may reach.
//!
//! Invariant: the browser's own resolver refuses every other name and address, before anything is sent, so it does not
//! matter what on a page asks: links, redirects, frames, scripts, other tabs. A proxy would resolve names itself, so
//! none is used then. WebRTC asks no resolver about addresses and sends datagrams to whoever a page names, so it is
//! left without any.

use reqwest::Url;

/// Hosts, such as `example.org`, `*.example.org` (which does not include the host itself) or `127.0.0.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// Reads names separated by commas.
    ///
    /// # Errors
    /// Names the part that is no host.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hosts: Vec<String> = text.split(',').map(|host| host.trim().to_lowercase()).collect();
        let is_host = |host: &String| {
            let name = host.strip_prefix("*.").unwrap_or(host);
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
        };
        match hosts.iter().find(|host| !is_host(host)) {
            None => Ok(Self(hosts)),
            Some(host) => Err(format!("`{host}` is no host; write example.org, *.example.org or 127.0.0.1")),
        }
    }

    /// The browser's flags.
    pub(crate) fn flags(&self) -> Vec<String> {
        let excluded: String = self.0.iter().map(|host| format!(", EXCLUDE {host}")).collect();
        vec![
            format!("--host-resolver-rules=MAP * ~NOTFOUND{excluded}"),
            "--no-proxy-server".to_owned(),
            // Datagrams go through a proxy or nowhere, and there is no proxy. `--force-webrtc-ip-handling-policy`, which
            // is written of more often, does not hold in chromium 156.
            "--webrtc-ip-handling-policy=disable_non_proxied_udp".to_owned(),
            // Otherwise the browser announces a name for its own address to the local network (mDNS). This flag holds
            // once on a command line: another feature to disable belongs behind a comma here.
            "--disable-features=WebRtcHideLocalIpsWithMdns".to_owned(),
        ]
    }

    /// Whether a page may be loaded on request: files, data and the browser's own pages may not.
    pub(crate) fn allow(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        let Some(host) = url.host_str().filter(|_| ["http", "https"].contains(&url.scheme())) else {
            return url.as_str() == "about:blank";
        };
        self.0.iter().any(|allowed| match allowed.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix),
            None => host == allowed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_matched_whole() {
        let hosts = AllowedHosts::parse("Example.org, *.test,127.0.0.1").unwrap();
        for url in [
            "http://example.org/x",
            "https://EXAMPLE.org:8443",
            "http://a.b.test/",
            "http://127.0.0.1:80",
            "about:blank",
        ] {
            assert!(hosts.allow(url), "{url}");
        }
        for url in [
            "http://example.org.evil.com/",
            "http://www.example.org/",
            "http://test/",
            "http://eviltest/",
            "http://example.org@evil.com/",
            "http://127.0.0.2/",
            "file:///etc/passwd",
            "data:text/html,x",
            "chrome://settings",
            "javascript:alert(1)",
            "nonsense",
        ] {
            assert!(!hosts.allow(url), "{url}");
        }
        for text in ["", "a,,b", "http://a", "a b", "*"] {
            assert!(AllowedHosts::parse(text).is_err(), "{text}");
        }
    }
}

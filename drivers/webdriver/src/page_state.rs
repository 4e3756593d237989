//! Address, title and HTTP status of the page that is shown, by one question. Invariant: the status is the page's own, however
//! it was come by, and what has none is given none.

use serde_json::Value;
use vigorl_interface::{DriverError, PageState};

use crate::session::Session;

/// A form of that name would hide the title. Where the page has put something of its own in place of what tells the status, or
/// the browser does not know it, there is none.
const SCRIPT: &str = "const said = [location.href,
        window.Object.getOwnPropertyDescriptor(window.Document.prototype, 'title').get.call(document)];
    try {
        const loads = Performance.prototype.getEntriesByType.call(performance, 'navigation');
        said.push(loads[0].responseStatus);
    } catch {}
    return said;";

/// What the page says of itself, or its dialog.
pub(crate) fn ask(session: &Session) -> Result<PageState, DriverError> {
    match session.script("page state", SCRIPT, Vec::new()) {
        Ok(said) => Ok(read(&said)),
        // The browser answers nothing else while a dialog is open.
        Err(DriverError::DialogOpen { text }) => Ok(PageState { dialog: Some(text), ..PageState::default() }),
        Err(e) => Err(e),
    }
}

fn read(said: &Value) -> PageState {
    let url = said[0].as_str();
    // Chromium says 200 of a file as well.
    let is_http = url.is_some_and(|url| url.starts_with("http:") || url.starts_with("https:"));
    let status = said[2].as_u64().and_then(|status| u16::try_from(status).ok());
    PageState {
        url: url.map(str::to_owned),
        title: said[1].as_str().map(str::to_owned),
        dialog: None,
        status: status.filter(|status| is_http && *status > 0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_that_of_a_page_that_came_over_http() {
        let check = |said: Value, status: Option<u16>| assert_eq!(read(&said).status, status, "{said}");
        check(json!(["https://x.test/", "t", 404]), Some(404));
        check(json!(["http://x.test/", "t", 200]), Some(200));
        check(json!(["file:///x", "t", 200]), None);
        check(json!(["about:blank", "", 0]), None);
        check(json!(["http://x.test/", "t", 0]), None);
        check(json!(["http://x.test/", "t"]), None);
        check(json!(["http://x.test/", "t", null]), None);
        check(json!(["http://x.test/", "t", "404"]), None);
    }
}

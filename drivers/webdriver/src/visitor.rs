//! Whether a browser knows the language and the time zone of whoever visits its pages. Invariant: what it does not know is an
//! error, because it would go on with another one without a word.

use serde_json::{Value, json};
use vigorl_interface::{DriverError, LOCALE_HELP, TimeZone, Visitor};

use crate::session::Session;

/// How many names an error lists at most: those of a continent.
const MOST_NAMED: usize = 200;

/// What is wrong with a visitor is said before any page is loaded.
pub(crate) fn check(session: &Session, visitor: &Visitor) -> Result<(), DriverError> {
    let failed = |detail: String| DriverError::Start { program: "the browser".to_owned(), detail };
    if let Some(locale) = &visitor.locale {
        const KNOWS: &str = "return Intl.DateTimeFormat.supportedLocalesOf([arguments[0]]).length === 1";
        if session.script("locale", KNOWS, vec![json!(locale.as_str())])? != Value::Bool(true) {
            let name = locale.as_str();
            return Err(failed(format!("`{name}` is no locale that it knows: that is {LOCALE_HELP}")));
        }
    }
    let Some(zone) = &visitor.time_zone else { return Ok(()) };
    // A name that it does not know is taken for one without a name.
    const ZONE: &str =
        "const of = (options) => new Intl.DateTimeFormat('en', options).resolvedOptions().timeZone;
        try { if (of({ timeZone: arguments[0] }) === of({})) return true } catch {}
        return Intl.supportedValuesOf('timeZone')";
    match session.script("time zone", ZONE, vec![json!(zone.as_str())])? {
        Value::Bool(true) => Ok(()),
        known => Err(failed(unknown(zone, &known))),
    }
}

/// Says that there is no such time zone, and which ones there are: those of its region, or else the regions.
fn unknown(zone: &TimeZone, known: &Value) -> String {
    let region = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let all: Vec<&str> = known.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let wanted = region(zone.as_str());
    let same: Vec<&str> =
        all.iter().filter(|name| region(name).eq_ignore_ascii_case(&wanted)).copied().collect();
    let mut regions: Vec<String> = all.iter().map(|name| format!("{}/…", region(name))).collect();
    regions.dedup();
    let (what, mut named) = match same.is_empty() {
        true => ("there are UTC and those of", regions),
        false => ("there are", same.into_iter().map(str::to_owned).collect()),
    };
    named.truncate(MOST_NAMED);
    format!("`{}` is no time zone that it knows; {what} {}", zone.as_str(), named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_time_zone_is_told_with_those_that_are_near() {
        let known = json!(["Africa/Abidjan", "Africa/Accra", "Europe/Berlin", "Europe/Paris"]);
        let told = |name: &str| unknown(&name.parse().unwrap(), &known);
        assert_eq!(
            told("Europe/Berlim"),
            "`Europe/Berlim` is no time zone that it knows; there are Europe/Berlin, Europe/Paris"
        );
        assert!(told("europe/berlin").ends_with("there are Europe/Berlin, Europe/Paris"));
        assert!(told("Berlin").ends_with("there are UTC and those of Africa/…, Europe/…"));
    }
}

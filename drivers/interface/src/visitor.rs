//! Who visits pages: what these learn of a person's language, time and place, and what the person allows and trusts.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is not said is as the machine has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Visitor {
    /// Language and region.
    pub locale: Option<Locale>,
    /// The clock that the person lives by.
    pub time_zone: Option<TimeZone>,
    /// Where the person is.
    pub geolocation: Option<Geolocation>,
    /// What pages may do.
    pub permissions: Option<Permissions>,
    /// Which servers are trusted besides those that the machine trusts.
    pub certificates: Option<Certificates>,
}

/// A language, and mostly a region: `de-DE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locale(String);

/// A time zone by its name in the list of the IANA: `Europe/Berlin`. Which there are is known to the browser alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(String);

/// A place on the earth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geolocation {
    /// Degrees north of the equator.
    pub latitude: f64,
    /// Degrees east of Greenwich.
    pub longitude: f64,
    /// How many metres it may be off.
    pub accuracy: f64,
}

/// Permissions by their names on the web.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions(BTreeMap<String, Allowed>);

/// What a page is answered that wants a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allowed {
    /// Yes.
    Granted,
    /// No.
    Denied,
    /// Nothing, as by a person who has not decided yet.
    Prompt,
}

/// Certificates that are trusted though nobody vouches for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificates {
    /// Every one, whoever shows it.
    AcceptAny,
    /// Those of keys with these fingerprints: the SHA-256 of a public key (SPKI) in base64.
    OfKeys(Vec<String>),
}

/// How a [`Locale`] is written, for help texts.
pub const LOCALE_HELP: &str = "a language and a region, such as de-DE, en-GB or zh-Hant-TW";
/// How a [`TimeZone`] is written.
pub const TIME_ZONE_HELP: &str = "a time zone of the IANA's list, such as Europe/Berlin or UTC";
/// How a [`Geolocation`] is written.
pub const GEOLOCATION_HELP: &str =
    "LATITUDE,LONGITUDE or LATITUDE,LONGITUDE,METRES in degrees, such as 52.52,13.405";

/// How [`Certificates`] are written.
pub const CERTIFICATES_HELP: &str = "accept-any, or fingerprints of public keys with commas";

/// How accurate a place is of which that is not said, in metres.
pub const ACCURACY: f64 = 10.0;

/// The permissions that Chromium 156 takes and a page can ask for.
pub const PERMISSIONS: [&str; 24] = [
    "accelerometer",
    "background-fetch",
    "background-sync",
    "camera",
    "clipboard-read",
    "clipboard-write",
    "display-capture",
    "geolocation",
    "gyroscope",
    "idle-detection",
    "keyboard-lock",
    "local-fonts",
    "local-network-access",
    "magnetometer",
    "microphone",
    "midi",
    "notifications",
    "payment-handler",
    "periodic-background-sync",
    "persistent-storage",
    "pointer-lock",
    "screen-wake-lock",
    "storage-access",
    "window-management",
];

impl Allowed {
    /// Each by its name.
    pub const NAMED: [(&str, Self); 3] =
        [("granted", Self::Granted), ("denied", Self::Denied), ("prompt", Self::Prompt)];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Prompt => "prompt",
        }
    }
}

impl Locale {
    /// As pages know it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The languages that a browser says it understands: this one, and then the language in every region.
    pub fn languages(&self) -> String {
        let language = self.0.split('-').next().unwrap_or_default();
        if language == self.0 { self.0.clone() } else { format!("{},{language}", self.0) }
    }
}

impl FromStr for Locale {
    type Err = String;

    /// ```
    /// use vigorl_interface::Locale;
    /// let locale: Locale = "pt-BR".parse()?;
    /// assert_eq!((locale.as_str(), locale.languages().as_str()), ("pt-BR", "pt-BR,pt"));
    /// assert!("pt_BR".parse::<Locale>().is_err());
    /// # Ok::<(), String>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('-');
        let letters = |part: &str, n: std::ops::RangeInclusive<usize>| {
            n.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic())
        };
        let is_language = parts.next().is_some_and(|part| letters(part, 2..=3));
        let rest: Vec<&str> = parts.collect();
        let is_region = |part: &str| {
            letters(part, 2..=2) || part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let is_written = match rest[..] {
            [] => true,
            [one] => is_region(one) || letters(one, 4..=4),
            [script, region] => letters(script, 4..=4) && is_region(region),
            _ => false,
        };
        match is_language && is_written {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("`{text}` is no locale: that is {LOCALE_HELP}")),
        }
    }
}

impl TimeZone {
    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TimeZone {
    type Err = String;

    /// ```
    /// use vigorl_interface::TimeZone;
    /// assert_eq!("Europe/Berlin".parse::<TimeZone>()?.as_str(), "Europe/Berlin");
    /// assert!("+02:00".parse::<TimeZone>().is_err());
    /// # Ok::<(), String>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "/_+-".contains(c));
        match is_name {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("`{text}` is no time zone: that is {TIME_ZONE_HELP}")),
        }
    }
}

impl Geolocation {
    /// A place; its accuracy is [`ACCURACY`] if that is not said.
    ///
    /// # Errors
    /// Which number is none of the earth.
    pub fn new(latitude: f64, longitude: f64, accuracy: Option<f64>) -> Result<Self, String> {
        let accuracy = accuracy.unwrap_or(ACCURACY);
        match () {
            () if !(-90.0..=90.0).contains(&latitude) => {
                Err(format!("the latitude {latitude} is not from -90 to 90"))
            }
            () if !(-180.0..=180.0).contains(&longitude) => {
                Err(format!("the longitude {longitude} is not from -180 to 180"))
            }
            () if !(accuracy >= 0.0 && accuracy.is_finite()) => {
                Err(format!("the accuracy {accuracy} is no number of metres from 0 on"))
            }
            () => Ok(Self { latitude, longitude, accuracy }),
        }
    }
}

impl fmt::Display for Geolocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.latitude, self.longitude, self.accuracy)
    }
}

impl FromStr for Geolocation {
    type Err = String;

    /// ```
    /// use vigorl_interface::Geolocation;
    /// let berlin: Geolocation = "52.52, 13.405".parse()?;
    /// assert_eq!(berlin.to_string().parse(), Ok(berlin));
    /// assert!("91,0".parse::<Geolocation>().is_err() && "52.52".parse::<Geolocation>().is_err());
    /// # Ok::<(), String>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<f64>, _> = text.split(',').map(|number| number.trim().parse()).collect();
        match numbers.as_deref() {
            Ok([latitude, longitude]) => Self::new(*latitude, *longitude, None),
            Ok([latitude, longitude, accuracy]) => Self::new(*latitude, *longitude, Some(*accuracy)),
            _ => Err(format!("`{text}` is no place: that is {GEOLOCATION_HELP}")),
        }
    }
}

impl Permissions {
    /// Permissions by their names.
    ///
    /// # Errors
    /// A name that there is not, with those that there are.
    pub fn new(permissions: BTreeMap<String, Allowed>) -> Result<Self, String> {
        match permissions.keys().find(|name| !PERMISSIONS.contains(&name.as_str())) {
            None => Ok(Self(permissions)),
            Some(unknown) => {
                Err(format!("`{unknown}` is no permission; there are {}", PERMISSIONS.join(", ")))
            }
        }
    }

    /// Each by its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Allowed)> {
        self.0.iter().map(|(name, allowed)| (name.as_str(), *allowed))
    }

    /// What a page is answered that wants this one, if it is said.
    pub fn get(&self, name: &str) -> Option<Allowed> {
        self.0.get(name).copied()
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (name, allowed)) in self.iter().enumerate() {
            write!(f, "{}{name}={}", if n == 0 { "" } else { "," }, allowed.as_str())?;
        }
        Ok(())
    }
}

impl FromStr for Permissions {
    type Err = String;

    /// A name alone is granted.
    ///
    /// ```
    /// use vigorl_interface::Permissions;
    /// let permissions: Permissions = "notifications=denied, camera".parse()?;
    /// assert_eq!(permissions.to_string(), "camera=granted,notifications=denied");
    /// assert!("telepathy".parse::<Permissions>().unwrap_err().contains("there are accelerometer,"));
    /// # Ok::<(), String>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, String> {
        let permission = |part: &str| {
            let (name, word) = part.split_once('=').unwrap_or((part, Allowed::Granted.as_str()));
            let known = Allowed::NAMED.iter().find(|(known, _)| *known == word.trim());
            let allowed = known.map(|(_, allowed)| *allowed).ok_or_else(|| {
                format!(
                    "`{}` is nothing that a permission is; there are granted, denied, prompt",
                    word.trim()
                )
            })?;
            Ok((name.trim().to_owned(), allowed))
        };
        Self::new(text.split(',').map(permission).collect::<Result<_, String>>()?)
    }
}

impl Certificates {
    /// How every certificate is accepted, in words.
    pub const ANY: &str = "accept-any";

    /// Those of keys with these fingerprints.
    ///
    /// # Errors
    /// What is no fingerprint, and how one is made.
    pub fn of_keys(keys: Vec<String>) -> Result<Self, String> {
        // 32 bytes: 43 digits, of which the last one has four bits, and a sign that fills up.
        let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        let is_fingerprint = |key: &str| {
            let digits = key.strip_suffix('=').unwrap_or_default();
            digits.len() == 43
                && digits.bytes().all(is_digit)
                && digits.ends_with(|c| "AEIMQUYcgkosw048".contains(c))
        };
        match keys.iter().find(|key| !is_fingerprint(key)) {
            Some(key) => Err(format!(
                "`{key}` is no fingerprint of a public key: that is its SHA-256 in base64, as printed by `openssl x509 -in \
                 server.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64`"
            )),
            None if keys.is_empty() => {
                Err(format!("the list has no fingerprint: leave it out, or write `{}`", Self::ANY))
            }
            None => Ok(Self::OfKeys(keys)),
        }
    }
}

impl fmt::Display for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptAny => f.write_str(Self::ANY),
            Self::OfKeys(keys) => f.write_str(&keys.join(",")),
        }
    }
}

impl FromStr for Certificates {
    type Err = String;

    /// ```
    /// use vigorl_interface::Certificates;
    /// assert_eq!("accept-any".parse(), Ok(Certificates::AcceptAny));
    /// let key = "95TPurQk4Snzzr1lzzJIVkW3i6iYrjZ9puQ33lzu+ww=";
    /// assert_eq!(key.parse(), Ok(Certificates::OfKeys(vec![key.to_owned()])));
    /// assert!("95:94:cf".parse::<Certificates>().unwrap_err().contains("openssl x509"));
    /// ```
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            Self::ANY => Ok(Self::AcceptAny),
            keys => Self::of_keys(keys.split(',').map(|key| key.trim().to_owned()).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr<Err = String> + fmt::Debug>(right: &[&str], wrong: &[(&str, &str)]) {
        for text in right {
            assert!(text.parse::<T>().is_ok(), "{text}");
        }
        for (text, words) in wrong {
            let error = text.parse::<T>().unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn locales_are_a_language_a_script_and_a_region() {
        let no = "is no locale: that is a language and a region";
        check::<Locale>(
            &["de", "de-DE", "fil-PH", "zh-Hant-TW", "zh-Hans", "es-419"],
            &[
                ("de_DE", no),
                ("german", no),
                ("", no),
                ("de-", no),
                ("de-DE-u-nu-latn", no),
                ("de-DE,fr", no),
            ],
        );
        let languages = |locale: &str| locale.parse::<Locale>().map(|locale| locale.languages());
        assert_eq!(languages("de"), Ok("de".to_owned()));
        assert_eq!(languages("zh-Hant-TW"), Ok("zh-Hant-TW,zh".to_owned()));
    }

    #[test]
    fn time_zones_are_names() {
        let no = "is no time zone";
        check::<TimeZone>(
            &["Europe/Berlin", "UTC", "America/Port-au-Prince", "Etc/GMT+2", "America/North_Dakota/Center"],
            &[
                ("", no),
                ("+02:00", no),
                (":/etc/localtime", no),
                ("/etc/passwd", no),
                ("Europe/Berlin;x", no),
            ],
        );
    }

    #[test]
    fn places_are_on_the_earth() {
        check::<Geolocation>(
            &["0,0", "-90,180", "52.52,13.405,0"],
            &[
                ("90.1,0", "latitude"),
                ("0,-181", "longitude"),
                ("0,0,-1", "accuracy"),
                ("NaN,0", "latitude"),
                ("0,0,inf", "accuracy"),
                ("0,0,0,0", "is no place"),
                ("Berlin", "is no place"),
            ],
        );
    }

    #[test]
    fn certificates_are_any_or_those_of_keys() {
        let key = "95TPurQk4Snzzr1lzzJIVkW3i6iYrjZ9puQ33lzu+ww=";
        let (two, no) = (format!("{key}, {key}"), "is no fingerprint of a public key");
        // A bit too many, a digit too few, in hexadecimal digits.
        let hex = "f794cfbab424e129f3cebd65cf32485645b78ba898ae367da6e437de5ceefb0c";
        let long = key.replace("ww=", "wx=");
        check::<Certificates>(
            &["accept-any", key, &two],
            &[("", no), ("accept-all", no), (&long, no), (&key[1..], no), (hex, no)],
        );
        assert_eq!(two.parse::<Certificates>().unwrap().to_string(), format!("{key},{key}"));
        assert!(Certificates::of_keys(Vec::new()).unwrap_err().contains("`accept-any`"));
    }

    #[test]
    fn permissions_are_known_by_name() {
        check::<Permissions>(
            &["camera", "camera=prompt,geolocation=denied"],
            &[
                ("", "`` is no permission; there are accelerometer, background-fetch"),
                ("camera=yes", "there are granted, denied, prompt"),
                ("Camera", "`Camera` is no permission"),
            ],
        );
        assert!(PERMISSIONS.is_sorted());
    }
}

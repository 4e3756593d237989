//! The part of a desktop that a driver works on.

use std::fmt;
use std::str::FromStr;

/// What is captured, and where input may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Area {
    /// All monitors together.
    Screen,
    /// One monitor.
    Monitor {
        /// Its name, such as `HDMI-1`, or its number from the left, from 1 on.
        name: String,
    },
    /// One window, cropped from the screen: what covers it is in the picture, as it is for a person.
    Window {
        /// Part of its title or the name of its application, in any case.
        name: String,
    },
}

/// How an [`Area`] is written, for help texts.
pub const AREA_HELP: &str = "screen, monitor:NAME or window:TITLE";

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Screen => f.write_str("screen"),
            Self::Monitor { name } => write!(f, "monitor:{name}"),
            Self::Window { name } => write!(f, "window:{name}"),
        }
    }
}

impl FromStr for Area {
    type Err = String;

    /// ```
    /// use vigorl_interface::Area;
    /// assert_eq!("screen".parse(), Ok(Area::Screen));
    /// assert_eq!("monitor:2".parse(), Ok(Area::Monitor { name: "2".to_owned() }));
    /// assert_eq!("window:Calculator".parse(), Ok(Area::Window { name: "Calculator".to_owned() }));
    /// assert_eq!(Area::Monitor { name: "2".to_owned() }.to_string(), "monitor:2");
    /// assert!("window:".parse::<Area>().is_err() && "all".parse::<Area>().is_err());
    /// ```
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        match (kind, name.trim()) {
            ("screen", "") => Ok(Self::Screen),
            ("monitor", name) if !name.is_empty() => Ok(Self::Monitor { name: name.to_owned() }),
            ("window", name) if !name.is_empty() => Ok(Self::Window { name: name.to_owned() }),
            _ => Err(format!("`{text}` is no area; there are {AREA_HELP}")),
        }
    }
}

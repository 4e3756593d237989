//! What is asked of the list of runs, as it stands in the address, so that it can be sent to somebody.
//!
//! Invariant: the address that is written for a wish asks for that wish again; what the list has no notion of is no wish.

use super::encoded;
use super::gate::decoded;

/// What is to be shown of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Words that all stand in the name of a run, its task or its model.
    pub words: String,
    /// The task whose runs are shown.
    pub task: Option<String>,
    /// How what is shown ended.
    pub ended: Option<Ended>,
    /// Whether tasks are shown instead of runs.
    pub by_task: bool,
    /// Which part of a long list, from 0.
    pub part: usize,
}

/// How a run ended, as far as the list tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Solved.
    Solved,
    /// Not, or the world failed.
    Failed,
    /// Nobody could tell, or it is not over.
    Undecided,
}

impl Ended {
    pub(crate) const ALL: [Self; 3] = [Self::Solved, Self::Failed, Self::Undecided];

    /// In an address, and for people.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Solved => "solved",
            Self::Failed => "failures",
            Self::Undecided => "undecided",
        }
    }

    /// The color of it.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Solved => "hit",
            Self::Failed => "miss",
            Self::Undecided => "open",
        }
    }
}

impl Wish {
    /// What a query asks for; `None` if there is no such thing. Other names are somebody else's and are left out.
    pub(crate) fn of(query: &str) -> Option<Self> {
        let mut wish = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = decoded(&value.replace('+', " "))?;
            match name {
                "q" => wish.words = value,
                "task" => wish.task = Some(value).filter(|task| !task.is_empty()),
                "ended" if value.is_empty() => wish.ended = None,
                "ended" => wish.ended = Some(Ended::ALL.into_iter().find(|ended| ended.word() == value)?),
                "by" if value == "task" => wish.by_task = true,
                "by" => return None,
                "part" => wish.part = value.parse::<usize>().ok()?.checked_sub(1)?,
                _ => {}
            }
        }
        Some(wish)
    }

    /// The address that asks for it.
    pub(crate) fn address(&self) -> String {
        let mut query: Vec<String> =
            self.named().map(|(name, value)| format!("{name}={}", encoded(&value))).collect();
        if self.part > 0 {
            query.push(format!("part={}", self.part + 1));
        }
        if query.is_empty() { "/".to_owned() } else { format!("/?{}", query.join("&")) }
    }

    /// What is asked for but the part, by name.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, String)> {
        let words = Some(self.words.clone()).filter(|words| !words.is_empty());
        let by_task = self.by_task.then(|| "task".to_owned());
        let ended = self.ended.map(|ended| ended.word().to_owned());
        let all = [("q", words), ("task", self.task.clone()), ("ended", ended), ("by", by_task)];
        all.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }

    /// Whether all is asked for.
    pub(crate) fn is_all(&self) -> bool {
        *self == Self { by_task: self.by_task, ..Self::default() }
    }

    /// The same from its beginning, with something else in it.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut wish = Self { part: 0, ..self.clone() };
        change(&mut wish);
        wish
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_reads_back_from_its_address() {
        let all = Wish {
            words: "a&b= c+d/ü%".to_owned(),
            task: Some("greet ${who}, row 2 & more".to_owned()),
            ended: Some(Ended::Failed),
            by_task: true,
            part: 3,
        };
        for wish in [Wish::default(), all.clone(), all.with(|wish| wish.ended = None)] {
            let address = wish.address();
            let query = address.strip_prefix("/?").unwrap_or_default();
            assert_eq!(Wish::of(query), Some(wish), "{address}");
        }
        assert_eq!(Wish::default().address(), "/");
        assert!(Wish { by_task: true, ..Wish::default() }.is_all() && !all.is_all());
    }

    #[test]
    fn what_a_form_writes_is_a_wish_and_what_nobody_wrote_is_none() {
        let of = |query: &str| Wish::of(query);
        // Fields that are empty choose nothing; other names are nobody's.
        assert_eq!(of("q=&task=&ended=&x=1"), Some(Wish::default()));
        assert_eq!(of("q=find+it").map(|wish| wish.words), Some("find it".to_owned()));
        for query in [
            "ended=maybe",
            "by=day",
            "part=0",
            "part=-1",
            "part=x",
            "q=%zz",
            "q=%ff",
            "part=99999999999999999999",
        ] {
            assert_eq!(of(query), None, "{query}");
        }
    }
}

//! What went wrong inside pages, as it is recorded. Invariants: however much a page says, a step's record stays small and
//! tells how much there was; a secret is hidden before a text is cut, so that no half of one is left.

use vigorl_interface::Trouble;

use crate::record::TroubleRecord;

/// Different ones of a step that are told.
const MOST: usize = 20;
/// Characters that are told of each.
const MOST_LETTERS: usize = 300;

/// The first ones with `hide` done to their texts, each once however often it came, and how many more there were.
pub(crate) fn told(troubles: &[Trouble], hide: impl Fn(&str) -> String) -> (Vec<TroubleRecord>, usize) {
    let (mut firsts, mut n_more): (Vec<(&Trouble, usize)>, usize) = (Vec::new(), 0);
    for trouble in troubles {
        match firsts.iter().position(|(first, _)| *first == trouble) {
            Some(known) => firsts[known].1 += 1,
            None if firsts.len() < MOST => firsts.push((trouble, 1)),
            None => n_more += 1,
        }
    }
    let record = |(trouble, n_times): (&Trouble, usize)| TroubleRecord {
        kind: trouble.kind,
        text: cut(&hide(&trouble.text)),
        n_times,
    };
    (firsts.into_iter().map(record).collect(), n_more)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_LETTERS) {
        None => text.to_owned(),
        Some(_) => text.chars().take(MOST_LETTERS - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use vigorl_interface::TroubleKind;

    use super::*;

    fn trouble(text: &str) -> Trouble {
        Trouble { kind: TroubleKind::Console, text: text.to_owned() }
    }

    #[test]
    fn the_first_ones_are_told_and_the_rest_is_counted() {
        let all: Vec<Trouble> = (0..70).map(|n| trouble(&(n % 23).to_string())).collect();
        let (records, n_more) = told(&all, str::to_owned);
        assert_eq!((records.len(), n_more), (20, 9));
        assert_eq!((records[0].text.as_str(), records[0].n_times), ("0", 4));
        assert_eq!(records.iter().map(|record| record.n_times).sum::<usize>() + n_more, 70);
        assert_eq!(told(&[], str::to_owned), (Vec::new(), 0));
    }

    #[test]
    fn what_is_cut_is_hidden_before() {
        let long = format!("{}hunter2hunter2", "ä".repeat(295));
        let (records, _) = told(&[trouble(&long)], |text| text.replace("hunter2hunter2", "${secret:P}"));
        assert_eq!(records[0].text, format!("{}${{se…", "ä".repeat(295)));
        assert_eq!(cut(&"ä".repeat(300)), "ä".repeat(300));
    }
}

//! Holds a completion to the form of its turn: forms speak of texts, the decoding loop of tokens.
//!
//! Invariant: what was fed is never changed. A literal is cut into tokens behind the last token there is, as the
//! tokenizer would cut both together if that leaves that token as it is; and of a literal only those tokens are
//! appended that are the same whatever follows it. The rest of it is then chosen among all tokens that fit.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, OnceLock, PoisonError};

use vigorl_policy::{Next, TurnForm};

use crate::error::EngineError;
use crate::tokenizer::{TextStream, Tokenizer};

/// A choice needs more tokens than the longest ending where a word is spelled in pieces.
const SPELLED: usize = 8;

/// Cuts remembered at most.
const MAX_CUTS: usize = 4_096;

/// Tokens with their texts, by the first character.
type Choices = BTreeMap<char, Vec<(u32, String)>>;
/// Ids of a text behind a token.
type Cuts = HashMap<(Option<u32>, String), Vec<u32>>;

/// What is known of one tokenizer: looking it up anew would take as long as a pass of a small model.
#[derive(Debug, Default)]
pub(crate) struct ProtocolTokens {
    /// The tokens that a form's choices are made of.
    choices: OnceLock<Choices>,
    cuts: Mutex<Cuts>,
}

impl ProtocolTokens {
    fn choices(&self, tokenizer: &Tokenizer) -> Result<&Choices, EngineError> {
        if let Some(found) = self.choices.get() {
            return Ok(found);
        }
        let mut found = Choices::new();
        for (id, text) in tokenizer.written_in(TurnForm::is_protocol_char)? {
            let first = text.chars().next().unwrap_or_default();
            found.entry(first).or_default().push((id, text));
        }
        Ok(self.choices.get_or_init(|| found))
    }

    /// Tokens of `text` behind the token `last`, as the tokenizer cuts both together if that leaves `last` as it is.
    fn cut(&self, last: Option<u32>, text: String, tokenizer: &Tokenizer) -> Result<Vec<u32>, EngineError> {
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        if cuts.len() >= MAX_CUTS {
            cuts.clear();
        }
        let key = (last, text);
        if let Some(known) = cuts.get(&key) {
            return Ok(known.clone());
        }
        let text = &key.1;
        let context = last.map_or(Ok(String::new()), |last| tokenizer.decode(&[last]))?;
        let together = tokenizer.encode(&format!("{context}{text}"))?;
        let cut = match together.strip_prefix(last.as_slice()) {
            Some(behind) => behind.to_vec(),
            None => tokenizer.encode(text)?,
        };
        cuts.insert(key, cut.clone());
        Ok(cut)
    }
}

/// What the form wants of the next token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// These tokens, and none is sampled.
    Forced(Vec<u32>),
    /// Any that fits.
    Sampled,
}

/// The form of one completion.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    form: TurnForm,
    tokenizer: &'a Tokenizer,
    protocol: &'a ProtocolTokens,
    /// With fewer tokens left, the turn is brought to its end.
    reserve: usize,
}

impl<'a> Hold<'a> {
    pub(crate) fn new(
        form: TurnForm,
        tokenizer: &'a Tokenizer,
        protocol: &'a ProtocolTokens,
    ) -> Result<Self, EngineError> {
        let reserve = protocol.cut(None, form.longest_ending(), tokenizer)?.len() + SPELLED;
        Ok(Self { form, tokenizer, protocol, reserve })
    }

    /// Tokens that the completion begins with, whoever continues it.
    pub(crate) fn lead(&self, room: usize) -> Result<Vec<u32>, EngineError> {
        match self.wanted("", &[], room)? {
            Wanted::Forced(ids) if ids.len() <= room => Ok(ids),
            _ => Ok(Vec::new()),
        }
    }

    /// What comes behind `said`, the text of `ids`, with room for `room` more tokens.
    pub(crate) fn wanted(&self, said: &str, ids: &[u32], room: usize) -> Result<Wanted, EngineError> {
        let haste = room <= self.reserve;
        Ok(match self.form.next(said, haste) {
            Next::End => Wanted::Forced(vec![self.tokenizer.end_of_turn]),
            Next::Literal { text, then } => match self.cut(&text, &then, ids)? {
                // What a policy in haste would choose might be to go on.
                cut if cut.is_empty() && haste => Wanted::Forced(self.cut_behind(ids, text)?),
                cut if cut.is_empty() => Wanted::Sampled,
                cut => Wanted::Forced(cut),
            },
            Next::Free | Next::Choice => Wanted::Sampled,
        })
    }

    /// The tokens of `literal` behind `ids`, up to where they depend on which of `then` follows.
    fn cut(&self, literal: &str, then: &[String], ids: &[u32]) -> Result<Vec<u32>, EngineError> {
        let mut shared: Option<Vec<u32>> = None;
        for follower in then {
            let cut = self.cut_behind(ids, format!("{literal}{follower}"))?;
            shared = Some(match shared {
                None => cut,
                Some(shared) => {
                    shared.into_iter().zip(cut).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
                }
            });
        }
        // Without what lies behind the literal, or reaches beyond it.
        let mut cut = shared.unwrap_or_default();
        while !literal.starts_with(&self.tokenizer.decode(&cut)?) {
            cut.pop();
        }
        Ok(cut)
    }

    fn cut_behind(&self, ids: &[u32], text: String) -> Result<Vec<u32>, EngineError> {
        self.protocol.cut(ids.last().copied(), text, self.tokenizer)
    }

    /// The logits with those of tokens that cannot follow at negative infinity, where these are most; none where
    /// almost every token fits, and the one drawn is checked by [`Self::fits`].
    pub(crate) fn narrowed(&self, said: &str, logits: &[f32]) -> Result<Option<Vec<f32>>, EngineError> {
        if self.form.next(said, false) == Next::Free {
            return Ok(None);
        }
        let mut allows = self.form.continuations(said);
        let mut narrowed = vec![f32::NEG_INFINITY; logits.len()];
        for (first, tokens) in self.protocol.choices(self.tokenizer)? {
            // What is allowed is allowed from its first character on.
            if !allows(first.encode_utf8(&mut [0; 4])) {
                continue;
            }
            for (id, text) in tokens {
                if allows(text) {
                    narrowed[*id as usize] = logits[*id as usize];
                }
            }
        }
        Ok(Some(narrowed))
    }

    /// Whether `id` may follow `said`, whose tokens are in `pieces`.
    pub(crate) fn fits(&self, said: &str, id: u32, pieces: &mut TextStream) -> Result<bool, EngineError> {
        if id == self.tokenizer.end_of_turn || Some(id) == self.tokenizer.end_of_text {
            return Ok(self.form.may_end(said));
        }
        Ok(self.form.allows(said, &pieces.peek(id, self.tokenizer)?))
    }
}

#[cfg(test)]
mod tests {
    use vigorl_policy::grammar::AnswerForm;
    use vigorl_policy::{AnswerKind, Opening};

    use super::*;

    const FORM: TurnForm = TurnForm {
        opening: Opening::Thought,
        may_zoom: true,
        answer: AnswerKind::Point,
        written: AnswerForm::Tagged,
        below: [640, 480],
    };

    fn tokenizers() -> Vec<Tokenizer> {
        let folder = |name: &str| {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints");
            Tokenizer::open(&root.join(name)).unwrap()
        };
        vec![Tokenizer::from_bytes(crate::nano::TOKENIZER).unwrap(), folder("tied_patch7")]
    }

    #[test]
    fn literals_are_cut_as_in_the_whole_turn() {
        let turns = [
            "<think> a (3, 4) </think>\n<tool_call>\n{\"name\": \"search_coordinate\", \"arguments\": {\"coordinate\": [100, 9]}}\n</tool_call>",
            "<think> a </think>\n<answer> (64, 479) </answer>",
        ];
        for (tokenizer, protocol) in
            tokenizers().iter().zip([ProtocolTokens::default(), ProtocolTokens::default()])
        {
            let hold = Hold::new(FORM, tokenizer, &protocol).unwrap();
            for turn in turns {
                let whole = tokenizer.encode(turn).unwrap();
                let mut n_forced = 0;
                for n in 0..whole.len() {
                    let said = tokenizer.decode(&whole[..n]).unwrap();
                    if let Wanted::Forced(ids) = hold.wanted(&said, &whole[..n], usize::MAX).unwrap() {
                        assert_eq!(ids, whole[n..n + ids.len()], "behind {said:?}");
                        n_forced = n_forced.max(ids.len());
                    }
                }
                assert!(n_forced > 0, "{turn}");
            }
        }
    }

    #[test]
    fn a_literal_behind_a_token_that_ends_inside_it_is_only_added_to() {
        for tokenizer in &tokenizers() {
            let protocol = ProtocolTokens::default();
            let hold = Hold::new(FORM, tokenizer, &protocol).unwrap();
            // As a model might spell it: the tokenizer would have cut it otherwise.
            let spelled =
                ["<think> a </think>\n", "<", "a"].map(|part| tokenizer.encode(part).unwrap()).concat();
            let said = tokenizer.decode(&spelled).unwrap();
            let Wanted::Forced(ids) = hold.wanted(&said, &spelled, usize::MAX).unwrap() else {
                panic!("{said}")
            };
            assert_eq!(tokenizer.decode(&[&spelled[..], &ids].concat()).unwrap(), format!("{said}nswer> ("));
        }
    }

    #[test]
    fn choices_are_narrowed_to_what_fits() {
        for tokenizer in &tokenizers() {
            let protocol = ProtocolTokens::default();
            let hold = Hold::new(FORM, tokenizer, &protocol).unwrap();
            let logits = vec![1.0; tokenizer.vocab_size()];
            let allowed = |said: &str| -> Option<Vec<String>> {
                let narrowed = hold.narrowed(said, &logits).unwrap()?;
                let ids = (0..).zip(narrowed).filter(|(_, logit)| *logit == 1.0);
                Some(ids.map(|(id, _)| tokenizer.decode(&[id]).unwrap()).collect())
            };
            assert_eq!(allowed("<think> a "), None);
            // What all turns that are left say next, told without a form.
            let texts = (0..tokenizer.vocab_size() as u32).map(|id| tokenizer.decode(&[id]).unwrap());
            let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
            let fitting = |rests: &[String]| -> Vec<String> {
                let fits = |text: &&String| rests.iter().any(|rest| rest.starts_with(text.as_str()));
                texts.iter().filter(fits).cloned().collect()
            };
            let points = |x: &dyn Fn(&str) -> Option<String>| -> Vec<String> {
                let x = (0..640).filter_map(|n| x(&n.to_string()));
                x.flat_map(|x| ["0", "7", "479"].map(|y| format!("{x}, {y}) </answer>"))).collect()
            };
            let number = points(&|x| Some(x.to_owned()));
            assert_eq!(allowed("<think> a </think>\n<answer> ("), Some(fitting(&number)));
            let behind_6 = points(&|x| x.strip_prefix('6').map(str::to_owned));
            let behind = allowed("<think> a </think>\n<answer> (6").unwrap();
            assert_eq!(behind, fitting(&behind_6));
            assert!(behind.iter().any(|text| text == "3") && behind.iter().any(|text| text == ","));
            let call = "<tool_call>\n{\"name\": \"search_coordinate\", \"arguments\": {\"coordinate\": [7";
            let acts = [call.to_owned(), "<answer> (7".to_owned()];
            assert_eq!(allowed("<think> a </think>\n"), Some(fitting(&acts)));
        }
    }
}

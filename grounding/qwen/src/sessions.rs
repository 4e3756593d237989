//! What an engine remembers of conversations.
//!
//! Rule: what is remembered holds at most so many tokens as it was told, or as conversations under way have held at once,
//! if that was more; what was used longest ago is forgotten first, and the last conversation never. What several
//! share counts once.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;

use crate::kv_cache::KvCache;

/// Marks the keys of tokens that show an image, apart from ids.
const IMAGE: u64 = 1 << 63;

/// The key of each token that shows the image of this hash; that of any other token is its id. Equal keys mean equal
/// tokens.
pub(crate) fn key_of_image(hash: u64) -> u64 {
    IMAGE | hash
}

/// A conversation, or one's beginning.
#[derive(Debug)]
pub(crate) struct Session {
    /// One per token in the cache.
    pub(crate) keys: Vec<u64>,
    pub(crate) cache: KvCache,
    /// Of a prompt, the hidden state behind it, (1, 1, D): whoever has the same prompt samples from that.
    pub(crate) hidden: Option<Tensor>,
}

/// Where a prompt can begin.
#[derive(Debug)]
pub(crate) struct Start {
    /// Holds the first tokens of the prompt.
    pub(crate) cache: KvCache,
    /// All of them, if there is the hidden state behind the last one.
    pub(crate) hidden: Option<Tensor>,
}

/// All that is remembered.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// The one used last is last.
    sessions: Vec<Session>,
    /// Visual tokens by image hash.
    images: BTreeMap<u64, Tensor>,
    most_under_way: usize,
}

impl Sessions {
    /// The longest beginning of a prompt that is remembered, but at most all tokens but one: the state behind the last
    /// one is needed, too. A beginning counts if it shows an image, or is half of a prompt without one: the words of
    /// a template would keep another conversation in memory for next to nothing.
    pub(crate) fn start(&mut self, keys: &[u64]) -> Option<Start> {
        let shared = |session: &Session| session.keys.iter().zip(keys).take_while(|(a, b)| a == b).count();
        let is_prompt = |session: &Session| session.hidden.is_some() && session.keys == keys;
        let rank = |(at, session): (usize, &Session)| (shared(session), is_prompt(session), at);
        let (n_shared, is_prompt, at) = self.sessions.iter().enumerate().map(rank).max()?;
        let n_kept = if is_prompt { n_shared } else { n_shared.min(keys.len().saturating_sub(1)) };
        let shows = |keys: &[u64]| keys.iter().any(|key| key & IMAGE != 0);
        if !shows(&keys[..n_kept]) && (shows(keys) || 2 * n_kept < keys.len()) {
            return None;
        }
        let session = self.sessions.remove(at);
        if session.hidden.is_none() && n_kept == session.keys.len() {
            // What goes on with all of it takes its place.
            return Some(Start { cache: session.cache, hidden: None });
        }
        let start = Start {
            cache: session.cache.first(n_kept),
            hidden: session.hidden.clone().filter(|_| is_prompt),
        };
        self.sessions.push(session);
        Some(start)
    }

    pub(crate) fn remember(&mut self, session: Session) {
        self.sessions.push(session);
    }

    pub(crate) fn image(&self, hash: u64) -> Option<&Tensor> {
        self.images.get(&hash)
    }

    pub(crate) fn remember_image(&mut self, hash: u64, tokens: Tensor) {
        self.images.insert(hash, tokens);
    }

    /// Forgets by the rule, and images that no session shows. `under_way` are the caches of what is not complete yet.
    pub(crate) fn forget<'a>(&mut self, n_tokens: usize, under_way: impl Iterator<Item = &'a KvCache>) {
        self.most_under_way = self.most_under_way.max(n_held(under_way));
        let limit = n_tokens.max(self.most_under_way);
        let mut counted = BTreeMap::new();
        let n_kept = self.sessions.iter().rev().take_while(|session| {
            let is_last = counted.is_empty();
            counted.extend(session.cache.storages());
            is_last || counted.values().sum::<usize>() <= limit
        });
        let n_forgotten = self.sessions.len() - n_kept.count();
        if n_forgotten == 0 {
            return;
        }
        self.sessions.drain(..n_forgotten);
        let runs = self.sessions.iter().flat_map(|session| session.keys.chunk_by(|a, b| a == b));
        let shown: BTreeSet<u64> = runs.map(|run| run[0]).filter(|key| key & IMAGE != 0).collect();
        self.images.retain(|hash, _| shown.contains(&key_of_image(*hash)));
    }
}

/// Tokens that storages have room for, each counted once.
fn n_held<'a>(caches: impl Iterator<Item = &'a KvCache>) -> usize {
    caches.flat_map(KvCache::storages).collect::<BTreeMap<_, _>>().values().sum()
}

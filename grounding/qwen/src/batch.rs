//! Conversations that are continued side by side.
//!
//! Invariants: every weight is read once in a step for all of them; what one gets does not depend on those beside it; what
//! fails of one alone leaves the others as they are. A conversation joins at the next step after it is asked, and leaves
//! as soon as it is complete.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use candle_core::Tensor;
use vigorl_policy::{Ask, Asks, Conversation, PolicyError, Sampling};

use crate::engine::{Engine, backend};
use crate::error::EngineError;
use crate::generate::{Making, PromptCost, lap};
use crate::hold::Hold;
use crate::kv_cache::KvCache;
use crate::model::Extension;
use crate::mrope::next_position;
use crate::prompt::Prompt;
use crate::sampling::Sampled;
use crate::sessions::{Session, Sessions};

/// Conversations that a thread of a small model takes at least: for fewer, waking it costs more.
const LEAST_ROWS: usize = 4;

/// An engine at work.
pub(crate) struct Serving<'s, 'a, 'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) sessions: &'s mut Sessions,
    pub(crate) asks: &'s mut dyn Asks<'a>,
    pub(crate) rows: Vec<Row<'a, 'e>>,
}

/// One conversation under way.
pub(crate) struct Row<'a, 'e> {
    id: usize,
    making: Making<'a, 'e>,
    cache: KvCache,
    /// One per token in the cache.
    keys: Vec<u64>,
    next_position: u32,
    todo: Todo,
    cost: PromptCost,
    since: Instant,
}

/// What the next step does with a row.
enum Todo {
    /// Samples from these logits.
    Draw(Arc<Vec<f32>>),
    /// Computes these tokens, and samples from what comes behind them.
    Feed(Vec<u32>),
    /// Nothing: this was sampled.
    Say(Result<Sampled, EngineError>),
    /// Nothing: it is complete.
    End,
}

/// A prompt of one ask or more, before anything is sampled behind it.
struct Opening {
    prompt: Prompt,
    keys: Vec<u64>,
    /// Holds the tokens of the prompt that were computed before, and then all.
    cache: KvCache,
    n_cached: usize,
    visual: Option<Tensor>,
    hidden: Option<Tensor>,
    logits: Option<Result<Arc<Vec<f32>>, Arc<EngineError>>>,
}

/// An ask whose prompt is one of the openings.
struct Admitted<'a, 'e> {
    id: usize,
    sampling: Cow<'a, Sampling>,
    hold: Option<Hold<'e>>,
    lead: Vec<u32>,
    opening: usize,
}

impl<'a, 'e> Serving<'_, 'a, 'e> {
    /// Until nothing is asked any more.
    pub(crate) fn run(mut self) {
        loop {
            let taken = self.asks.take(self.rows.is_empty());
            if taken.is_empty() && self.rows.is_empty() {
                return self.forget();
            }
            if !taken.is_empty() {
                self.admit(taken);
                self.forget();
            }
            self.step();
        }
    }

    /// Computes the prompts of what was asked.
    fn admit(&mut self, taken: Vec<Ask<'a>>) {
        let mut clock = Instant::now();
        let (mut openings, mut admitted) = (Vec::new(), Vec::new());
        let engine = self.engine;
        let mut conversations: Vec<_> = taken.iter().map(|ask| &*ask.conversation).collect();
        let prepare = |part: &mut [&Conversation]| -> Vec<_> {
            part.iter().map(|conversation| engine.prepare(conversation)).collect()
        };
        // One alone is prepared sooner than another thread wakes up.
        let prepared = match conversations.len() {
            1 => vec![prepare(&mut conversations)],
            _ => engine.model.threads().spread(&mut conversations, 1, prepare),
        };
        for (Ask { id, sampling, .. }, prepared) in taken.into_iter().zip(prepared.into_iter().flatten()) {
            let opened = prepared.and_then(|prompt| self.open(id, prompt, sampling, &mut openings));
            match opened {
                Ok(ask) => admitted.push(ask),
                Err(error) => self.asks.answer(id, Err(error)),
            }
        }
        self.look(&mut openings);
        let vision = lap(&mut clock);
        self.prefill(&mut openings);
        let prefill = lap(&mut clock);
        for ask in admitted {
            let opening = &openings[ask.opening];
            let n_tokens = opening.prompt.ids.len() - ask.lead.len();
            let n_cached = opening.n_cached.min(n_tokens);
            let cost = PromptCost { n_tokens, n_cached, vision, prefill, ..PromptCost::default() };
            let (id, since) = (ask.id, clock);
            match opening.logits.clone() {
                Some(Ok(logits)) => self.begin(ask, opening, logits, cost, since),
                Some(Err(error)) => self.asks.answer(id, Err(backend(EngineError::Shared(error)))),
                None => unreachable!("every opening was computed, or failed"),
            }
        }
    }

    fn forget(&mut self) {
        let under_way = self.rows.iter().map(|row| &row.cache);
        self.sessions.forget(self.engine.n_remembered, under_way);
    }

    /// The ask with its prompt among the openings.
    fn open(
        &mut self,
        id: usize,
        mut prompt: Prompt,
        sampling: Cow<'a, Sampling>,
        openings: &mut Vec<Opening>,
    ) -> Result<Admitted<'a, 'e>, PolicyError> {
        let engine = self.engine;
        let (n_prompt, limit) = (prompt.ids.len(), engine.context_limit());
        if n_prompt >= limit {
            return Err(PolicyError::TooLong { n_tokens: n_prompt, limit });
        }
        // What a form begins with is computed with the prompt.
        let hold = sampling.form.map(|form| engine.hold(form)).transpose().map_err(backend)?;
        let room = sampling.max_new_tokens.min(limit - n_prompt);
        let lead = hold.as_ref().map_or(Ok(Vec::new()), |hold| hold.lead(room)).map_err(backend)?;
        prompt.positions.extend((next_position(&prompt.positions)..).take(lead.len()).map(|at| [at; 3]));
        prompt.ids.extend(&lead);
        let keys = prompt.keys();
        let known = openings.iter().position(|opening| opening.keys == keys);
        let opening = known.unwrap_or_else(|| {
            let start = self.sessions.start(&keys);
            let (cache, hidden) = match start {
                Some(start) => (start.cache, start.hidden),
                None => (KvCache::new(&engine.checkpoint.config.text), None),
            };
            let n_cached = cache.len();
            openings.push(Opening { prompt, keys, cache, n_cached, visual: None, hidden, logits: None });
            openings.len() - 1
        });
        Ok(Admitted { id, sampling, hold, lead, opening })
    }

    /// Computes the images of the openings that are not known, each once.
    fn look(&mut self, openings: &mut [Opening]) {
        let mut unknown = BTreeMap::new();
        for opening in openings.iter().filter(|opening| opening.hidden.is_none()) {
            for image in opening.prompt.images_from(opening.n_cached) {
                if self.sessions.image(image.hash).is_none() {
                    unknown.insert(image.hash, &image.pixels);
                }
            }
        }
        let mut unknown: Vec<_> = unknown.into_iter().collect();
        let engine = self.engine;
        let embedded = engine.model.threads().spread(&mut unknown, 1, |images| {
            let pixels: Vec<_> = images.iter().map(|(_, pixels)| pixels.as_ref()).collect();
            let embedded = engine.embed_images(&pixels).map_err(Arc::new);
            images.iter().map(|(hash, _)| *hash).zip(shared_out(embedded, images.len())).collect::<Vec<_>>()
        });
        let mut failed = BTreeMap::new();
        for (hash, tokens) in embedded.into_iter().flatten() {
            match tokens {
                Ok(tokens) => self.sessions.remember_image(hash, tokens),
                Err(error) => {
                    failed.insert(hash, error);
                }
            }
        }
        for opening in openings.iter_mut().filter(|opening| opening.hidden.is_none()) {
            let mut hashes = opening.prompt.images_from(opening.n_cached).map(|image| image.hash);
            if let Some(error) = hashes.find_map(|hash| failed.get(&hash)) {
                opening.logits = Some(Err(error.clone()));
                continue;
            }
            let visual = opening.prompt.visual_tokens(opening.n_cached, self.sessions);
            match visual {
                Ok(visual) => opening.visual = visual,
                Err(error) => opening.logits = Some(Err(Arc::new(error.into()))),
            }
        }
        if let Err(error) = engine.device.synchronize() {
            fail(openings, error);
        }
    }

    /// Computes the new tokens of the openings, and what comes behind them.
    fn prefill(&mut self, openings: &mut [Opening]) {
        let mut unfinished: Vec<&mut Opening> =
            openings.iter_mut().filter(|opening| opening.logits.is_none()).collect();
        let engine = self.engine;
        engine.model.threads().spread(&mut unfinished, 1, |openings| {
            let computed = compute(engine, openings).map_err(Arc::new);
            let computed = shared_out(computed, openings.len());
            for (opening, logits) in openings.iter_mut().zip(computed) {
                opening.logits = Some(logits.map(Arc::new));
            }
        });
        // A card is still computing by now; what is not awaited would count as decoding.
        if let Err(error) = engine.device.synchronize() {
            fail(openings, error);
        }
        for opening in openings.iter().filter(|opening| opening.n_cached < opening.keys.len()) {
            if let Some(Ok(_)) = opening.logits {
                let (keys, cache) = (opening.keys.clone(), opening.cache.clone());
                self.sessions.remember(Session { keys, cache, hidden: opening.hidden.clone() });
            }
        }
    }

    /// The conversation goes under way.
    fn begin(
        &mut self,
        ask: Admitted<'a, 'e>,
        opening: &Opening,
        logits: Arc<Vec<f32>>,
        cost: PromptCost,
        since: Instant,
    ) {
        let Admitted { id, sampling, hold, lead, .. } = ask;
        let mut making = Making::new(sampling, hold, opening.prompt.ids.clone());
        let asks = &mut *self.asks;
        let begun = making.begin(&lead, self.engine.tokenizer(), &mut |piece| asks.said(id, piece));
        let todo = match begun {
            Ok(ControlFlow::Continue(())) if making.room(self.engine.context_limit()) > 0 => {
                Todo::Draw(logits)
            }
            Ok(_) => Todo::End,
            Err(error) => Todo::Say(Err(error)),
        };
        self.rows.push(Row {
            id,
            making,
            cache: opening.cache.clone(),
            keys: opening.keys.clone(),
            next_position: next_position(&opening.prompt.positions),
            todo,
            cost,
            since,
        });
    }

    /// One more token of every conversation under way.
    fn step(&mut self) {
        let engine = self.engine;
        engine.model.threads().spread(&mut self.rows, LEAST_ROWS, |rows| {
            if let Err(error) = advance(engine, rows) {
                let error = Arc::new(error);
                for row in rows.iter_mut().filter(|row| matches!(row.todo, Todo::Feed(_))) {
                    row.todo = Todo::Say(Err(EngineError::Shared(error.clone())));
                }
            }
        });
        let limit = engine.context_limit();
        for mut row in std::mem::take(&mut self.rows) {
            let (id, asks) = (row.id, &mut *self.asks);
            let said = match std::mem::replace(&mut row.todo, Todo::End) {
                Todo::Say(drawn) => drawn.and_then(|drawn| {
                    row.making.push(drawn, engine.tokenizer(), limit, &mut |piece| asks.said(id, piece))
                }),
                _ => Ok(Vec::new()),
            };
            match said {
                Ok(next) if next.is_empty() => self.end(row),
                Ok(next) => {
                    row.todo = Todo::Feed(next);
                    self.rows.push(row);
                }
                Err(error) => self.asks.answer(id, Err(backend(error))),
            }
        }
    }

    /// The conversation is complete: it is answered and remembered.
    fn end(&mut self, row: Row<'a, 'e>) {
        let Row { id, making, cache, keys, cost, since, .. } = row;
        let asks = &mut *self.asks;
        let said = making.finish(self.engine.tokenizer(), &mut |piece| asks.said(id, piece));
        let said = said.map(|said| said.completion(PromptCost { decode: since.elapsed(), ..cost }));
        self.sessions.remember(Session { keys, cache, hidden: None });
        self.asks.answer(id, said.map_err(backend));
    }
}

/// Computes openings on this thread's pool, and the logits behind each.
fn compute(engine: &Engine, openings: &mut [&mut Opening]) -> Result<Vec<Vec<f32>>, EngineError> {
    let mut extensions = Vec::new();
    for opening in openings.iter_mut().filter(|opening| opening.hidden.is_none()) {
        let Opening { prompt, cache, n_cached, visual, .. } = &mut **opening;
        extensions.push(Extension {
            ids: &prompt.ids[*n_cached..],
            positions: &prompt.positions[*n_cached..],
            images: visual.as_ref(),
            cache,
        });
    }
    if !extensions.is_empty() {
        let hidden = engine.model.extend_each(extensions)?;
        let unknown = openings.iter_mut().filter(|opening| opening.hidden.is_none());
        for (at, opening) in unknown.enumerate() {
            opening.hidden = Some(hidden.narrow(0, at, 1)?);
        }
    }
    let hidden: Vec<&Tensor> = openings.iter().filter_map(|opening| opening.hidden.as_ref()).collect();
    Ok(engine.model.logits_each(&Tensor::cat(&hidden, 0)?)?)
}

/// Feeds what is to be fed on this thread's pool, and samples one token of each row.
fn advance(engine: &Engine, rows: &mut [Row<'_, '_>]) -> Result<(), EngineError> {
    let mut fed = Vec::new();
    for (at, row) in rows.iter_mut().enumerate() {
        if let Todo::Feed(ids) = &row.todo {
            let positions: Vec<[u32; 3]> = (row.next_position..).take(ids.len()).map(|at| [at; 3]).collect();
            row.keys.extend(ids.iter().map(|&id| u64::from(id)));
            row.next_position += ids.len() as u32;
            fed.push((at, positions));
        }
    }
    let mut logits = match fed.is_empty() {
        true => Vec::new(),
        false => {
            let mut extensions = Vec::with_capacity(fed.len());
            let mut positions = fed.iter().map(|(_, positions)| positions);
            for row in &mut *rows {
                if let Todo::Feed(ids) = &row.todo {
                    let Some(positions) = positions.next() else { break };
                    extensions.push(Extension { ids, positions, images: None, cache: &mut row.cache });
                }
            }
            engine.model.logits_each(&engine.model.extend_each(extensions)?)?
        }
    }
    .into_iter();
    for row in rows {
        let drawn = match &row.todo {
            Todo::Draw(logits) => row.making.draw(logits),
            Todo::Feed(_) => match logits.next() {
                Some(logits) => row.making.draw(&logits),
                None => unreachable!("every row that is fed has logits"),
            },
            Todo::Say(_) | Todo::End => continue,
        };
        row.todo = Todo::Say(drawn);
    }
    Ok(())
}

/// What was computed for several, or why not, for each of them.
fn shared_out<T>(computed: Result<Vec<T>, Arc<EngineError>>, n: usize) -> Vec<Result<T, Arc<EngineError>>> {
    match computed {
        Ok(computed) => computed.into_iter().map(Ok).collect(),
        Err(error) => vec![error; n].into_iter().map(Err).collect(),
    }
}

fn fail(openings: &mut [Opening], error: candle_core::Error) {
    let error = Arc::new(EngineError::from(error));
    openings.iter_mut().for_each(|opening| opening.logits = Some(Err(error.clone())));
}

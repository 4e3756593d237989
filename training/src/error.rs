//! Why training could not start or go on. Messages name the file, the key and what was expected.

use std::path::{Path, PathBuf};

/// What can go wrong outside of the mathematics.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The configuration does not parse, or a key is missing, unknown or of the wrong type.
    #[error("`{path}`: {detail}")]
    Syntax {
        /// The configuration file.
        path: PathBuf,
        /// Line, key and what was expected, from the parser.
        detail: String,
    },
    /// A value that parses but cannot be used.
    #[error("`{path}`: `{key}` is {got}, expected {expected}")]
    Value {
        /// The configuration file.
        path: PathBuf,
        /// Dotted name of the key.
        key: String,
        /// What is written there.
        got: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} `{path}`")]
    File {
        /// Read, write, rename.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file has other content than this version writes.
    #[error("`{path}` cannot be used: {detail}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The checkpoint cannot be loaded.
    #[error(transparent)]
    Checkpoint(#[from] vigorl_qwen::EngineError),
    /// A data set cannot be read.
    #[error(transparent)]
    Data(#[from] vigorl_tasks::practice::dataset::DatasetError),
    /// The tensor library failed.
    #[error("the tensor library failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The tokenizer could not be built or refused a text.
    #[error("the tokenizer failed: {0}")]
    Tokenizer(String),
    /// A conversation could not be rendered for training.
    #[error("cannot build a training row: {0}")]
    Row(String),
    /// Adapters that the model cannot have.
    #[error("cannot use these adapters: {0}")]
    Adapter(String),
    /// A run is resumed with another seed.
    #[error(
        "the run in `{dir}` began with seed {saved}, the configuration says {asked}: its draws would not \
             continue; restore the seed or choose another `run.output_dir`"
    )]
    Seed {
        /// The run's output folder.
        dir: PathBuf,
        /// The seed it began with.
        saved: u64,
        /// The seed of the configuration.
        asked: u64,
    },
    /// The loss is not a number any more.
    #[error("the loss is {loss} at step {step}: lower the learning rate or resume from an older checkpoint")]
    Diverged {
        /// The step.
        step: u64,
        /// The value.
        loss: f64,
    },
    /// An environment cannot be played in.
    #[error("environment `{name}`: {detail}")]
    Environment {
        /// Its name.
        name: String,
        /// What it said.
        detail: String,
    },
    /// Rollouts cannot be written or read.
    #[error(transparent)]
    Rollouts(#[from] vigorl_rollouts::StoreError),
    /// What was sampled is not what is learned.
    #[error(
        "in step {step}, sampler and trainer disagree: a token is {error:.1e} more or less likely to the trainer; the \
         rollouts are of other weights: remove `rollouts/` in the run's folder"
    )]
    Mismatch {
        /// The step.
        step: u64,
        /// Largest distance of a ratio from 1.
        error: f64,
    },
    /// Episodes could not be recorded for people to look at.
    #[error("cannot record what was measured: {0}")]
    Film(String),
    /// The curves could not be drawn.
    #[error("cannot draw `{path}`: {detail}")]
    Plot {
        /// The image.
        path: PathBuf,
        /// What the plotting library said.
        detail: String,
    },
}

impl From<String> for TrainingError {
    fn from(detail: String) -> Self {
        Self::Row(detail)
    }
}

impl TrainingError {
    /// A closure for `map_err` on file operations.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { what, path: path.to_owned(), source }
    }

    /// A closure for `map_err` on file contents.
    pub(crate) fn content<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self {
        move |detail| Self::Content { path: path.to_owned(), detail: detail.to_string() }
    }
}

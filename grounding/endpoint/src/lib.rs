//! A policy behind an endpoint: a server that speaks OpenAI's chat completions, such as vLLM or SGLang.
//!
//! Start with [`Server`], which finds the model, and [`Endpoint`], which is the policy. The crate knows HTTP, and nothing of
//! tensors, browsers or screens. Invariants: nothing is made of half an answer, or of one that cannot be read: it is an
//! error, and never a turn; what a server does not tell is unknown, and is never invented; no record or message shows a key.
//!
//! The fields of requests and answers are those of OpenAI's chat completions (its public API reference). What servers add is
//! taken from their own documentation: `continue_final_message`, `add_generation_prompt`, `include_stop_str_in_output`,
//! `stop_reason`, `top_k` and `repetition_penalty` are vLLM's; `no_stop_trim` and `matched_stop` are SGLang's.

mod address;
mod answer;
mod completion;
mod courier;
mod endpoint;
mod error;
mod found;
mod probe;
mod request;
mod server;
mod stream;

pub use address::{ApiKey, BaseUrl};
pub use courier::Patience;
pub use endpoint::Endpoint;
pub use error::EndpointError;
pub use found::{Found, FurtherTurns, Offer, Pictures, Stops, VisualTokens};
pub use server::{ServedModel, Server};

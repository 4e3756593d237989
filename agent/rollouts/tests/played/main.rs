//! Episodes of a policy that says what it is told to: groups, cheats, worlds that go wrong, and ordinary runs as samples.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod bad_luck;
mod cheats;
mod collecting;
mod common;
mod ordinary;

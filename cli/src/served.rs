//! Which server: the one place that turns `--base-url` and its companions into a policy.
//!
//! Invariant: what a server refuses or ignores is found out before anything begins, said once, and recorded. What is not known
//! of it, its weights above all, is not made up.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use vigorl_endpoint::{
    ApiKey, BaseUrl, Endpoint, EndpointError, FurtherTurns, Patience, Pictures, Server, VisualTokens,
};
use vigorl_geometry::fit::PixelBudget;
use vigorl_policy::{AnswerSpace, Preset};
use vigorl_runs::record::EndpointRecord;

use crate::exit::{Interrupted, usage};
use crate::settings::Settings;
use crate::{env, interrupt, model, terminal};

/// A server's model that is ready to be asked.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) endpoint: Endpoint,
    /// What the server is stated to show, before `--max-pixels` reduces it.
    pub(crate) stated: PixelBudget,
}

/// Finds the model, and finds out what its server does with what is asked of it.
pub(crate) fn load(settings: &Settings, url: &BaseUrl) -> anyhow::Result<(Served, Preset)> {
    for (name, what) in [("dtype", "how weights are stored"), ("device", "where it computes")] {
        if settings.is_typed(name) {
            return Err(usage(format!("--{name}: a server decides itself {what}: leave it out")));
        }
    }
    if settings.constrain {
        let origin = settings.origin_of("constrain");
        return Err(usage(format!(
            "{origin}: a server cannot be held to the form of a turn: --constrain off"
        )));
    }
    let interrupted = interrupt::flag();
    let mut go_on = || match interrupted.load(Ordering::SeqCst) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let key = env::api_key().map(|key| ApiKey::new(&key)).transpose().map_err(explained)?;
    let mut server = Server::new(url.clone(), key, Patience::within(settings.request_limit));
    let wanted = settings.served_model.as_deref();
    let served = server.served_model(wanted, &mut go_on).map_err(explained)?;
    let preset = model::preset(settings, None, &served.name)?;
    let stated = stated(settings, preset.published_budget())?;
    let budget = reduced(settings, stated)?;
    let endpoint = Endpoint::open(server, served, budget, &mut go_on).map_err(explained)?;
    check(&endpoint, &preset)?;
    say(&endpoint);
    Ok((Served { endpoint, stated }, preset))
}

impl Served {
    /// The same for a thread beside this one.
    pub(crate) fn beside(&self) -> Self {
        Self { endpoint: self.endpoint.beside(), stated: self.stated }
    }

    /// What a record says of it.
    pub(crate) fn record(&self) -> EndpointRecord {
        let entries = self.endpoint.found().entries();
        EndpointRecord {
            base_url: self.endpoint.server().address().to_string(),
            served_model: self.endpoint.model().name.clone(),
            found: entries.into_iter().map(|(what, how)| (what.to_owned(), how)).collect(),
            pixels: [self.stated.min_pixels, self.stated.max_pixels],
            weights: "unknown: a server does not tell their SHA-256".to_owned(),
        }
    }
}

/// What the server is said to show its model.
fn stated(settings: &Settings, published: PixelBudget) -> anyhow::Result<PixelBudget> {
    let max_pixels = settings.served_max_pixels.unwrap_or(published.max_pixels);
    let limited = published
        .with_max_pixels(max_pixels)
        .ok_or_else(|| too_few(settings, "served_max_pixels", published))?;
    let min_pixels = settings.served_min_pixels.unwrap_or(limited.min_pixels);
    if min_pixels > max_pixels {
        return Err(usage(format!(
            "{}: a server that shows at least {min_pixels} pixels does not show {max_pixels} at most",
            settings.origin_of("served_min_pixels")
        )));
    }
    Ok(PixelBudget { min_pixels, ..limited })
}

/// The same, reduced to what the user wants shown.
fn reduced(settings: &Settings, stated: PixelBudget) -> anyhow::Result<PixelBudget> {
    let Some(max_pixels) = settings.max_pixels else { return Ok(stated) };
    let origin = settings.origin_of("max_pixels");
    if max_pixels > stated.max_pixels {
        return Err(usage(format!(
            "{origin}: the server shows its model {} pixels at most, so {max_pixels} would be reduced there: lower it, or \
             state what the server shows with --served-max-pixels",
            stated.max_pixels
        )));
    }
    if max_pixels < stated.min_pixels {
        return Err(usage(format!(
            "{origin}: the server enlarges {max_pixels} pixels to {}: state what it shows with --served-min-pixels",
            stated.min_pixels
        )));
    }
    stated.with_max_pixels(max_pixels).ok_or_else(|| too_few(settings, "max_pixels", stated))
}

fn too_few(settings: &Settings, name: &str, budget: PixelBudget) -> anyhow::Error {
    let (origin, side) = (settings.origin_of(name), budget.factor);
    usage(format!("{origin}: that is less than one visual token, which shows {side}x{side} pixels"))
}

/// Whether the preset can be used there.
fn check(endpoint: &Endpoint, preset: &Preset) -> anyhow::Result<()> {
    let found = endpoint.found();
    if found.pictures == Pictures::One && !preset.is_single_turn() {
        return Err(anyhow::Error::new(EndpointError::OnePicture { n: preset.limits.max_images }));
    }
    if found.further_turns == FurtherTurns::Mixed && !preset.is_single_turn() {
        return Err(anyhow::Error::new(EndpointError::MixesTurns));
    }
    if let (VisualTokens::Other { seen, stated }, AnswerSpace::Resized) =
        (found.visual_tokens, preset.answer_space)
    {
        return Err(usage(format!(
            "the server makes {seen} visual tokens where {stated} are stated: it shows its model other pixels, and \
             `{}` answers in those: state what the server shows with --served-max-pixels and --served-min-pixels",
            preset.name
        )));
    }
    Ok(())
}

/// Says once what was found.
fn say(endpoint: &Endpoint) {
    let found = endpoint.found();
    let mut all = found.shortcomings();
    if !endpoint.model().is_listed {
        all.insert(0, "the server does not list this model, and has it");
    }
    let words = if all.is_empty() { "takes all that is asked of it".to_owned() } else { all.join("; ") };
    terminal::note(&format!("{} at {}: {words}", endpoint.model().name, endpoint.server().address()));
    for (what, how) in found.entries() {
        terminal::detail(&format!("  {what}: {how}"));
    }
}

/// What was typed wrong is told from what failed.
fn explained(error: EndpointError) -> anyhow::Error {
    match error {
        EndpointError::Cancelled => anyhow::Error::new(Interrupted(error.to_string())),
        error if error.is_of_usage() => usage(error.to_string()),
        error => anyhow::Error::new(error),
    }
}

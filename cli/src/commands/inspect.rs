//! `vigorl inspect`: what the model computes, for comparisons with the reference.

use std::ops::ControlFlow;

use anyhow::Context as _;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use vigorl_policy::{Conversation, Message, Part, Policy as _, Role, Sampling};
use vigorl_qwen::{Inspection, inspect_forward};

use crate::args::{InspectForwardArgs, InspectGenerateArgs, PromptArgs};
use crate::commands::{Form, picture, pretty};
use crate::exit::Ending;
use crate::settings::Settings;
use crate::{interrupt, model, terminal};

/// Tokens generated, unless said otherwise.
const MAX_NEW_TOKENS: usize = 64;

/// One pass into a safetensors file.
pub(crate) fn forward(args: &InspectForwardArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let conversation = conversation(&args.prompt)?;
    let engine = model::load_engine(settings)?;
    let seen = inspect_forward(&engine, &conversation)?;
    let tensors = tensors(&seen)?;
    let views = tensors.iter().map(|t| Ok((t.name, TensorView::new(t.dtype, t.shape.clone(), &t.bytes)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    safetensors::serialize_to_file(views, None, &args.output)
        .with_context(|| format!("cannot write `{}`", args.output.display()))?;
    for tensor in &tensors {
        terminal::note(&format!("{:<16} {:?}", tensor.name, tensor.shape));
    }
    terminal::data(&match form {
        Form::Json => pretty(&json!({ "output": args.output, "tensors": described(&tensors) })),
        Form::Text => args.output.display().to_string(),
    });
    Ok(Ending::Done)
}

/// Shape and number format by name.
fn described(tensors: &[Plain]) -> serde_json::Value {
    let entry =
        |t: &Plain| (t.name.to_owned(), json!({ "shape": t.shape, "dtype": format!("{:?}", t.dtype) }));
    serde_json::Value::Object(tensors.iter().map(entry).collect())
}

/// The generated ids as a JSON list.
pub(crate) fn generate(args: &InspectGenerateArgs, settings: &Settings) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let conversation = conversation(&args.prompt)?;
    let mut engine = model::load_engine(settings)?;
    let sampling = Sampling {
        temperature: settings.temperature,
        top_p: settings.top_p,
        seed: settings.seed,
        ..Sampling::greedy(args.max_new_tokens.unwrap_or(MAX_NEW_TOKENS))
    };
    let mut stream =
        |_: &str| if cancel.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let completion = engine.complete(&conversation, &sampling, &mut stream)?;
    terminal::detail(&completion.text);
    terminal::data(&serde_json::to_string(&completion.token_ids)?);
    Ok(if cancel.is_set() { Ending::Interrupted } else { Ending::Done })
}

/// One user turn: all images, then the text.
fn conversation(args: &PromptArgs) -> anyhow::Result<Conversation> {
    let mut parts = Vec::new();
    for path in &args.images {
        parts.push(Part::Image(picture::read(path)?));
    }
    parts.push(Part::Text(args.text.clone()));
    let system = args.system.iter().map(|text| Message::text(Role::System, text));
    let messages = system.chain([Message { role: Role::User, parts }]).collect();
    Ok(Conversation { messages, forced_prefix: None })
}

/// A tensor as it is written.
struct Plain {
    name: &'static str,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Reads one tensor of an [`Inspection`] as whole numbers or as f32.
macro_rules! plain {
    ($name:literal, i64, $tensor:expr) => {{
        let values = $tensor.flatten_all()?.to_vec1::<i64>()?;
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Plain { name: $name, dtype: Dtype::I64, shape: $tensor.dims().to_vec(), bytes }
    }};
    ($name:literal, f32, $tensor:expr) => {{
        let values = $tensor.to_dtype("f32".parse()?)?.flatten_all()?.to_vec1::<f32>()?;
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Plain { name: $name, dtype: Dtype::F32, shape: $tensor.dims().to_vec(), bytes }
    }};
}

fn tensors(seen: &Inspection) -> anyhow::Result<Vec<Plain>> {
    let mut tensors =
        vec![plain!("input_ids", i64, seen.input_ids), plain!("position_ids", i64, seen.position_ids)];
    if let (Some(pixels), Some(grids), Some(embeds)) =
        (&seen.pixel_values, &seen.image_grid_thw, &seen.image_embeds)
    {
        tensors.push(plain!("pixel_values", f32, pixels));
        tensors.push(plain!("image_grid_thw", i64, grids));
        tensors.push(plain!("image_embeds", f32, embeds));
    }
    tensors.push(plain!("hidden_states", f32, seen.hidden_states));
    tensors.push(plain!("logits", f32, seen.logits));
    Ok(tensors)
}

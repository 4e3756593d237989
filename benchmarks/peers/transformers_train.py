"""Times transformers on the training step of `vigorl bench train`: the same rows, losses, clip and AdamW.

Usage: python benchmarks/peers/transformers_train.py FOLDER [--steps N] [--device cuda]

FOLDER is what the command writes: `model/`, `rows.safetensors`, `step.json` (their content: training/src/bench.rs). The
step is one of supervised training, or an update of learning by reward. It is timed micro-batch by micro-batch with
gradients adding up, and with all rows in one batch; an update also with a row for each conversation, as trainers have
it that do not share what a group was asked. What does not depend on the weights, such as the mask, is made before the
clock starts. Prints one JSON object; the losses and the gradient's length of the first step are those before the
weights moved.
"""

import argparse
import json
import pathlib
import time

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import apply_multimodal_rotary_pos_emb

WARM_UP = 2
# How rows are put together.
MICRO_BATCHES, AT_ONCE, APART = "micro-batches", "all at once", "a row each"
LEAST_SHARE = 1e-6  # of attention, as in training/src/gaze.rs
NORM_EPSILON = 1e-6  # of visual tokens that are named, as in training/src/patches.rs


def load(folder):
    transformers.logging.set_verbosity_error()
    model, info = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="sdpa", output_loading_info=True
    )
    problems = {kind: keys for kind, keys in info.items() if keys}
    assert not problems, f"transformers complains about the weights: {problems}"
    return model.train()


def micro_batches(folder, n, of=""):
    tensors = load_file(folder / "rows.safetensors")
    batches = []
    for number in range(n):
        start = f"{of}{number}."
        batches.append({name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)})
    return batches


def in_one(batches, model):
    """All rows in one batch, padded to the longest."""
    merged, longest = {}, max(batch["ids"].shape[1] for batch in batches)
    merge = model.config.vision_config.spatial_merge_size
    n_rows = n_visual = 0
    parts = {name: [] for name in batches[0]}
    for batch in batches:
        batch = dict(batch)
        room = (0, longest - batch["ids"].shape[1])
        batch["ids"] = F.pad(batch["ids"], room, value=model.config.text_config.pad_token_id or 0)
        batch["positions"] = F.pad(batch["positions"], room)
        batch["segments"] = F.pad(batch["segments"], room, value=-1)
        batch["places"] = batch["places"] + torch.tensor([n_rows, 0])
        if "look_wanted" in batch:
            batch["look_wanted"] = F.pad(batch["look_wanted"], room)
            batch["look_places"] = batch["look_places"] + torch.tensor([n_rows, 0])
            batch["named"] = batch["named"] + n_visual
        n_rows += batch["ids"].shape[0]
        n_visual += batch["patches"].shape[0] // merge**2
        for name, tensor in batch.items():
            parts[name].append(tensor)
    for name, tensors in parts.items():
        merged[name] = torch.cat(tensors, dim=1 if name == "positions" else 0)
    return merged


def visible(segments):
    """(B, 1, T, T): a token sees what stands before it in the shared beginning and in its own branch; padding sees itself."""
    keys, queries = segments[:, None, :], segments[:, :, None]
    shared = (keys == 0) & (queries >= 0)
    ordered = torch.ones(segments.shape[1], segments.shape[1], dtype=torch.bool).tril()
    alone = torch.eye(segments.shape[1], dtype=torch.bool)
    return (((keys == queries) & (queries >= 0) | shared) & ordered | alone)[:, None]


def divergence(logits, targets, weights):
    """The weighted sum of divergences from the targets, (K, V) each."""
    return (F.kl_div(logits.log_softmax(-1), targets, reduction="none").sum(-1) * weights).sum()


def looks(model, settings, hidden, positions, mask, batch):
    """Minus the logarithm of the share of one head's attention that falls on what is wanted."""
    inner = model.model.language_model
    layer = inner.layers[settings["look_layer"]]
    attention, width = layer.self_attn, layer.self_attn.head_dim
    x = layer.input_layernorm(hidden)
    shape = (*x.shape[:2], -1, width)
    q = attention.q_proj(x).view(shape).transpose(1, 2)
    k = attention.k_proj(x).view(shape).transpose(1, 2)
    cos, sin = inner.rotary_emb(x, positions)
    q, k = apply_multimodal_rotary_pos_emb(q, k, cos, sin, attention.rope_scaling["mrope_section"])
    head = settings["look_head"]
    rows, at = batch["look_places"].unbind(-1)
    q, k = q[:, head], k[:, head // attention.num_key_value_groups]
    scores = (q * width**-0.5 @ k.transpose(1, 2))[rows, at]
    shares = scores.masked_fill(~mask[:, 0][rows, at], float("-inf")).softmax(-1)
    share = (shares * batch["look_wanted"]).sum(-1)
    return -share.clamp(min=LEAST_SHARE).log().sum() * settings["look_weight"]


def of_samples(logits, settings, batch):
    """The weighted sum of the losses of sampled tokens (GRPO: reference/grpo_vectors.py has the formulas). The ratio is that
    to the first time, as the weights had not moved then."""
    objective, advantages = settings["objective"], batch["advantages"]
    logprobs = (logits / settings["temperature"]).log_softmax(-1).gather(-1, batch["sampled"][:, None])[:, 0]
    if objective["objective"] == "best_of_group":
        return -(advantages * logprobs * batch["weights"]).sum()
    ratio = (logprobs - batch.setdefault("first", logprobs.detach())).exp()
    held = ratio.clamp(1 - objective["clip_low"], 1 + objective["clip_high"])
    loss = torch.maximum(-advantages * ratio, -advantages * held)
    if objective["dual_clip"] > 0:
        loss = torch.where(advantages < 0, torch.minimum(loss, -advantages * objective["dual_clip"]), loss)
    if "references" in batch:
        distance = batch["references"] - logprobs
        estimate = distance.exp() - distance - 1
        loss = loss + objective["kl"] * estimate.clamp(-objective["kl_clamp"], objective["kl_clamp"])
    return (loss * batch["weights"]).sum()


def summed_loss(model, settings, batch):
    """The weighted sum of everything that the rows teach."""
    inner = model.model
    visual = torch.cat(inner.get_image_features(batch["patches"], batch["grids"]))
    embeds = inner.get_input_embeddings()(batch["ids"])
    is_slot = (batch["ids"] == model.config.image_token_id)[..., None].expand_as(embeds)
    out = inner.language_model(
        inputs_embeds=embeds.masked_scatter(is_slot, visual),
        position_ids=batch["positions"],
        attention_mask={"full_attention": batch["mask"]},
        use_cache=False,
        output_hidden_states="look_places" in batch,
    )
    rows, at = batch["places"].unbind(-1)
    logits = model.lm_head(out.last_hidden_state[rows, at])
    if "sampled" in batch:
        return of_samples(logits, settings, batch)
    loss = divergence(logits, batch["targets"], batch["weights"])
    if len(batch["look_places"]):
        hidden = out.hidden_states[settings["look_layer"]]
        loss = loss + looks(model, settings, hidden, batch["positions"], batch["mask"], batch)
    if len(batch["named"]):
        named = F.rms_norm(visual[batch["named"]], visual.shape[-1:], eps=NORM_EPSILON)
        loss = loss + divergence(model.lm_head(named), batch["named_targets"], batch["named_weights"])
    return loss


def weight_of(batches, settings):
    """What the sum is divided by."""
    weights = sum(float(batch["weights"].sum()) for batch in batches)
    if "sampled" in batches[0]:
        return weights + settings["weight_beside"]
    looked = sum(len(batch["look_places"]) for batch in batches) * settings["look_weight"]
    return weights + looked + sum(float(batch["named_weights"].sum()) for batch in batches)


def published_name(name):
    return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def optimizer_of(model, settings):
    matrices, rest, wanted, moving = [], [], set(settings["matrices"]), set(settings["moving"])
    for name, weight in model.named_parameters():
        if published_name(name) not in moving:
            weight.requires_grad_(False)
        else:
            (matrices if published_name(name) in wanted else rest).append(weight)
    assert len(matrices) == len(wanted) and len(matrices) + len(rest) == len(moving), "weights have other names"
    groups = [
        {"params": matrices, "lr": settings["matrix_lr"], "weight_decay": settings["weight_decay"]},
        {"params": rest, "lr": settings["vector_lr"], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=settings["betas"], eps=settings["epsilon"])


def measure(folder, settings, n_steps, way, device):
    model = load(folder / "model").to(device)
    if way == APART:
        batches = micro_batches(folder, settings["n_micro_batches_apart"], "apart.")
    else:
        batches = micro_batches(folder, settings["n_micro_batches"])
    batches = [in_one(batches, model)] if way == AT_ONCE else batches
    for batch in batches:
        batch["mask"] = visible(batch["segments"])
    batches = [{name: tensor.to(device) for name, tensor in batch.items()} for batch in batches]
    total = weight_of(batches, settings)
    optimizer = optimizer_of(model, settings)
    losses, lengths, secs, processor = [], [], [], []
    for _ in range(WARM_UP + n_steps):
        start, used = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        loss = 0.0
        for batch in batches:
            part = summed_loss(model, settings, batch) / total
            part.backward()
            loss += part.item()
        length = torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        secs.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
        losses.append(loss)
        lengths.append(float(length))
    secs, processor = sorted(secs[WARM_UP:]), sorted(processor[WARM_UP:])
    return {
        "rows": way,
        "n_steps": n_steps,
        "step_secs": secs[n_steps // 2],
        "fastest_secs": secs[0],
        "processor_secs": processor[n_steps // 2],
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "first_gradient_norm": lengths[0],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    args = parser.parse_args()
    settings = json.loads((args.folder / "step.json").read_text())
    ways = [MICRO_BATCHES, AT_ONCE] + [APART] * ("objective" in settings)
    measured = [measure(args.folder, settings, args.steps, way, args.device) for way in ways]
    system = f"transformers {transformers.__version__}, torch {torch.__version__}"
    print(json.dumps({"system": system, "n_threads": torch.get_num_threads(), "measured": measured}))


if __name__ == "__main__":
    main()

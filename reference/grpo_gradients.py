"""Computes an update of learning by reward again in torch, and compares loss and gradients.

Usage: python reference/grpo_gradients.py FOLDER

FOLDER is what `cargo run --release -p vigorl-training --example grpo_gradients -- ROLLOUTS FOLDER` writes. There, samples of a
group share a row and its picture; here, transformers computes each conversation alone, with positions of its own, and the
loss is the one of grpo_vectors.py. Fails if a gradient differs by more than a ten-thousandth.
"""

import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import load_file
from transformers import Qwen2_5_VLForConditionalGeneration

from grpo_vectors import losses


def main():
    folder = pathlib.Path(sys.argv[1])
    update, ours = (json.loads((folder / name).read_text()) for name in ("update.json", "ours.json"))
    patches, theirs = load_file(folder / "patches.safetensors"), load_file(folder / "gradients.safetensors")
    transformers.logging.set_verbosity_error()
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        folder / "model", dtype=torch.float32, attn_implementation="sdpa"
    ).train()
    n_tokens = sum(len(sequence["tokens"]) for sequence in update["sequences"])
    total, furthest = 0.0, 0.0
    for number, sequence in enumerate(update["sequences"]):
        ids = torch.tensor([sequence["ids"]])
        logits = model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=patches[f"{number}.patches"],
            image_grid_thw=torch.tensor(sequence["grids"]),
        ).logits[0]
        tokens = sequence["tokens"]
        picked = logits[torch.tensor([token["from"] for token in tokens])].double()
        logprobs = torch.log_softmax(picked, -1)
        for row, token in zip(logprobs.detach(), tokens):
            furthest = max(furthest, abs(row[token["id"]].item() - token["sampled"]))
        loss = losses(picked, tokens, update["config"], 1.0)[0].sum() / n_tokens
        loss.backward()
        total += loss.item()
    # A tied output layer is one tensor with two names.
    parameters = {name.replace("model.language_model.", "model.").replace("model.visual.", "visual."): p for name, p in model.named_parameters()}
    worst = ("", 0.0)
    for name, gradient in theirs.items():
        expected = parameters[name].grad
        error = ((gradient - expected.reshape(gradient.shape)).norm() / expected.norm()).item()
        worst = max(worst, (name, error), key=lambda pair: pair[1])
    missing = [name for name, p in parameters.items() if p.grad is not None and name not in theirs]
    assert not missing, f"no gradient of {missing}"
    print(f"{len(update['sequences'])} conversations, {n_tokens} tokens, {ours['n_clipped']} clipped, {ours['n_dual_clipped']} dual-clipped")
    print(f"log-probabilities: sampled and learned differ by {furthest:.1e} at most")
    print(f"loss {total:.8f}, ours {ours['loss']:.8f}: relative error {abs(total - ours['loss']) / abs(total):.1e}")
    print(f"gradients of {len(theirs)} tensors: largest relative error {worst[1]:.1e} ({worst[0]})")
    if worst[1] > 1e-4 or abs(total - ours["loss"]) > 1e-4 * abs(total) or furthest > 1e-4:
        sys.exit("they differ")


if __name__ == "__main__":
    main()

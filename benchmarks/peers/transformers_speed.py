"""Times transformers on the workloads of `vigorl bench engine`, with the same weights and as many tokens.

Usage: python benchmarks/peers/transformers_speed.py CHECKPOINT --dtype f32|bf16|int8 --prompt-tokens N
       --zoom-tokens N [--device cpu|cuda] [--decode-tokens N] [--repeats N]

Prints one JSON object with the fields of one measured dtype. `int8` is torch's dynamic quantization: every linear
layer of both towers gets 8-bit weights, layer by layer, so that the f32 weights are never all in memory.
"""

import argparse
import inspect
import json
import pathlib
import resource
import time

import torch
import transformers
from transformers import AutoConfig, Qwen2_5_VLForConditionalGeneration

SCREENSHOT_GRID = (1, 58, 92)  # 1280x800, resized to 1288x812
CROP_GRID = (1, 28, 28)  # 392x392


def load(folder, dtype, device):
    config = AutoConfig.from_pretrained(folder)
    stored = torch.float32 if dtype == "f32" else torch.bfloat16
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        folder, config=config, dtype=stored, attn_implementation="sdpa"
    ).eval()
    if dtype == "int8":
        quantize(model)
    return model.to(device)


def quantize(model):
    from torch.ao.nn.quantized.dynamic import Linear as QuantizedLinear
    from torch.ao.quantization import default_dynamic_qconfig

    # Tied weights stay in the embedding; the output layer gets a quantized copy of its own.
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is torch.nn.Linear:
                whole = torch.nn.Linear(child.in_features, child.out_features, bias=child.bias is not None)
                whole.load_state_dict({key: value.float() for key, value in child.state_dict().items()})
                whole.qconfig = default_dynamic_qconfig
                setattr(module, name, QuantizedLinear.from_float(whole))
                child.weight = None
    model.float()


def patches(model, grid, seed):
    vision = model.config.vision_config
    values = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(grid[1] * grid[2], values, generator=generator)
    return drawn.to(model.device, model.dtype), torch.tensor([grid], device=model.device)


def ids_with_image(model, grid, n_tokens):
    """A prompt of n_tokens whose first part is an image."""
    config = model.config
    n_pads = grid[1] * grid[2] // config.vision_config.spatial_merge_size**2
    ids = [config.vision_start_token_id] + [config.image_token_id] * n_pads
    ids += list(range(100, 100 + n_tokens - len(ids)))
    return torch.tensor([ids], device=model.device)


class Talk:
    """A conversation that grows, as `generate` computes it: one cache, positions by the model's own rule."""

    def __init__(self, model):
        self.model, self.cache = model, transformers.DynamicCache()
        self.next_position = 0

    def see(self, ids, visual, grid):
        """The first logits behind new tokens that begin with an image."""
        inner = self.model.model
        pads = ids == self.model.config.image_token_id
        # Newer versions want to be told which tokens are an image's.
        known = inspect.signature(inner.get_rope_index).parameters
        kinds = {"mm_token_type_ids": pads.int()} if "mm_token_type_ids" in known else {}
        positions, _ = inner.get_rope_index(ids, image_grid_thw=grid, **kinds)
        embeds = inner.get_input_embeddings()(ids)
        embeds[pads] = visual.to(embeds.dtype)
        return self.forward(embeds, positions + self.next_position)

    def say(self, token):
        embeds = self.model.model.get_input_embeddings()(token)
        return self.forward(embeds, torch.full((3, 1, 1), self.next_position, device=token.device))

    def forward(self, embeds, positions):
        self.next_position = int(positions.max()) + 1
        hidden = self.model.model.language_model(
            inputs_embeds=embeds, position_ids=positions, past_key_values=self.cache, use_cache=True
        ).last_hidden_state
        return self.model.lm_head(hidden[:, -1:])


def once(model, args, seed):
    clock = Clock()
    values, grid = patches(model, SCREENSHOT_GRID, seed)
    clock.lap()
    visual = as_tensor(model.model.visual(values, grid_thw=grid))
    vision = clock.lap()
    talk = Talk(model)
    logits = talk.see(ids_with_image(model, SCREENSHOT_GRID, args.prompt_tokens), visual, grid)
    prefill = clock.lap()
    for _ in range(args.decode_tokens):
        logits = talk.say(logits.argmax(-1))
    decode = clock.lap()
    values, grid = patches(model, CROP_GRID, seed)
    clock.lap()
    talk.see(ids_with_image(model, CROP_GRID, args.zoom_tokens), as_tensor(model.model.visual(values, grid_thw=grid)), grid)
    return {
        "vision_secs": vision,
        "prefill_secs": prefill,
        "decode_per_sec": args.decode_tokens / decode,
        "zoom_secs": clock.lap(),
    }


def as_tensor(output):
    """Newer versions wrap the visual tokens."""
    return output if isinstance(output, torch.Tensor) else output.pooler_output


class Clock:
    def __init__(self):
        self.at = time.perf_counter()

    def lap(self):
        # A card is still computing when a call returns.
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        elapsed, self.at = now - self.at, now
        return elapsed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--dtype", choices=["f32", "bf16", "int8"], required=True)
    parser.add_argument("--prompt-tokens", type=int, required=True)
    parser.add_argument("--zoom-tokens", type=int, required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--decode-tokens", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    clock = Clock()
    with torch.inference_mode():
        model = load(args.checkpoint, args.dtype, args.device)
        load_secs = clock.lap()
        runs = [once(model, args, seed) for seed in range(args.repeats + 1)][1:]
    medians = {name: sorted(run[name] for run in runs)[len(runs) // 2] for name in runs[0]}
    print(json.dumps({
        "system": f"transformers {transformers.__version__}, torch {torch.__version__}",
        "dtype": args.dtype,
        "n_threads": torch.get_num_threads(),
        "n_repeats": args.repeats,
        "load_secs": load_secs,
        "peak_rss_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        **medians,
    }))


if __name__ == "__main__":
    main()

"""Runs transformers on one conversation and writes every stage of the pass: the truth for parity checks.

Usage: python reference/dump_forward.py CHECKPOINT OUT.safetensors [--image A.png ...] --text "..." [--system "..."]
       python reference/dump_forward.py CHECKPOINT OUT.safetensors --conversation CASE.json

The Pillow-based image processor, eager attention and float32 are used, whatever the checkpoint's dtype.
OUT.safetensors holds (T tokens, N patches, I images, M merged patches, D hidden width, V vocabulary):
    input_ids (T) i64, position_ids (3, T) i64, image_grid_thw (I, 3) i64, pixel_values (N, patch values) f32,
    vision.blocks.{i} (N, width) f32 in window order, image_embeds (M, D) f32, layers.{i} (T, D) f32,
    hidden_states (T, D) f32 after the final norm, logits (T, V) f32; without images those about images are absent.
OUT.json holds the conversation, the rendered prompt, 64 greedy ids without and with a repetition penalty, the
smallest lead of a best score over the second best, and the versions.
"""

import argparse
import json
import pathlib
import platform

import numpy
import PIL
import safetensors
import tokenizers
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoTokenizer, GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl import image_processing_qwen2_vl

from make_checkpoint import flattened

N_GREEDY = 64
PENALTY = 1.1
# Twice the tolerance on logits: below this lead, which token is the best one is not determined.
SMALLEST_LEAD = 4e-4


def load_model(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    if transformers.__version__.startswith("4."):
        config = flattened(config)
    model, info = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        checkpoint, config=Qwen2_5_VLConfig.from_dict(config), dtype=torch.float32, attn_implementation="eager",
        output_loading_info=True,
    )
    problems = {kind: keys for kind, keys in info.items() if keys}
    assert not problems, f"{checkpoint} does not load cleanly: {problems}"
    return model.eval()


def load_processor(checkpoint):
    # Release 5 gives the short name to the torchvision-based processor.
    module = image_processing_qwen2_vl
    if not transformers.__version__.startswith("4."):
        from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as module
    kind = getattr(module, "Qwen2VLImageProcessorPil", None) or module.Qwen2VLImageProcessor
    return kind.from_pretrained(checkpoint)


def load_template(checkpoint):
    for file in ["chat_template.json", "chat_template.jinja", "tokenizer_config.json"]:
        path = checkpoint / file
        if path.exists():
            text = path.read_text()
            if file.endswith("jinja"):
                return text
            if "chat_template" in json.loads(text):
                return json.loads(text)["chat_template"]
    raise FileNotFoundError(f"{checkpoint} has no chat template")


def inputs_of(checkpoint, case, folder):
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    prompt = tokenizer.apply_chat_template(
        case["messages"], chat_template=load_template(checkpoint), tokenize=False, add_generation_prompt=True
    )
    prompt += case.get("forced_prefix", "")
    parts = [part for message in case["messages"] if isinstance(message["content"], list) for part in message["content"]]
    images = [Image.open(folder / part["image"]).convert("RGB") for part in parts if part["type"] == "image"]
    inputs, expanded = {}, prompt
    if images:
        processor = load_processor(checkpoint)
        inputs = dict(processor(images=images, return_tensors="pt"))
        # The way of Qwen2_5_VLProcessor: every pad of the template becomes one pad per merged patch.
        before, *rest = prompt.split("<|image_pad|>")
        n_tokens = (inputs["image_grid_thw"].prod(-1) // processor.merge_size**2).tolist()
        assert len(rest) == len(n_tokens), "the template writes another number of images"
        expanded = before + "".join("<|image_pad|>" * n + after for n, after in zip(n_tokens, rest))
    tokens = tokenizer([expanded], return_tensors="pt")
    inputs |= {name: tokens[name] for name in ["input_ids", "attention_mask"]}
    if not transformers.__version__.startswith("4."):
        pad = tokenizer.convert_tokens_to_ids("<|image_pad|>")
        inputs["mm_token_type_ids"] = (inputs["input_ids"] == pad).int()
    return prompt, inputs


def collect(model, inputs):
    """One uncached pass with a hook on every block."""
    tensors, handles = {}, []

    def keep(name, module):
        def hook(_module, _args, output):
            if not isinstance(output, torch.Tensor):
                # A decoder layer may return a tuple; release 5's vision tower names its merged tokens.
                output = output[0] if isinstance(output, tuple) else output.pooler_output
            tensors[name] = output[0] if output.dim() == 3 else output

        handles.append(module.register_forward_hook(hook))

    def keep_positions(_module, args):
        tensors["position_ids"] = args[1][:, 0]

    visual, decoder = model.model.visual, model.model.language_model
    for i, block in enumerate(visual.blocks):
        keep(f"vision.blocks.{i}", block)
    for i, layer in enumerate(decoder.layers):
        keep(f"layers.{i}", layer)
    keep("image_embeds", visual)
    keep("hidden_states", decoder.norm)
    handles.append(decoder.rotary_emb.register_forward_pre_hook(keep_positions))
    model.model.rope_deltas = None
    tensors["logits"] = model(**inputs, use_cache=False).logits[0]
    for handle in handles:
        handle.remove()
    for name in ["pixel_values", "image_grid_thw"]:
        if name in inputs:
            tensors[name] = inputs[name]
    tensors["input_ids"] = inputs["input_ids"][0]
    return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in sorted(tensors.items())}


def greedy(model, inputs, repetition_penalty):
    """Ids, and the smallest lead of the best score over the second best."""
    model.model.rope_deltas = None
    # Built afresh: the checkpoint's own file may sample.
    config = GenerationConfig(
        do_sample=False, max_new_tokens=N_GREEDY, eos_token_id=model.generation_config.eos_token_id,
        pad_token_id=model.generation_config.pad_token_id, repetition_penalty=repetition_penalty,
        return_dict_in_generate=True, output_scores=True,
    )
    model.generation_config = config
    out = model.generate(**inputs)
    ids = out.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    best = torch.stack(out.scores)[:, 0].topk(2).values
    return ids, float((best[:, 0] - best[:, 1]).min())


@torch.no_grad()
def dump(checkpoint, case, out, folder):
    """`case`: {"messages": [...], "forced_prefix": "..."}; image paths are relative to `folder`."""
    checkpoint, out = pathlib.Path(checkpoint), pathlib.Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    prompt, inputs = inputs_of(checkpoint, case, pathlib.Path(folder))
    model = load_model(checkpoint)
    tensors = collect(model, inputs)
    (ids, lead), (penalized_ids, penalized_lead) = greedy(model, inputs, 1.0), greedy(model, inputs, PENALTY)
    save_file(tensors, out)
    record = {
        **case,
        "prompt": prompt,
        "greedy_ids": ids,
        "repetition_penalty": PENALTY,
        "penalized_ids": penalized_ids,
        "smallest_lead": min(lead, penalized_lead),
        "versions": {
            "python": platform.python_version(), "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__, "tokenizers": tokenizers.__version__,
            "safetensors": safetensors.__version__, "pillow": PIL.__version__, "numpy": numpy.__version__,
        },
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in record.items()]
    out.with_suffix(".json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return record


def is_telling(record):
    """Whether the greedy runs are determined (no near tie) and have their full length."""
    lengths = {len(record["greedy_ids"]), len(record["penalized_ids"])}
    return lengths == {N_GREEDY} and record["smallest_lead"] > SMALLEST_LEAD


def one_turn(images, text, system):
    messages = [{"role": "system", "content": system}] if system else []
    parts = [{"type": "image", "image": image} for image in images] + [{"type": "text", "text": text}]
    return {"messages": messages + [{"role": "user", "content": parts}]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("out")
    parser.add_argument("--image", action="append", default=[])
    parser.add_argument("--text")
    parser.add_argument("--system")
    parser.add_argument("--conversation", type=pathlib.Path)
    args = parser.parse_args()
    if (args.text is None) == (args.conversation is None):
        parser.error("give either --text or --conversation")
    if args.conversation:
        dump(args.checkpoint, json.loads(args.conversation.read_text()), args.out, args.conversation.parent)
    else:
        dump(args.checkpoint, one_turn(args.image, args.text, args.system), args.out, ".")

"""Writes tiny random Qwen2.5-VL checkpoints in Hugging Face layout.

Usage: python reference/make_checkpoint.py NAME FOLDER [--seed N]     NAME is a key of VARIANTS, or `random`

The files are those of a published checkpoint: config.json, preprocessor_config.json, generation_config.json,
tokenizer.json, tokenizer_config.json, vocab.json, merges.txt, chat_template.json and safetensors.

Layouts that exist in the wild, all covered by VARIANTS:
    config "flat"    decoder fields at the top level: the published checkpoints
    config "both"    the same fields again under text_config: what transformers 4.57 saves. It leaves out
                     tie_word_embeddings at the top if it is true, its base class's default
    config "nested"  decoder fields under text_config alone, rope_parameters instead of rope_scaling and
                     rope_theta: what transformers 5 saves
    keys "published" visual.*, model.*, lm_head.weight: what every transformers release saves
    keys "nested"    model.visual.*, model.language_model.*: the module names, as other tools save them
"""

import argparse
import copy
import json
import pathlib
import random

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}

# Sizes that a variant may override. max_pixels counts merged patches here and becomes pixels below.
DEFAULTS = dict(
    hidden=48, heads=3, kv_heads=1, intermediate=80, layers=2, tied=True, rope_theta=1000000.0,
    vision_hidden=32, vision_heads=2, vision_intermediate=44, depth=3, full=[2],
    patch=7, merge=2, frames=2, window=28, max_merged=24,
    keys="published", config="flat", dtype="f32", shards=1, template="chat_template.json", system="plain",
)
VARIANTS = {
    "tied_patch7": {},
    "untied_patch14": dict(
        tied=False, patch=14, window=56, full=[1], depth=2, vision_hidden=16, vision_heads=1, heads=4, kv_heads=2, hidden=64,
        keys="nested", config="nested", dtype="bf16", shards=3, template="tokenizer_config.json", system="grounding",
    ),
    "head_dim_128": dict(
        hidden=256, heads=2, kv_heads=1, intermediate=48, layers=1, vision_hidden=16, vision_heads=1, depth=2, full=[0],
        config="both", dtype="f16", template="chat_template.jinja",
    ),
}

# In the order of the published tokenizer; the second value is the `special` flag there.
ADDED_TOKENS = [
    ("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True), ("<|object_ref_start|>", True),
    ("<|object_ref_end|>", True), ("<|box_start|>", True), ("<|box_end|>", True), ("<|quad_start|>", True),
    ("<|quad_end|>", True), ("<|vision_start|>", True), ("<|vision_end|>", True), ("<|vision_pad|>", True),
    ("<|image_pad|>", True), ("<|video_pad|>", True), ("<tool_call>", False), ("</tool_call>", False),
    ("<|fim_prefix|>", False), ("<|fim_middle|>", False), ("<|fim_suffix|>", False), ("<|fim_pad|>", False),
    ("<|repo_name|>", False), ("<|file_sep|>", False),
]
# The split of the Qwen2 tokenizers, a fact of the format.
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
N_MERGES = 90
CORPUS = [
    "click the button then click the link and the checkbox",
    "the image shows a red dot at the coordinate location, the crop is centered on the coordinate",
    "<think> the search box is at (12, 34) </think>\n<answer> (12, 34) </answer>",
    'you are a helpful assistant. {"name": "search_coordinate", "arguments": {"coordinate": [12, 34]}}',
]
PLAIN_SYSTEM = "You are a helpful assistant."
GROUNDING_SYSTEM = "Think with points.\nThen <answer> (x, y) </answer>."
# Written for these fixtures; uses what the published template uses: namespaces, loop.first, both content forms.
TEMPLATE = """{% set images = namespace(n=0) %}{% for message in messages %}\
{% if loop.first and message['role'] != 'system' %}<|im_start|>system
SYSTEM<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}\
{% if part['type'] == 'image' or 'image' in part or 'image_url' in part %}{% set images.n = images.n + 1 %}\
{% if add_vision_id %}Picture {{ images.n }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>\
{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def random_variant(rng):
    """Sizes and layouts drawn independently, including ones that no published checkpoint has."""
    head_dim = rng.choice([16, 16, 32, 128])
    kv_heads = rng.choice([1, 2])
    heads = kv_heads * rng.choice([1, 2, 3] if head_dim < 128 else [1, 2])
    patch, merge = rng.choice([(7, 2), (14, 2), (14, 2), (6, 3), (8, 1)])
    depth = rng.randint(1, 4)
    vision_heads = rng.choice([1, 2, 4])
    return dict(
        hidden=heads * head_dim, heads=heads, kv_heads=kv_heads, intermediate=rng.randint(30, 120),
        layers=rng.randint(1, 4), tied=rng.random() < 0.5, rope_theta=rng.choice([10000.0, 1000000.0]),
        vision_heads=vision_heads, vision_hidden=vision_heads * rng.choice([8, 16, 80]),
        vision_intermediate=rng.randint(20, 90), depth=depth,
        full=sorted(rng.sample(range(depth), rng.randint(0, depth))), patch=patch, merge=merge,
        frames=rng.choice([1, 2, 2]), window=patch * merge * rng.choice([1, 2, 3, 4]), max_merged=rng.randint(30, 90),
        keys=rng.choice(["published", "nested"]), config=rng.choice(["flat", "both", "nested"]),
        dtype=rng.choice(list(DTYPES)), shards=rng.choice([1, 1, 2, 5]),
        template=rng.choice(["chat_template.json", "tokenizer_config.json", "chat_template.jinja"]),
        system=rng.choice(["plain", "grounding"]),
    )


def build_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=256 + N_MERGES, initial_alphabet=alphabet, special_tokens=[], show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    assert tokenizer.get_vocab_size() == 256 + N_MERGES
    tokenizer.add_tokens([AddedToken(text, special=special, normalized=False) for text, special in ADDED_TOKENS])
    return tokenizer


def split_sections(half):
    """Time, height, width: a quarter and the rest in two equal parts, as 16, 24, 24 of 64."""
    time = half // 4 + half % 2
    return [time, (half - time + 1) // 2, (half - time) // 2]


def flat_config(v, tokenizer):
    vocab_size = (tokenizer.get_vocab_size() + 15) // 16 * 16
    ids = tokenizer.token_to_id
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "attention_dropout": 0.0,
        "bos_token_id": ids("<|endoftext|>"),
        "eos_token_id": ids("<|im_end|>"),
        "vision_start_token_id": ids("<|vision_start|>"),
        "vision_end_token_id": ids("<|vision_end|>"),
        "vision_token_id": ids("<|vision_pad|>"),
        "image_token_id": ids("<|image_pad|>"),
        "video_token_id": ids("<|video_pad|>"),
        "hidden_act": "silu",
        "hidden_size": v["hidden"],
        "initializer_range": 0.02,
        "intermediate_size": v["intermediate"],
        "max_position_embeddings": 4096,
        "max_window_layers": v["layers"],
        "model_type": "qwen2_5_vl",
        "num_attention_heads": v["heads"],
        "num_hidden_layers": v["layers"],
        "num_key_value_heads": v["kv_heads"],
        "rms_norm_eps": 1e-6,
        "rope_scaling": {"type": "mrope", "mrope_section": split_sections(v["hidden"] // v["heads"] // 2)},
        "rope_theta": v["rope_theta"],
        "sliding_window": 32768,
        "tie_word_embeddings": v["tied"],
        "torch_dtype": {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}[v["dtype"]],
        "transformers_version": "4.41.2",
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": {
            "depth": v["depth"],
            "hidden_act": "silu",
            "hidden_size": v["vision_hidden"],
            "intermediate_size": v["vision_intermediate"],
            "num_heads": v["vision_heads"],
            "in_chans": 3,
            "out_hidden_size": v["hidden"],
            "patch_size": v["patch"],
            "spatial_merge_size": v["merge"],
            "spatial_patch_size": v["patch"],
            "window_size": v["window"],
            "fullatt_block_indexes": v["full"],
            "tokens_per_second": 2,
            "temporal_patch_size": v["frames"],
        },
        "vocab_size": vocab_size,
    }


TEXT_FIELDS = [
    "attention_dropout", "bos_token_id", "eos_token_id", "hidden_act", "hidden_size", "initializer_range", "intermediate_size",
    "max_position_embeddings", "max_window_layers", "num_attention_heads", "num_hidden_layers", "num_key_value_heads",
    "rms_norm_eps", "use_cache", "use_sliding_window", "vocab_size",
]


def in_layout(flat, layout):
    """config.json as the tool that uses `layout` writes it."""
    config = copy.deepcopy(flat)
    if layout == "flat":
        return config
    text = {key: config[key] for key in TEXT_FIELDS}
    text |= {"model_type": "qwen2_5_vl_text", "sliding_window": None, "layer_types": ["full_attention"] * config["num_hidden_layers"]}
    config["vision_config"] |= {"in_channels": 3, "initializer_range": 0.02, "model_type": "qwen2_5_vl"}
    config["dtype"] = config.pop("torch_dtype")
    sections = config["rope_scaling"]["mrope_section"]
    if layout == "both":
        config["rope_scaling"] = {"mrope_section": sections, "rope_type": "default", "type": "default"}
        text |= {"rope_scaling": config["rope_scaling"], "rope_theta": config["rope_theta"]}
        if config["tie_word_embeddings"]:
            del config["tie_word_embeddings"]
            text["tie_word_embeddings"] = True
        return config | {"text_config": text, "transformers_version": "4.57.6"}
    text["rope_parameters"] = {"mrope_section": sections, "rope_theta": config["rope_theta"], "rope_type": "default", "type": "mrope"}
    config["vision_config"] |= {"model_type": "qwen2_5_vl_vision", "rope_parameters": {"rope_theta": 10000.0, "rope_type": "axial"}}
    for key in TEXT_FIELDS + ["rope_scaling", "rope_theta", "sliding_window"]:
        del config[key]
    return config | {"text_config": text, "transformers_version": "5.23.0"}


def flattened(config):
    """The flat form of any layout. transformers 4.57 does not understand "nested" by itself."""
    text = config.get("text_config")
    if text is None or "rope_parameters" not in text:
        return config
    flat = {key: value for key, value in config.items() if key != "text_config"}
    flat |= {key: text[key] for key in TEXT_FIELDS}
    rope = text["rope_parameters"]
    flat["rope_theta"] = rope["rope_theta"]
    flat["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
    return flat


def random_model(flat, seed, tokenizer):
    """Weights large enough that attention is sharp, every norm and bias matters and logits differ clearly."""
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**copy.deepcopy(flat)))
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.dim() == 1:
                is_norm = "norm" in name or "ln_q" in name
                weight.copy_((1.0 if is_norm else 0.0) + 0.2 * torch.randn(weight.shape))
                continue
            fan_in = weight[0].numel()
            gain = 1.7 if "q_proj" in name or "k_proj" in name or "qkv" in name else 1.0
            weight.copy_(gain * fan_in**-0.5 * torch.randn(weight.shape))
        # Ids above the text tokens are never the most likely, so that every greedy run has its full length.
        n_text = tokenizer.get_vocab_size() - len(ADDED_TOKENS)
        model.lm_head.weight[n_text:] *= 0.05
    return model


def published_name(name):
    return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def write_weights(model, folder, v):
    tensors = {}
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and v["tied"]:
            continue
        name = published_name(name) if v["keys"] == "published" else name
        tensors[name] = weight.to(DTYPES[v["dtype"]]).contiguous()
    # One entry alone: several are written in random order.
    metadata = {"format": "pt"}
    if v["shards"] == 1:
        return save_file(tensors, folder / "model.safetensors", metadata)
    names, weight_map = sorted(tensors), {}
    for shard in range(v["shards"]):
        file = f"model-{shard + 1:05}-of-{v['shards']:05}.safetensors"
        part = {name: tensors[name] for name in names[shard :: v["shards"]]}
        save_file(part, folder / file, metadata)
        weight_map |= {name: file for name in part}
    total = sum(tensor.nbytes for tensor in tensors.values())
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_tokenizer(tokenizer, folder, v):
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.model.save(str(folder))
    template = TEMPLATE.replace("SYSTEM", PLAIN_SYSTEM if v["system"] == "plain" else GROUNDING_SYSTEM)
    config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(text)): {
                "content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": special,
            }
            for text, special in ADDED_TOKENS
        },
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 4096,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    if v["template"] == "chat_template.json":
        write_json(folder / "chat_template.json", {"chat_template": template})
    elif v["template"] == "chat_template.jinja":
        (folder / "chat_template.jinja").write_text(template)
    else:
        config["chat_template"] = template
    write_json(folder / "tokenizer_config.json", config)


def make(variant, folder, seed):
    v = DEFAULTS | variant
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    flat = flat_config(v, tokenizer)
    write_tokenizer(tokenizer, folder, v)
    write_json(folder / "config.json", in_layout(flat, v["config"]))
    side = v["patch"] * v["merge"]
    write_json(folder / "preprocessor_config.json", {
        "min_pixels": 4 * side * side,
        "max_pixels": v["max_merged"] * side * side,
        "patch_size": v["patch"],
        "temporal_patch_size": v["frames"],
        "merge_size": v["merge"],
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
    })
    write_json(folder / "generation_config.json", {
        "bos_token_id": flat["bos_token_id"],
        "pad_token_id": flat["bos_token_id"],
        "do_sample": True,
        "eos_token_id": [flat["eos_token_id"], flat["bos_token_id"]],
        "repetition_penalty": 1.05,
        "temperature": 0.1,
        "transformers_version": "4.49.0",
    })
    write_weights(random_model(flat, seed, tokenizer), folder, v)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=[*VARIANTS, "random"])
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    variant = random_variant(random.Random(args.seed)) if args.name == "random" else VARIANTS[args.name]
    make(variant, args.folder, args.seed)

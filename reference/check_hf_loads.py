"""Proves that transformers loads a checkpoint folder unchanged and computes what vigorl computes.

Usage: python reference/check_hf_loads.py CHECKPOINT [--vigorl target/release/vigorl] [--image PAGE.png] [--text "..."]

Loads model, tokenizer and processor as any user would, with no missing, unexpected or mismatched key, asks one
question about one image, and compares every output and 64 greedy ids with `vigorl inspect`. Exit 1 on a difference.
"""

import argparse
import pathlib
import sys

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoProcessor, AutoTokenizer, Qwen2_5_VLForConditionalGeneration

import parity
from dump_forward import dump, one_turn
from pictures import draw


@torch.no_grad()
def ask_as_a_user(checkpoint, image, text):
    """The documented way: no argument but the folder, the image and the question."""
    model, info = Qwen2_5_VLForConditionalGeneration.from_pretrained(checkpoint, output_loading_info=True)
    problems = {kind: keys for kind, keys in info.items() if keys}
    assert not problems, f"transformers complains about the weights: {problems}"
    processor = AutoProcessor.from_pretrained(checkpoint)
    tokens = AutoTokenizer.from_pretrained(checkpoint)(text)
    # What the model does not take makes generate() fail for those who use the tokenizer alone.
    assert set(tokens) == {"input_ids", "attention_mask"}, f"the tokenizer returns {sorted(tokens)}"
    assert tokens["input_ids"] == processor.tokenizer(text)["input_ids"], "tokenizer and processor disagree"
    content = [{"type": "image", "image": image}, {"type": "text", "text": text}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    logits = model(**inputs).logits
    assert torch.isfinite(logits).all(), "some logits are not finite"
    ids = model.generate(**inputs, do_sample=False, max_new_tokens=20)[0, inputs["input_ids"].shape[1] :]
    parameters = sum(weight.numel() for weight in model.parameters())
    print(f"loads: {parameters:,} parameters, {inputs['input_ids'].shape[1]} prompt tokens, logits {tuple(logits.shape)}")
    print(f"says: {processor.tokenizer.decode(ids)!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--vigorl", type=pathlib.Path, default=parity.ROOT / "target" / "release" / "vigorl")
    parser.add_argument("--image", type=pathlib.Path)
    parser.add_argument("--text", default="click the button")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    parity.WORK.mkdir(parents=True, exist_ok=True)
    image = args.image or parity.WORK / "page.png"
    if args.image is None:
        draw("lines", 1, 320, 200).save(image)
    ask_as_a_user(args.checkpoint, str(image.resolve()), args.text)
    case = dump(args.checkpoint, one_turn([str(image.resolve())], args.text, None), parity.WORK / "hf.safetensors", "/")
    expected = load_file(parity.WORK / "hf.safetensors")
    result = parity.compare(args.vigorl, args.checkpoint, case, expected, pathlib.Path("/"))
    print(f"{'checkpoint':40}" + "".join(f"{name:>15}" for name in result))
    sys.exit(0 if parity.print_row(args.checkpoint.name, result) else 1)


if __name__ == "__main__":
    main()

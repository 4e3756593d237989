"""Proves that PEFT loads our adapters and that we read PEFT's, by the logits of both.

Usage: python reference/check_peft_loads.py CHECKPOINT [--vigorl target/release/vigorl]
           [--adapters target/release/examples/adapters]

Needs `pip install peft==0.21.2` beside requirements.txt, and `cargo build --release -p vigorl-training --example adapters`.
Ours: random adapters written by the example, which PEFT must load with no missing and no unexpected tensor. PEFT's: random
ones of both towers, plain and rank-stabilized, which the example must read. Each time the logits of PEFT's model, adapters
beside the weights, are compared with those of `vigorl inspect` on the checkpoint with the adapters merged. Exit 1 on a
difference, or if the adapters hardly changed anything.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import warnings

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

import parity
from dump_forward import inputs_of, load_model, one_turn
from pictures import draw

OF_DECODER = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
OF_TOWER = ["visual.attn.qkv", "visual.attn.proj", "visual.mlp.gate_proj", "visual.merger.mlp.0", "visual.merger.mlp.2"]
# A list of names means both towers to PEFT.
OF_BOTH = ["q_proj", "down_proj", "attn.qkv", "mlp.2"]


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(map(str, words))}` failed:\n{done.stderr}")


@torch.no_grad()
def logits_of(model, inputs):
    return model(**inputs, use_cache=False).logits[0]


def merged_logits(args, folder, case):
    """What this engine says with the adapters in `folder` merged into the checkpoint."""
    merged, out = parity.WORK / "merged", parity.WORK / "merged.safetensors"
    run(args.adapters, "merge", args.checkpoint, folder, merged)
    parity.inspect(args.vigorl, "forward", merged, case, pathlib.Path("/"), ["--output", out])
    return load_file(out)["logits"]


def ours(args, targets):
    """The model of PEFT with our adapters, and their folder."""
    folder = parity.WORK / "ours"
    run(args.adapters, "draw", args.checkpoint, folder, *targets)
    with warnings.catch_warnings():
        # PEFT only warns of tensors that it misses.
        warnings.simplefilter("error")
        model = PeftModel.from_pretrained(load_model(args.checkpoint), folder)
    stored = load_file(folder / "adapter_model.safetensors")
    loaded = {name.replace(".default", ""): weight for name, weight in model.named_parameters() if "lora_" in name}
    assert loaded.keys() == stored.keys(), f"PEFT has other adapters: {sorted(loaded.keys() ^ stored.keys())}"
    assert all(torch.equal(loaded[name], stored[name]) for name in stored), "PEFT has other values"
    return model.eval(), folder


def theirs(args, use_rslora):
    """The same with adapters that PEFT draws and writes."""
    folder = parity.WORK / "theirs"
    shutil.rmtree(folder, ignore_errors=True)
    config = LoraConfig(r=3, lora_alpha=5, target_modules=OF_BOTH, use_rslora=use_rslora, task_type="CAUSAL_LM")
    model = get_peft_model(load_model(args.checkpoint), config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.uniform_(weight, -0.1, 0.1)
    model.save_pretrained(folder)
    return model.eval(), folder


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--vigorl", type=pathlib.Path, default=parity.ROOT / "target" / "release" / "vigorl")
    parser.add_argument(
        "--adapters", type=pathlib.Path, default=parity.ROOT / "target" / "release" / "examples" / "adapters"
    )
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(1)
    parity.WORK.mkdir(parents=True, exist_ok=True)
    image = (parity.WORK / "page.png").resolve()
    draw("lines", 1, 320, 200).save(image)
    case = one_turn([str(image)], "click the button", None)
    _, inputs = inputs_of(args.checkpoint, case, pathlib.Path("/"))
    plain = logits_of(load_model(args.checkpoint).eval(), inputs)
    is_ok = True
    for name, made in [
        ("ours, decoder", lambda: ours(args, OF_DECODER)),
        ("ours, both towers", lambda: ours(args, OF_DECODER + OF_TOWER)),
        ("PEFT's, both towers", lambda: theirs(args, False)),
        ("PEFT's, rank-stabilized", lambda: theirs(args, True)),
    ]:
        model, folder = made()
        expected = logits_of(model, inputs)
        difference = float((merged_logits(args, folder, case) - expected).abs().max())
        change = float((expected - plain).abs().max())
        is_same = difference <= parity.TOLERANCES["logits"] < change / 100
        is_ok &= is_same
        print(f"{name:26} logits differ by {difference:.1e}, adapters change them by {change:.1e}  {'ok' if is_same else 'DIFFERS'}")
    sys.exit(0 if is_ok else 1)


if __name__ == "__main__":
    main()

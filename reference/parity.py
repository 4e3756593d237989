"""Compares `vigorl inspect` with transformers on freshly generated random checkpoints (`make parity`).

Usage: python reference/parity.py [--vigorl target/release/vigorl] [--seed N] [--checkpoints N]

Every checkpoint draws its sizes, layouts and dtype at random and is asked two conversations: a single turn
through the command line, compared here, and a zoom turn with a crop. Then the engine's own golden test runs on
all of them, which also compares every vision block and decoder layer. Exit 1 if anything differs.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys

import transformers
from safetensors.torch import load_file

from dump_forward import N_GREEDY, dump, is_telling, one_turn
from make_checkpoint import make, random_variant
from pictures import KINDS, draw

ROOT = pathlib.Path(__file__).parent.parent
WORK = ROOT / "target" / "parity"
EXACT = ["input_ids", "position_ids", "image_grid_thw"]
TOLERANCES = {"pixel_values": 1e-6, "image_embeds": 2e-4, "hidden_states": 2e-4, "logits": 2e-4}
TEXTS = [
    "click the button", "Where's the search box?\n\nAnswer with (x, y).", "  the 3rd link, 漢字 🙂", "{\"name\": \"search_coordinate\"}",
    "<think> the icon at (31, 12) </think>", "check it, then uncheck it",
]
SYSTEMS = [None, None, "Answer with a point.", "You see a page.\nYou click."]
CALL = "<think> a small one: (12, 34) </think>\n<tool_call>\n{\"coordinate\": [12, 34]}\n</tool_call>"


def random_images(rng, folder, count):
    names = []
    for _ in range(count):
        width, height = rng.randint(8, 200), rng.randint(8, 200)
        name = f"images/{rng.getrandbits(48):012x}.png"
        draw(rng.choice(KINDS), rng.getrandbits(60), width, height).save(folder / name)
        names.append(name)
    return names


def zoom_turn(images, text):
    image, crop = images
    observation = [
        {"type": "text", "text": "<observation>\nHere is the crop:\n"}, {"type": "image", "image": crop},
        {"type": "text", "text": "</observation>"},
    ]
    answer = {"role": "assistant", "content": [{"type": "text", "text": CALL}]}
    return {"messages": one_turn([image], text, None)["messages"] + [answer, {"role": "user", "content": observation}]}


def dump_telling(rng, checkpoint, name, conversation):
    """Dumps a conversation whose greedy run is determined: no early end, no near tie."""
    for _ in range(20):
        case = {"checkpoint": os.path.relpath(checkpoint, WORK), **conversation(rng)}
        record = dump(checkpoint, case, WORK / f"{name}.safetensors", WORK)
        if is_telling(record):
            return record
    raise RuntimeError(f"{checkpoint}: no conversation with a determined greedy run")


def inspect(vigorl, verb, checkpoint, case, folder, extra):
    """Runs one `vigorl inspect` on a single-turn case and returns its standard output."""
    command = [vigorl, "inspect", verb, "--model", checkpoint, "--dtype", "f32"]
    for message in case["messages"]:
        if message["role"] == "system":
            command += ["--system", message["content"]]
            continue
        for part in message["content"]:
            command += ["--image", folder / part["image"]] if part["type"] == "image" else ["--text", part["text"]]
    done = subprocess.run([str(word) for word in command + extra], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(map(str, command + extra))}` failed:\n{done.stderr}")
    return done.stdout


def generated_ids(vigorl, checkpoint, case, folder):
    printed = json.loads(inspect(vigorl, "generate", checkpoint, case, folder, ["--max-new-tokens", N_GREEDY, "--temperature", 0]))
    return printed if isinstance(printed, list) else printed["token_ids"]


def compare(vigorl, checkpoint, case, expected, folder):
    """By name: the largest absolute difference, None if neither side has it, or what is wrong."""
    out = WORK / "vigorl.safetensors"
    inspect(vigorl, "forward", checkpoint, case, folder, ["--output", out])
    got, result = load_file(out), {}
    for name in EXACT + list(TOLERANCES):
        if name not in expected:
            result[name] = "unexpected" if name in got else None
        elif name not in got or got[name].shape != expected[name].shape:
            result[name] = "missing" if name not in got else f"shape {list(got[name].shape)}"
        else:
            result[name] = float((got[name].double() - expected[name].double()).abs().max())
    ids = generated_ids(vigorl, checkpoint, case, folder)
    same = sum(a == b for a, b in zip(ids, case["greedy_ids"]))
    result["greedy"] = 0.0 if ids == case["greedy_ids"] else f"{same}/{len(case['greedy_ids'])} ids"
    return result


def is_within(name, value):
    return value is None or isinstance(value, float) and value <= TOLERANCES.get(name, 0.0)


def print_row(name, result):
    cells = [f"{value:.1e}" if isinstance(value, float) else value or "-" for value in result.values()]
    verdict = "ok" if all(is_within(*item) for item in result.items()) else "DIFFERS"
    print(f"{name:40}" + "".join(f"{cell:>15}" for cell in cells) + f"  {verdict}", flush=True)
    return verdict == "ok"


def describe(variant):
    return (
        f"{variant['dtype']} {variant['config']}/{variant['keys']} {'tied' if variant['tied'] else 'untied'} "
        f"h{variant['hidden'] // variant['heads']} p{variant['patch']}m{variant['merge']}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vigorl", type=pathlib.Path, default=ROOT / "target" / "release" / "vigorl")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoints", type=int, default=8)
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "images").mkdir(parents=True)
    print(f"{'checkpoint':40}" + "".join(f"{name:>15}" for name in [*EXACT, *TOLERANCES, "greedy"]))
    all_ok = True
    for idx in range(args.checkpoints):
        seed = args.seed * 1000 + idx
        rng = random.Random(seed)
        variant, checkpoint = random_variant(rng), WORK / "checkpoints" / f"{seed}"
        make(variant, checkpoint, seed)
        single = dump_telling(
            rng, checkpoint, f"{seed}_single",
            lambda rng: one_turn(random_images(rng, WORK, rng.choice([0, 1, 1, 1, 2, 3])), rng.choice(TEXTS), rng.choice(SYSTEMS)),
        )
        dump_telling(rng, checkpoint, f"{seed}_zoom", lambda rng: zoom_turn(random_images(rng, WORK, 2), rng.choice(TEXTS)))
        expected = load_file(WORK / f"{seed}_single.safetensors")
        all_ok &= print_row(describe(variant), compare(args.vigorl, checkpoint, single, expected, WORK))
    print("every block and the zoom turns, by the engine's golden test:", flush=True)
    test = ["cargo", "test", "--release", "--quiet", "-p", "vigorl-qwen", "--test", "golden"]
    all_ok &= subprocess.run(test, cwd=ROOT, env={**os.environ, "VIGORL_GOLDEN": str(WORK)}).returncode == 0
    sys.exit(0 if all_ok else 1)


if __name__ == "__main__":
    main()

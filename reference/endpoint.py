"""Compares what a model says behind a server with what the same weights say in the engine, turn by turn, greedy and in f32.

Usage: python reference/endpoint.py [--vigorl target/release/vigorl] [--pictures N] [--seed N] [--port N] [--set DIR --items N]
       python reference/endpoint.py --server mlx-vlm --python OTHER/bin/python …

Starts a server on this machine, `transformers serve` or that of mlx-vlm, and has `vigorl locate --base-url` ask it; `vigorl
locate --model` asks the engine the same. Two checkpoints are served: the embedded policy `nano`, which zooms, and a random one
whose patches have the size of the published checkpoints'. Their weights are written in f32, because mlx-vlm computes in the
dtype in which it finds them; `--stored` leaves nano's as they are, in bf16. Needs what requirements.txt names, and for the
servers `fastapi uvicorn pydantic openai accelerate`, or in an environment of its own `mlx-vlm "mlx[cpu]"`.

What is compared are the turns that both were asked alike: up to the first one whose beginning the server cannot be made to
continue, and up to the first one that is sampled, because random numbers differ. Special tokens are left out, as the server
leaves them out. Exit 1 if a turn differs.

With `--set`, the folder of a set in ScreenSpot's layout (`make_sets.py` makes one), `vigorl eval screenspot` plays its first items
with both as well, and the turns and verdicts of the records are compared in the same way. The random checkpoint never ends a
turn by itself and takes long: `--only nano` leaves it out.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

from safetensors.torch import load_file, save_file

from make_checkpoint import VARIANTS, make
from parity import ROOT
from pictures import KINDS, draw

WORK = ROOT / "target" / "endpoint"
INSTRUCTIONS = ["click the button", "the 3rd link", "open the menu"]
# What this server remembers of a conversation spoils the next turn if that shows a picture: it goes on from the keys and values
# of the turn before and leaves the picture out. Here it forgets.
TRANSFORMERS = """
from transformers.commands import serving
from transformers.commands.transformers_cli import main
if not is_unchanged:
    serving.ServeCommand.is_continuation = lambda *_: False
main()
"""
# This server takes `<think>…</think>` out of what is said, whatever it is asked. Here it leaves everything in.
MLX_VLM = """
from mlx_vlm.server import responses_state
from mlx_vlm.server.cli import main
if not is_unchanged:
    responses_state.ThinkingStreamState._DEFAULT_OPEN_CLOSE_MARKERS = ()
main()
"""
SPECIAL = re.compile(r"<\|[a-z_]+\|>")


def checkpoints(seed, is_stored):
    """Folders by the preset with which they are asked."""
    nano, random = WORK / "nano", WORK / "random"
    shutil.copytree(ROOT / "grounding" / "qwen" / "assets" / "nano", nano, dirs_exist_ok=True)
    if not is_stored:
        weights = nano / "model.safetensors"
        save_file({name: tensor.float() for name, tensor in load_file(weights).items()}, weights, {"format": "pt"})
    # The server looks for architectures and template where published checkpoints have them.
    published = {"config": "flat", "keys": "published", "template": "chat_template.json", "dtype": "f32"}
    make(VARIANTS["untied_patch14"] | published, random, seed)
    # The server draws as this file says and takes no other wish: greedy, and without a penalty.
    path = random / "generation_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({"do_sample": False, **{key: config[key] for key in ("eos_token_id", "pad_token_id")}}))
    return {"nano": nano.resolve(), "web-grounding": random.resolve()}


class Server:
    """A server with one checkpoint, as long as the block lasts."""

    def __init__(self, args, folder):
        self.url = f"http://127.0.0.1:{args.port}"
        at = ["--host", "127.0.0.1", "--port", str(args.port)]
        if args.server == "transformers":
            starts, words = TRANSFORMERS, ["serve", *at, "--dtype", "float32", "--device", "cpu", "--log_level", "error"]
        else:
            starts, words = MLX_VLM, [*at, "--model", str(folder), "--log-level", "ERROR"]
        self.log = open(WORK / "server.log", "w")
        command = [args.python, "-c", f"is_unchanged = {args.unchanged}{starts}", *words]
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, env=environment)

    def __enter__(self):
        for _ in range(600):
            if self.process.poll() is not None:
                sys.exit(f"the server ended with {self.process.returncode}: see {WORK / 'server.log'}")
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=1).close()
                return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        sys.exit("the server does not answer")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()


def locate(vigorl, picture, instruction, preset, more):
    """What one `vigorl locate --json` tells."""
    command = [vigorl, "locate", picture, instruction, "--json", "--eyes", "policy", "--min-confidence", "0"]
    command += ["--preset", preset, *more]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode not in (0, 1) or not done.stdout:
        sys.exit(f"`{' '.join(map(str, command))}` failed:\n{done.stderr}")
    return json.loads(done.stdout)


def comparable(turns):
    """The turns that do not depend on random numbers or on a beginning that was asked for in words."""
    asked = []
    for turn in turns:
        if turn["forced"]:
            break
        asked.append(SPECIAL.sub("", turn["completion"]))
        if turn["went_back"]:
            break
    return asked


def limits(folder):
    """What the processor of a checkpoint shows, as the server is told to be stated."""
    config = json.loads((folder / "preprocessor_config.json").read_text())
    return ["--served-max-pixels", config["max_pixels"], "--served-min-pixels", config["min_pixels"]]


def evaluation(args, name, preset, more):
    """The lines of an evaluation, by item."""
    out = WORK / f"eval-{preset}-{name}"
    shutil.rmtree(out, ignore_errors=True)
    command = [args.vigorl, "eval", "screenspot", "--data", args.set, "--limit", args.items, "--preset", preset, "--out", out]
    command += more
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"`{' '.join(map(str, command))}` failed:\n{done.stderr}")
    lines = [json.loads(line) for line in (out / "items.jsonl").read_text().splitlines()]
    return {line["id"]: line for line in lines}


def said(line):
    """What `comparable` is of a line: turns up to the first one that is made to answer, or that goes another way."""
    turns = []
    for turn in line["turns"]:
        if turn.get("is_forced"):
            return turns, False
        turns.append(SPECIAL.sub("", turn["text"]))
        if turn.get("is_given_up"):
            return turns, False
    return turns, True


def compare_evaluations(args, preset, at, folder):
    """Whether no turn and no verdict differs where nothing is forced or drawn."""
    there = evaluation(args, "server", preset, [*at, "--concurrency", args.concurrency])
    here = evaluation(args, "engine", preset, ["--model", folder])
    n_turns, n_same_turns, n_whole, n_same_verdicts, n_other, n_same_other = 0, 0, 0, 0, 0, 0
    for name, line in here.items():
        other = there[name]
        (ours, is_whole), (theirs, is_whole_there) = said(line), said(other)
        pairs = list(zip(ours, theirs))
        n_turns += len(pairs)
        n_same_turns += sum(one == two for one, two in pairs)
        is_same = line["outcome"] == other["outcome"] and line["point"] == other["point"]
        if is_whole and is_whole_there:
            n_whole, n_same_verdicts = n_whole + 1, n_same_verdicts + is_same
        else:
            n_other, n_same_other = n_other + 1, n_same_other + is_same
    print(f"{preset}, {len(here)} items of {args.set}: {n_same_turns} of {n_turns} turns are the same; verdict and point in "
          f"{n_same_verdicts} of {n_whole} items where nothing is forced or drawn, in {n_same_other} of {n_other} others")
    return here.keys() == there.keys() and n_same_turns == n_turns and n_same_verdicts == n_whole


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vigorl", type=pathlib.Path, default=ROOT / "target" / "release" / "vigorl")
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--port", type=int, default=8137)
    parser.add_argument("--server", choices=["transformers", "mlx-vlm"], default="transformers")
    parser.add_argument("--python", default=sys.executable, help="the Python of the environment with the server")
    parser.add_argument("--unchanged", action="store_true", help="leave the server as it is: it, or its zooms, are refused")
    parser.add_argument("--stored", action="store_true", help="leave the weights of nano in bf16")
    parser.add_argument("--only", choices=["nano", "web-grounding"], help="the preset whose checkpoint alone is asked")
    parser.add_argument("--concurrency", type=int, default=1, help="items asked at once; transformers mixes them up")
    parser.add_argument("--set", type=pathlib.Path, help="a set in the layout of ScreenSpot, to be evaluated with both")
    parser.add_argument("--items", type=int, default=60)
    args = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    n_same, n_all, found, is_same = 0, 0, {}, True
    for preset, folder in checkpoints(args.seed, args.stored).items():
        if args.only not in (None, preset):
            continue
        with Server(args, folder) as server:
            at = ["--base-url", f"{server.url}/v1", "--served-model", folder, *limits(folder)]
            for idx in range(args.pictures):
                picture = WORK / f"{preset}-{idx}.png"
                draw(KINDS[idx % len(KINDS)], args.seed + idx, 192, 160).save(picture)
                instruction = INSTRUCTIONS[idx % len(INSTRUCTIONS)]
                there = locate(args.vigorl, picture, instruction, preset, at)
                here = locate(args.vigorl, picture, instruction, preset, ["--model", folder])
                found = there["model"]["endpoint"]["found"]
                pairs = list(zip(comparable(there["turns"]), comparable(here["turns"])))
                n_all += len(pairs)
                for turn, (served, computed) in enumerate(pairs, 1):
                    if served == computed:
                        n_same += 1
                        continue
                    print(f"{preset}, picture {idx}, turn {turn} differs:\n  server {served!r}\n  engine {computed!r}")
                    break
            if args.set:
                is_same &= compare_evaluations(args, preset, at, folder)
    for name, what in found.items():
        print(f"{name:32}{what}")
    print(f"{n_same} of {n_all} turns are the same")
    sys.exit(0 if n_all > 0 and n_same == n_all and is_same else 1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Plays made sets of every public layout whole, killed and resumed, and in four parts, and compares the tables word for word.

    python reference/make_sets.py SCREENS SETS --items 300
    python reference/eval_records.py SETS --vigorl target/release/vigorl

Each set is played with the embedded policy: in one piece, again with a kill every few seconds until it is done, and in four parts
that `vigorl eval report` puts together. The three tables must be the same, and so must the verdict on every item.
"""
import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time


def lines(folder):
    """Whole lines of a record, by item and mode."""
    found = {}
    for line in (folder / "items.jsonl").read_text().splitlines():
        try:
            one = json.loads(line)
        except json.JSONDecodeError:
            continue
        key = (one["id"], one["mode"], one["draw"])
        assert key not in found, f"{folder}: {key} was judged twice"
        found[key] = (one["outcome"], one["point"], [turn["text"] for turn in one["turns"]])
    return found


def evaluation(folder):
    """The name of the evaluation that reads a set, by the folder's name."""
    for name in ("screenspot-pro", "screenspot-v2", "osworld-g", "ui-vision", "mmbench-gui", "screenspot"):
        if folder.name.startswith(name):
            return name
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=pathlib.Path, help="what make_sets.py wrote")
    parser.add_argument("--vigorl", default="target/release/vigorl")
    parser.add_argument("--kill-after", type=float, default=1.5, help="seconds, about")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        out = pathlib.Path(temporary)
        for folder in sorted(path for path in args.sets.iterdir() if path.is_dir()):
            name = evaluation(folder)
            if name is None:
                continue
            command = [args.vigorl, "eval", name, "--data", str(folder)]

            def play(where, *more):
                done = subprocess.run([*command, "--out", str(where), *more], capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{folder.name}: {done.stderr}")
                return done.stdout

            whole = play(out / "whole")
            n_kills = 0
            while True:
                child = subprocess.Popen([*command, "--out", str(out / "killed")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                try:
                    killed, _ = child.communicate(timeout=args.kill_after * draw.uniform(0.5, 1.5))
                    break
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.communicate()
                    n_kills += 1
            parts = [out / f"part{n}" for n in range(1, 5)]
            for n, part in enumerate(parts, 1):
                play(part, "--shard", f"{n}/4", "--concurrency", "2")
            report = [args.vigorl, "eval", "report", *map(str, parts), "--html", str(out / "report.html"), "--failures", "5"]
            merged = subprocess.run(report, capture_output=True, text=True, check=True).stdout
            start = time.monotonic()
            rescore = [args.vigorl, "eval", "rescore", str(out / "whole"), "--judge", "screenspot"]
            rescored = subprocess.run(rescore, capture_output=True, text=True, check=True).stdout
            rescore_secs = time.monotonic() - start
            of_whole = lines(out / "whole")
            of_parts = {key: value for part in parts for key, value in lines(part).items()}
            same = {
                "killed": killed == whole and lines(out / "killed") == of_whole,
                "parts": merged.startswith(whole.rstrip("\n")) and of_parts == of_whole,
                "rescored": rescored.split("\n", 1)[1] == whole and " 0 of " in rescored.split("\n", 1)[0],
            }
            failed |= not all(same.values())
            verdict = ", ".join(f"{what} {'same' if is_same else 'DIFFERS'}" for what, is_same in same.items())
            print(f"{folder.name}: {len(of_whole)} lines, {n_kills} kills, rescored in {rescore_secs:.2f} s: {verdict}", flush=True)
            for path in out.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    sys.exit(failed)


if __name__ == "__main__":
    main()

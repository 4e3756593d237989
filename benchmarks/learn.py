#!/usr/bin/env python3
"""Learning by reward beside its controls, over seeds: a queue that resumes, and the table of what came of it.

    benchmarks/learn.py examples/learn/json-editor.toml --seeds 1,2,3
    benchmarks/learn.py examples/learn/json-editor.toml --seeds 1 --arms learned,permuted --minutes 15
    benchmarks/learn.py examples/learn/json-editor.toml --table       what is there so far

Each arm is a run of `vigorl train grpo` in data/learn/NAME-SEED-ARM. `learned` makes the warm start of a seed, and the other
arms begin with the same one:

    learned     the file as it is
    filtered    the best samples of each group are imitated, on rollouts of the same kind
    alone       no warm start: the policy that was given learns from reward
    permuted    rewards change hands among all samples of a step
    blank       policy and reader are shown an empty screen

What is measured is held out, greedy, at the start and at the end of a run, by the run itself. An arm that has finished is not
run again; one that was killed goes on where it stopped. With --keep DIR the log of each finished arm is kept there, and an arm
whose log is there counts as finished: so a queue of hours can go on on another machine.
"""
import argparse
import json
import math
import pathlib
import shutil
import subprocess
import sys
import tomllib

ARMS = {
    "learned": [],
    "filtered": ["objective.objective=best_of_group"],
    "alone": ["warm_start.steps=0"],
    "permuted": ["control.permute_rewards=true"],
    "blank": ["control.blank_screen=true"],
}


def wilson(k, n):
    """Wilson's 95 % interval of k in n."""
    if n == 0:
        return (0.0, 1.0)
    z, p = 1.959964, k / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return ((middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n))


def measured(line, name):
    """How many of how many were solved in a line of the log, over all held-out sets; nothing if they were not measured."""
    sets = {key.split("/")[1] for key in line if key.startswith("heldout/")}
    sets = [of for of in sets if f"heldout/{of}/{name}" in line]
    n = sum(line[f"heldout/{of}/n"] for of in sets)
    return (round(sum(line[f"heldout/{of}/{name}"] * line[f"heldout/{of}/n"] for of in sets)), round(n)) if sets else None


def in_words(found):
    if found is None:
        return "–"
    k, n = found
    low, high = wilson(k, n)
    return f"{k} of {n} = {100 * k / max(n, 1):.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def told(name, log, is_finished):
    """A row of the table."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    first = next((line for line in lines if measured(line, "greedy")), {})
    last = next((line for line in reversed(lines) if measured(line, "greedy")), {})
    variance = [line["groups/with_variance"] for line in lines if "groups/with_variance" in line][:10]
    share = f"{100 * sum(variance) / len(variance):.0f} %" if variance else "–"
    steps = f"{lines[-1]['step']}{'' if is_finished else ' so far'}"
    cells = [in_words(measured(first, "given")), in_words(measured(first, "greedy")), in_words(measured(last, "greedy"))]
    return [name, *cells, steps, share]


def table(root, keep, name):
    print("| run | as given | at the start | at the end | steps | groups with different rewards, first ten steps |")
    print("|---|---|---|---|---|---|")
    logs = {log.stem: (log, True) for log in (keep.glob(f"{name}-*.jsonl") if keep else [])}
    for folder in root.glob(f"{name}-*"):
        if (folder / "metrics.jsonl").is_file():
            logs[folder.name] = (folder / "metrics.jsonl", (folder / "model").is_dir())
    for name, (log, is_finished) in sorted(logs.items()):
        print("| " + " | ".join(told(name, log, is_finished)) + " |")


def run(args, root, name, seed, arm):
    folder, base = root / f"{name}-{seed}-{arm}", root / f"{name}-{seed}-learned"
    kept = args.keep / f"{folder.name}.jsonl" if args.keep else None
    if (folder / "model").is_dir() or (kept and kept.is_file()):
        return
    if arm not in ("learned", "alone") and not (folder / "warm_start").is_dir():
        if not (base / "warm_start" / "model").is_dir() and not kept:
            sys.exit(f"{folder.name} begins with the warm start of {base.name}: run the arm `learned` first")
        # Where only the log of that arm was kept, the same seed makes it again.
        if (base / "warm_start" / "model").is_dir():
            shutil.copytree(base / "warm_start", folder / "warm_start")
        # The policy that was given has been measured once.
        if (base / "before").is_dir():
            shutil.copytree(base / "before", folder / "before")
    settings = [f"run.seed={seed}", f"run.output_dir={folder}", *ARMS[arm], *args.set]
    if args.minutes:
        settings.append(f"run.minutes={args.minutes}")
    command = [args.program, "train", "grpo", str(args.file)]
    for setting in settings:
        command += ["--set", setting]
    print(" ".join(command), flush=True)
    subprocess.run(command, check=True)
    if kept:
        args.keep.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "metrics.jsonl", kept)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path, help="a configuration of `vigorl train grpo`")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--minutes", type=float, help="of reward, for every arm; as the file says by default")
    parser.add_argument("--program", default="target/release/vigorl")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path("data/learn"))
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, for every arm")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for the logs of finished arms")
    parser.add_argument("--table", action="store_true", help="run nothing")
    args = parser.parse_args()
    name = args.file.stem
    tomllib.loads(args.file.read_text())
    unknown = [arm for arm in args.arms.split(",") if arm not in ARMS]
    if unknown:
        sys.exit(f"there is no arm {', '.join(unknown)}; there are {', '.join(ARMS)}")
    args.root.mkdir(parents=True, exist_ok=True)
    if not args.table:
        for seed in args.seeds.split(","):
            for arm in args.arms.split(","):
                run(args, args.root, name, seed, arm)
    table(args.root, args.keep, name)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Plays the tasks of examples/desktop by text alone and counts the steps that came out right.

    python3 benchmarks/desktop_steps.py target/release/vigorl [TASK.yaml ...] [--repeat N]

A step is what stands between two checks by a file, a command or the clipboard. It is right if all of its actions were done,
what the screen must show was read there, and that check holds, too. A false reward is a step whose screen said yes while
the file, the command or the clipboard said no. Steps behind one that failed are tried, and wrong.

Every task has a display and a home of its own. What is missing is named with the packages of Debian that have it.
"""

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TASKS = Path(__file__).parent.parent / "examples" / "desktop"
# Programs of the tasks, of their checks and of the display, and Debian's packages for them.
NEEDED = {
    "featherpad": "featherpad",
    "galculator": "galculator",
    "geany": "geany",
    "idle-python3.11": "idle-python3.11",
    "mousepad": "mousepad",
    "openbox": "openbox",
    "pcmanfm": "pcmanfm",
    "xclip": "xclip",
    "xedit": "x11-apps",
    "xvfb-run": "xvfb",
    "xwininfo": "x11-utils",
    "zenity": "zenity",
}
# How a step begins that asks the world, and how one begins that asks the screen.
TRUTH = re.compile(r"wait until (the command|the file|the clipboard)")
SCREEN = re.compile(r"wait until the (page|screen) shows")


def declared(task):
    """How many checks of the world a task has."""
    return len(re.findall(r"^ *- wait_for: \{ (command|file|clipboard):", task.read_text(), re.M))


def play(program, task, folder):
    """Plays a task on a display of its own; its run directory."""
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE")}
    environment["HOME"] = str(folder)
    inner = 'openbox 2>/dev/null & sleep 1; exec "$@"'
    runs = folder / "runs"
    command = ["xvfb-run", "-a", "-s", "-screen 0 1280x800x24", "sh", "-c", inner, "sh"]
    command += [str(program), "run", str(task), "--output-dir", str(runs)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    found = sorted(runs.glob("*/events.jsonl"))
    if not found:
        sys.exit(f"{task.name} left no record: {done.stderr.strip()}")
    return found[-1].parent


def steps_of(run):
    """What was done, in order: instruction, whether it was done, and the reason if not."""
    steps = {}
    for line in (run / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "step_started":
            steps[event["step"]] = [event["instruction"], False, None]
        elif event["event"] == "step_ended":
            steps[event["step"]][1:] = [event["effect"] != "refused", event["detail"]]
    return [steps[number] for number in sorted(steps)]


def judge(steps):
    """How many checks of the world held, the false rewards among the others, and the step that failed."""
    n_right, false_rewards, says_yes = 0, [], False
    for instruction, is_done, detail in steps:
        if TRUTH.match(instruction):
            if not is_done:
                return n_right, [instruction] if says_yes else [], (instruction, detail)
            n_right, says_yes = n_right + 1, False
        elif not is_done:
            return n_right, false_rewards, (instruction, detail)
        else:
            says_yes = says_yes or bool(SCREEN.match(instruction))
    return n_right, false_rewards, None


def wilson(k, n):
    z, p = 1.96, k / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [100 * (middle + sign * half) / (1 + z * z / n) for sign in (-1, 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("tasks", type=Path, nargs="*", default=sorted(TASKS.glob("*.yaml")))
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    missing = [package for program, package in NEEDED.items() if not shutil.which(program)]
    if missing:
        sys.exit(f"programs are missing: apt-get install {' '.join(missing)}")
    right = tried = 0
    rewards = []
    for task in options.tasks:
        for _ in range(options.repeat):
            with tempfile.TemporaryDirectory() as folder:
                steps = steps_of(play(options.program.resolve(), task.resolve(), Path(folder)))
            n_right, false_rewards, failed = judge(steps)
            right, tried = right + n_right, tried + declared(task)
            rewards += [(task.name, step) for step in false_rewards]
            print(f"{task.stem:12} {n_right} of {declared(task)} steps" + (f"; {failed[0]}: {failed[1]}" if failed else ""))
            sys.stdout.flush()
    low, high = wilson(right, tried)
    print(f"{right} of {tried} steps right = {100 * right / tried:.1f} % ({low:.1f} to {high:.1f})")
    print(f"{len(rewards)} false rewards" + "".join(f"\n  {name}: {step}" for name, step in rewards))


if __name__ == "__main__":
    main()

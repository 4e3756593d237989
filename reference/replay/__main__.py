"""Plays the same episodes with two binaries, or with one and committed lines, and says what differs.

    python3 reference/replay beside OLD NEW       both binaries, one after the other on each case
    python3 reference/replay golden BINARY        against fixtures/replay/golden.jsonl
    python3 reference/replay golden BINARY --write    writes those lines anew

Compared are prompts, ids, points, actions and verdicts, step by step, as the run directories and the printed JSON hold
them. Times and paths never are. It ends with 0 if everything is the same, or excused in reference/replay/known.txt.

A difference between two binaries only counts if the old one, played again, agrees with itself: what a page does not do
the same way twice is printed as unsteady.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

import cases
from cases import PAGES, Case
from compare import Known, differences
from play import Player, served

GOLDEN = PAGES / "golden.jsonl"
KNOWN = Path(__file__).with_name("known.txt")
MOST_LINES = 40
ATTEMPTS = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="replay", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    beside = commands.add_parser("beside", help="two binaries")
    beside.add_argument("old", type=Path)
    beside.add_argument("new", type=Path)
    beside.add_argument("--known", type=Path, default=KNOWN, help="differences that are meant")
    golden = commands.add_parser("golden", help="one binary and the committed lines")
    golden.add_argument("binary", type=Path)
    golden.add_argument("--write", action="store_true", help="write the lines anew")
    for command in (beside, golden):
        command.add_argument("--only", default="", help="cases whose names begin with this")
        command.add_argument("--folder", type=Path, help="keep the runs there")
    args = parser.parse_args()
    with served() as base, tempfile.TemporaryDirectory(prefix="replay-") as temporary:
        folder = (args.folder or Path(temporary)).resolve()
        if args.command == "beside":
            players = [Player(args.old, base, folder / "old"), Player(args.new, base, folder / "new")]
            return side_by_side(players, chosen(args.only), Known(args.known))
        player = Player(args.binary, base, folder / "golden")
        played = [case for case in chosen(args.only) if case.golden]
        return write_golden(player, played) if args.write else against_golden(player, played)


def chosen(prefix: str) -> list[Case]:
    """The cases asked for, and the ones whose runs they replay."""
    every = cases.all_cases()
    wanted = {case.name for case in every if case.name.startswith(prefix)}
    for case in every:
        if case.name in wanted:
            wanted |= {arg[5:-1] for arg in case.args if arg.startswith("{run:")}
    return [case for case in every if case.name in wanted]


def side_by_side(players: list[Player], played: list[Case], known: Known) -> int:
    """Compares two binaries on each case."""
    n_same = n_episodes = n_counted = n_unsteady = n_left_out = 0
    by_defect: dict[str, int] = {}
    old, new = players
    for case in played:
        if lacking := cases.missing(case):
            print(f"{case.name}: left out, because {', '.join(lacking)} is missing")
            n_left_out += 1
            continue
        n, found, unsteady = beside(old, new, case)
        n_episodes += n
        n_same += not found
        lines = 0
        for path, before, after in found:
            line = f"{case.name} {path}: {before} -> {after}"
            if path in unsteady:
                n_unsteady += 1
                line = f"unsteady  {line}"
            elif defect := known.defect(line):
                by_defect[defect] = by_defect.get(defect, 0) + 1
                line = f"defect {defect}  {line}"
            else:
                n_counted += 1
            lines += 1
            if lines <= MOST_LINES:
                print(line, flush=True)
        if lines > MOST_LINES:
            print(f"{case.name}: and {lines - MOST_LINES} more")
    for entry in known.unseen():
        print(f"known but not seen: {entry}")
    excused = ", ".join(f"{n} by defect {defect}" for defect, n in sorted(by_defect.items())) or "none"
    print(f"{len(played) - n_left_out} cases, {n_episodes} episodes: {n_same} cases are the same; {n_counted} differences, "
          f"excused: {excused}; unsteady: {n_unsteady}; left out: {n_left_out} cases")
    return 1 if n_counted or n_left_out else 0


def beside(old: Player, new: Player, case: Case) -> tuple[int, list[tuple[str, str, str]], set[str]]:
    """Episodes of the case, differences, and the paths at which the old binary differs from itself."""
    found, unsteady = [], set()
    for _ in range(ATTEMPTS):
        one = old.play(case)
        found = differences(one, new.play(case))
        unsteady = {path for path, *_ in differences(one, old.play(case))} if found else set()
        # A machine that was too slow for once.
        if not found or ".exit" not in unsteady:
            break
    return episodes(one), found, unsteady


def episodes(facts: dict) -> int:
    """Episodes that a case played: those of its runs, or one answer or completion."""
    started = [sum(event["event"] == "episode_started" for event in run["events"]) for run in facts.get("runs", [])]
    return sum(started) or 1


def machine(player: Player) -> dict:
    """What ids in f32 and pixels can depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    # Kernels are chosen by these.
    named = ("vendor_id", "cpu family", "model\t")
    cpu = [line.split(":", 1)[1].strip() for line in lines if line.startswith(named)][:3]
    said = subprocess.run(["chromium", "--version"], capture_output=True, text=True, check=False)
    return {"cpu": " ".join(cpu), "browser": said.stdout.strip()}


def short(facts: dict) -> dict:
    """What committed lines hold of a case: prompts, points, actions and verdicts."""
    if "tensors" in facts:
        # The other tensors are sums in f32.
        whole = {name: facts["tensors"].get(name) for name in ("input_ids", "position_ids", "image_grid_thw")}
        return {"exit": facts["exit"], "tensors": whole}
    if "runs" not in facts:
        return facts
    kept: dict = {"exit": facts["exit"], "runs": []}
    for run in facts["runs"]:
        outcomes = [event["outcome"] for event in run["events"] if event["event"] == "episode_ended"]
        kept["runs"].append({
            "steps": {name: short_step(step) for name, step in run["steps"].items()},
            "outcomes": outcomes,
            "success": run["summary"] and [run["summary"]["success"], run["summary"]["reward"]],
        })
    return kept


def short_step(step: dict) -> dict:
    """One step in committed lines."""
    action, model = step["action"] or {}, step["model"] or {}
    names = ("instruction", "place", "element", "action", "effect", "detail", "verification", "url", "title", "dialog")
    said = ("completion", "zoom", "crop", "n_prompt_tokens", "n_completion_tokens", "logprob_sum", "malformed")
    short = {name: action[name] for name in names if action.get(name) is not None}
    short["files"] = step["files"]
    if turns := model.get("turns"):
        short["turns"] = [{name: turn[name] for name in said if turn.get(name) is not None} for turn in turns]
        short["answer"] = model.get("answer")
    return short


def write_golden(player: Player, played: list[Case]) -> int:
    """Writes the committed lines anew."""
    lines = [{"machine": machine(player)}, *({"case": case.name, **short(player.play(case))} for case in played)]
    GOLDEN.write_text("".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines))
    print(f"{len(played)} cases in {GOLDEN}, {GOLDEN.stat().st_size} bytes")
    return 0


def against_golden(player: Player, played: list[Case]) -> int:
    """Compares one binary with the committed lines."""
    head, *lines = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    committed = {line.pop("case"): line for line in lines}
    here = machine(player)
    lenient = here != head["machine"]
    if lenient:
        print(f"The lines were written on {head['machine']}, this is {here}: points may differ by 2 pixels, and what "
              "was decided by little is not compared.")
    n_found = n_loose = 0
    for case in played:
        if case.name not in committed:
            n_found += 1
            print(f"{case.name}: no line; `make replay-golden-write` writes it")
            continue
        old = committed[case.name]
        new = json.loads(json.dumps(short(player.play(case))))
        if lenient:
            n_loose += loosen(old, new)
        for path, before, after in differences(old, new, lenient=lenient):
            n_found += 1
            print(f"{case.name} {path}: {before} -> {after}")
    print(f"{len(played)} cases: {n_found} differences" + (f", {n_loose} steps not compared" if lenient else ""))
    return 1 if n_found else 0


def loosen(old: dict, new: dict) -> int:
    """On another processor, leaves out steps that were searches: there, small differences decide what is seen next."""
    n = 0
    for before, after in zip(old.get("runs", []), new.get("runs", [])):
        searched = [name for name, step in before["steps"].items() if len(step.get("turns", [])) > 2]
        for name in searched:
            before["steps"].pop(name), after["steps"].pop(name, None)
        if searched:
            before["outcomes"] = after["outcomes"] = before["success"] = after["success"] = None
        n += len(searched)
    printed = [facts.get("stdout") for facts in (old, new)]
    if isinstance(printed[0], dict) and len(printed[0].get("turns", [])) > 2:
        old["stdout"] = new["stdout"] = None
        n += 1
    return n


if __name__ == "__main__":
    sys.exit(main())

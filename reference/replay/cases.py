"""What is played: practice pages, scripted tasks, recorded runs, screenshots and prompts.

Invariant: a case is one command line; it names the same pages, seeds and files for every binary. `{base}` is the
address of fixtures/replay, `{repo}` this repository, `{run:NAME}` the run that the case NAME recorded with the same
binary, `{out}` a file in the case's own folder, `{port}` a free port.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PAGES = REPO / "fixtures" / "replay"
CHECKPOINTS = REPO / "fixtures" / "checkpoints"


@dataclass(frozen=True)
class Case:
    """One command line of the program."""

    name: str
    args: tuple[str, ...]
    golden: bool = False  # also compared with committed lines
    desktop: bool = False  # needs a display of its own
    needs: tuple[str, ...] = ()  # programs and files without which it cannot be played


def all_cases() -> list[Case]:
    """Every case, in an order in which a run is recorded before it is replayed."""
    return [*practice(), *scripted(), *by_policy(), *examples(), *replayed(), *located(), *inspected()]


def practice() -> list[Case]:
    """Held-out pages, live: several modes, samplings, sizes, presets; with hot sampling much is malformed."""

    def pages(name: str, *args: str, golden: bool = False) -> Case:
        return Case(f"practice/{name}", ("eval", "practice", "--record", "--json", *args), golden)

    return [
        pages("golden", "--episodes", "8", "--seed", "41", golden=True),
        pages("golden-words", "--episodes", "4", "--seed", "43", "--tier", "words", golden=True),
        pages("icons", "--episodes", "30", "--seed", "5"),
        pages("words", "--episodes", "15", "--seed", "300", "--tier", "words"),
        pages("sampled", "--episodes", "12", "--seed", "77", "--turns", "multi", "--temperature", "1"),
        pages("hot", "--episodes", "10", "--seed", "11", "--turns", "multi", "--temperature", "3"),
        pages("nucleus", "--episodes", "6", "--seed", "60", "--turns", "multi", "--temperature", "2", "--top-p", "0.7"),
        pages("constrained", "--episodes", "8", "--seed", "90", "--constrain"),
        pages("two-turns", "--episodes", "6", "--seed", "120", "--turns", "multi", "--max-turns", "2"),
        pages("double-ratio", "--episodes", "6", "--seed", "140", "--turns", "multi", "--device-pixel-ratio", "2"),
        pages("crowded", "--episodes", "6", "--seed", "160", "--turns", "multi", "--distractors", "10..14",
              "--canvas", "256x192", "--sizes", "8..20"),
        pages("few-pixels", "--episodes", "4", "--seed", "180", "--max-pixels", "3000"),
        pages("dots", "--episodes", "4", "--seed", "190", "--turns", "multi", "--dot", "draw", "--crop-offset-px", "20"),
        pages("multiturn-preset", "--episodes", "4", "--seed", "200", "--preset", "web-grounding-multiturn"),
        pages("quantized", "--episodes", "6", "--seed", "210", "--turns", "multi", "--dtype", "q8_0"),
        Case("practice/demo", ("demo", "--episodes", "8", "--seed", "900", "--json")),
    ]


def task(name: str, file: str, *args: str, golden: bool = False) -> Case:
    """A task of fixtures/replay."""
    base = () if file in ("fault", "no-place") else ("--var", "base={base}")
    return Case(name, ("run", f"{PAGES / file}.yaml", "--json", *base, *args), golden)


def scripted() -> list[Case]:
    """Tasks without a model: every step, blocks, refusals, dialogs, tabs, clauses, limits."""
    alone = [
        "form-all", "undone", "repeat", "retry", "retry-in-vain", "within", "wait-in-vain",
        "assert-fails", "dialogs", "dialog-covers", "dialog-at-the-end", "tabs", "tab-closes", "mean", "unknown", "only-unknown",
        "promise", "empty-clause", "fault", "no-place",
    ]
    golden = {"form-all", "undone", "repeat", "retry", "dialogs", "tabs", "mean", "unknown", "fault"}
    refused = ["at", "picture", "option", "select", "upload", "file", "drag", "press"]
    secrets = str(PAGES / "secret.env")
    return [
        *(task(f"scripted/{file}", file, "--places", golden=file in golden) for file in alone),
        *(task(f"refused/{what}", f"refused-{what}", "--places") for what in refused),
        *(task(f"refused/{what}", "refused-selector", "--places", "--var", f"selector=#{what}", golden=what == "missing")
          for what in ("hidden", "covered", "far", "missing")),
        *(task(f"refused/{what}", "refused-name", "--places", "--var", f"name={what}", golden=what == "Twice")
          for what in ("Hidden", "Covered", "Twice", "Nobody")),
        task("scripted/secret", "secret", "--places", "--secrets", secrets, golden=True),
        task("scripted/no-secret", "secret", "--places"),
        task("scripted/dry", "form-all", "--places", "--dry-run"),
        task("scripted/max-steps", "repeat", "--places", "--max-steps", "3"),
        task("scripted/max-actions", "repeat", "--places", "--max-actions", "2", golden=True),
        task("scripted/max-secs", "wait-in-vain", "--places", "--max-secs", "0"),
        task("scripted/viewport", "form-all", "--places", "--viewport", "480x390"),
        task("scripted/double-ratio", "repeat", "--places", "--device-pixel-ratio", "2"),
        task("scripted/allowed", "tabs", "--places", "--allowed-hosts", "127.0.0.1"),
        task("scripted/not-allowed", "tabs", "--places", "--allowed-hosts", "example.org"),
        task("scripted/twice", "retry", "--places", "--repeat", "2"),
        Case("scripted/no-page", ("run", "it", "--url", "http://127.0.0.1:9/", "--json")),
    ]


def by_policy() -> list[Case]:
    """Tasks in which the embedded policy looks, with what it knows and what it does not."""
    known = {"red": "the red circle", "blue": "the blue square", "green": "the green square"}
    looks = [
        task(f"policy/{then}{suffix}", "look", "--var", f"what={what}", "--var", f"then={then}", *args,
             golden=then == "red" and not args)
        for then, what in known.items()
        for suffix, args in {"": (), "-single": ("--max-turns", "1"), "-hot": ("--temperature", "3", "--seed", "4"),
                             "-constrained": ("--constrain",)}.items()
    ]
    unknown = ["the search box", "nothing at all", "the yellow heart"]
    return [
        *looks,
        *(task(f"policy/unknown-{n}", "look", "--var", f"what={what}") for n, what in enumerate(unknown)),
        task("policy/look-again", "look-again", golden=True),
        task("policy/look-again-hot", "look-again", "--temperature", "2", "--seed", "9"),
        task("policy/drag", "drag-by-policy", golden=True),
        task("policy/veto", "veto", golden=True),
        task("policy/repeat", "repeat"),
        task("policy/retry", "retry"),
        task("policy/within", "within"),
        task("policy/dry", "look", "--dry-run"),
        task("policy/three-runs", "look", "--repeat", "3", "--temperature", "1", "--seed", "30"),
        Case("policy/goal", ("run", "the blue square", "--url", "{base}/board.html", "--viewport", "192x160", "--json")),
    ]


def examples() -> list[Case]:
    """The tasks of examples/, on the applications they name."""
    needs = {
        "wiki-search": ("php", "/usr/share/dokuwiki/doku.php"), "wiki-edit": ("php", "/usr/share/dokuwiki/doku.php"),
        "ticket": ("fossil",), "attachment": ("fossil",), "address-book": ("radicale",),
        "calculator": ("galculator",), "calculator-buttons": ("galculator",), "editor": ("mousepad",),
        "terminal": ("xterm",), "form": ("zenity",),
    }
    cases = []
    for file in sorted((REPO / "examples").glob("*.yaml")):
        text = file.read_text()
        desktop = "driver: desktop" in text
        args = ["run", str(file), "--places", "--json"]
        if "port:" in text:
            args += ["--var", "port={port}"]
        if file.with_suffix(".env").is_file():
            args += ["--secrets", str(file.with_suffix(".env"))]
        display = ("Xvfb", "openbox") if desktop else ()
        cases.append(Case(f"examples/{file.stem}", tuple(args), False, desktop, (*needs[file.stem], *display)))
    return cases


def replayed() -> list[Case]:
    """Recorded runs, done again and shown to a model."""

    def again(name: str, of: str, *args: str) -> Case:
        return Case(f"replay/{name}", ("replay", f"{{run:{of}}}", "--json", *args))

    return [
        again("form", "scripted/form-all"),
        again("dialogs", "scripted/dialogs"),
        again("policy", "policy/red"),
        again("demo", "practice/demo"),
        again("demo-by-model", "practice/demo", "--model", "nano", "--seed", "3"),
        again("drag-by-model", "policy/drag", "--model", "nano"),
        again("blocks-by-model", "scripted/repeat", "--model", "nano"),
    ]


def shots() -> list[tuple[Path, str]]:
    """Committed screenshots of practice pages, and what is to be found on each."""
    folder = PAGES / "shots"
    return [(folder / file, what) for file, what in json.loads((folder / "shots.json").read_text()).items()]


def located() -> list[Case]:
    """One screenshot, one answer: presets, samplings, number formats, random checkpoints."""
    presets = ["web-grounding", "web-grounding-multiturn", "web-action", "visual-search", "spatial", "qwen2.5-vl"]
    ways = {
        "": (), "-single": ("--max-turns", "1"), "-constrained": ("--constrain",),
        "-sampled": ("--temperature", "0.8", "--seed", "7"), "-q8": ("--dtype", "q8_0"), "-q4": ("--dtype", "q4_k"),
        "-small": ("--max-pixels", "2000"), "-dot": ("--dot", "draw"),
        **{f"-{preset}": ("--preset", preset) for preset in presets},
    }
    cases = [
        Case(f"locate/{shot.stem}{suffix}", ("locate", str(shot), what, "--json", *args), not args)
        for n, (shot, what) in enumerate(shots())
        # All ways on two of them, the plain way on each.
        for suffix, args in (ways.items() if n % 6 == 0 else [("", ())])
    ]
    shot, what = shots()[0]
    for checkpoint in sorted(path for path in CHECKPOINTS.iterdir() if path.is_dir()):
        for preset in presets[:2]:
            args = ("locate", str(shot), what, "--json", "--model", str(checkpoint), "--preset", preset)
            cases.append(Case(f"locate/{checkpoint.name}-{preset}", args))
    return cases


def inspected() -> list[Case]:
    """Prompts as ids and positions, and the ids sampled behind them."""
    cases = []
    nano = ("--model", str(REPO / "grounding" / "qwen" / "assets" / "nano"))
    models = {"": (), "-folder": nano}
    models |= {f"-{path.name}": ("--model", str(path)) for path in sorted(CHECKPOINTS.iterdir()) if path.is_dir()}
    for suffix, model in models.items():
        for shot, what in shots()[:3 if suffix else 8]:
            prompt = ("--image", str(shot), "--text", what, *model)
            named = f"{shot.stem}{suffix}"
            cases.append(Case(f"generate/{named}", ("inspect", "generate", *prompt, "--json")))
            cases.append(Case(f"forward/{named}", ("inspect", "forward", *prompt, "--output", "{out}", "--json"), True))
    return cases


def missing(case: Case) -> list[str]:
    """What of the programs and files that a case needs is not on this machine."""
    return [need for need in case.needs if not (Path(need).is_file() if need.startswith("/") else shutil.which(need))]

"""Says where two sets of facts differ, and which differences are known.

Invariant: a difference is one line, `case path: old -> new`; a known one is excused by a line of the list that names
the number of the defect whose cure makes it.
"""

import json
import re
from pathlib import Path

# What may differ, in pixels and in logarithms, where another processor or browser computed it.
PIXELS, LOGS = 2.0, 0.5
MEASURED = re.compile(r"(logprob_sum|confidence)$")
PLACED = re.compile(r"\.(zoom|crop|points|answer|at|from|to|point|place|crop_from_screen)\b|\.(maps)\.")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
MISSING = "(nothing)"


def differences(old: object, new: object, path: str = "", lenient: bool = False) -> list[tuple[str, str, str]]:
    """Where the two differ, as path, old and new."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        pairs = [(f"{path}.{key}", old.get(key, MISSING), new.get(key, MISSING)) for key in keys]
    elif isinstance(old, list) and isinstance(new, list) and not is_plain(old) and not is_plain(new):
        n = max(len(old), len(new))
        at = lambda values, idx: values[idx] if idx < len(values) else MISSING
        pairs = [(f"{path}[{idx}]", at(old, idx), at(new, idx)) for idx in range(n)]
    elif old == new or (lenient and is_near(path, old, new)):
        return []
    else:
        return [(path, shown(old), shown(new))]
    return [line for name, one, other in pairs for line in differences(one, other, name, lenient)]


def is_plain(values: list) -> bool:
    """Whether a list is a point, a box or a row of ids: it is compared as one thing."""
    return all(isinstance(value, (int, float)) for value in values)


def is_near(path: str, old: object, new: object) -> bool:
    """Whether another processor or browser may be why the two differ."""
    if MEASURED.search(path) and None not in (old, new) and MISSING not in (old, new):
        return abs(old - new) <= LOGS
    if isinstance(old, str) and isinstance(new, str):
        # The same words with points a little apart.
        within = [abs(float(a) - float(b)) <= PIXELS for a, b in zip(NUMBER.findall(old), NUMBER.findall(new))]
        return NUMBER.sub("#", old) == NUMBER.sub("#", new) and all(within)
    if isinstance(old, list) and isinstance(new, list) and PLACED.search(path):
        # A map's offset is as many crop pixels as its scale times the point.
        slack = 4 * PIXELS if "crop_from_screen" in path else PIXELS
        return len(old) == len(new) and all(abs(a - b) <= slack for a, b in zip(old, new))
    return False


def shown(value: object) -> str:
    """A value in a line."""
    text = value if value is MISSING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + "…"


class Known:
    """The differences that are meant, from a file of lines `DEFECT REGULAR-EXPRESSION`."""

    def __init__(self, file: Path | None):
        self.entries: list[tuple[str, re.Pattern, list[int]]] = []
        for line in file.read_text().splitlines() if file else []:
            if line.strip() and not line.startswith("#"):
                defect, pattern = line.split(maxsplit=1)
                self.entries.append((defect, re.compile(pattern), [0]))

    def defect(self, line: str) -> str | None:
        """The defect whose cure makes this difference."""
        for defect, pattern, n_seen in self.entries:
            if pattern.search(line):
                n_seen[0] += 1
                return defect
        return None

    def unseen(self) -> list[str]:
        """Entries that no difference needed."""
        return [f"{defect} {pattern.pattern}" for defect, pattern, n_seen in self.entries if not n_seen[0]]

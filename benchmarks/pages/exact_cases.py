#!/usr/bin/env python3
"""Renders pages whose texts are known, for `cargo run --release -p vigorl-sight --example exact`.

    python3 benchmarks/pages/exact_cases.py OUT [--gone 45] [--numbers 25] [--seed 1]

Two kinds of cases, each in a folder with `cases.json`:

- `OUT/gone`: pairs of pages, before and after. Each text of the first page is kept, moved, removed, replaced by another
  text, or changed in one letter or digit; `cases.json` says which.
- `OUT/numbers`: pages with labels and values beside or below them.

Fonts, sizes, colours, grounds and borders are drawn from the seed. Needs chromium.
"""

import argparse
import json
import random
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path

WORDS = """Order Total Draft Saved Deleted Account Report Invoice Customer Balance Payment Status Pending Open Closed
Shipped Review Approve Settings Profile Members Archive Upload Folder Project Build Failed Passed Running Queue Alert
Warning Notice Version Release Branch Commit Merge Backup Restore Network Device Sensor Pressure Volume Weight Height
Tuesday January Subject Sender Reply Forward Inbox Spam Trash Calendar Event Guest Room Ticket Flight Seat Gate Menu
Coffee Apple Orange Banana Sugar Bread Milk Butter Cheese Salad Soup Rice Pasta Dinner Supper Breakfast""".split()
FONTS = ["DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono", "Liberation Sans", "Liberation Serif", "sans-serif", "serif", "monospace"]
THEMES = [  # ground, text, panel
    ("#ffffff", "#222222", "#f3f4f6"), ("#ffffff", "#000000", "#ffffff"), ("#fafafa", "#555555", "#ffffff"),
    ("#1e1f22", "#d6d6d6", "#2b2d31"), ("#0d1117", "#c9d1d9", "#161b22"), ("#eef3fb", "#17365d", "#dfe9f7"),
    ("#ffffff", "#888888", "#ffffff"), ("#24344d", "#ffffff", "#33476a"),
]
WIDTH, HEIGHT = 1280, 720


def words(random_: random.Random) -> str:
    text = " ".join(random_.sample(WORDS, random_.choice([1, 1, 2, 2, 3])))
    if random_.random() < 0.5:
        text += f" {random_.choice(['', '#', 'No. '])}{random_.randrange(1, 10 ** random_.randrange(1, 6))}"
    return text


def number(random_: random.Random) -> str:
    kind = random_.randrange(10)
    digits = lambda n: "".join(random_.choice("0123456789") for _ in range(n))
    return [
        lambda: str(random_.randrange(10 ** random_.randrange(1, 9))),
        lambda: f"{random_.uniform(0, 1000):.2f}",
        lambda: f"{random_.uniform(1000, 10 ** 7):,.2f}",
        lambda: f"-{random_.uniform(0, 500):.1f}",
        lambda: f"{random_.uniform(0, 100):.1f}%",
        lambda: f"${random_.uniform(1, 9999):,.2f}",
        lambda: f"{random_.uniform(1, 9999):.2f} EUR",
        lambda: f"{digits(2)}:{digits(2)}:{digits(2)}",
        lambda: f"20{digits(2)}-{digits(2)}-{digits(2)}",
        lambda: f"{random_.choice('ABCDEFGHJKLMNPQRSTUVWXYZ')}{random_.choice('ABCDEFGHJKLMNPQRSTUVWXYZ')}-{digits(6)}",
    ][kind]()


def similar(random_: random.Random, text: str) -> str:
    """The same text with one letter or digit changed, added or left out."""
    at = [i for i, c in enumerate(text) if c.isalnum()]
    i = random_.choice(at)
    c = text[i]
    other = random_.choice([d for d in "0123456789" if d != c]) if c.isdigit() else \
        random_.choice([d for d in "abcdefghijklmnopqrstuvwxyz" if d != c.lower()])
    other = other.upper() if c.isupper() else other
    changed = random_.choice([text[:i] + other + text[i + 1:], text[:i] + other + text[i:], text[:i] + text[i + 1:]])
    return changed.strip()


def style(random_: random.Random) -> str:
    ground, ink, panel = random_.choice(THEMES)
    font, size = random_.choice(FONTS), random_.choice([10, 11, 12, 13, 14, 15, 16, 18, 22])
    border = random_.choice(["none", f"1px solid {ink}44", f"1px solid {ink}"])
    return f"""* {{ box-sizing: border-box }} body {{ margin: 0; background: {ground}; color: {ink}; font: {size}px "{font}" }}
.cell {{ position: absolute; padding: 3px 8px; white-space: nowrap; background: {panel}; border: {border}; border-radius: {random_.choice([0, 3, 6])}px }}
.bare {{ background: none; border: none }}"""


def page(css: str, cells: list) -> str:
    body = "".join(
        f'<div class="cell {kind}" style="left: calc({x}px + {9 * kind.startswith("aside")}em); top: {y}px">{escape(text)}</div>' for x, y, kind, text in cells)
    return f'<!doctype html><meta charset="utf-8"><style>{css}</style>{body}'


def places(random_: random.Random) -> list:
    """Corners of a grid in which no two cells meet."""
    all_ = [(20 + 400 * column + random_.randrange(12), 16 + 68 * row + random_.randrange(16))
            for row in range(10) for column in range(3)]
    random_.shuffle(all_)
    return all_


def gone_case(random_: random.Random):
    free = places(random_)
    texts = set()
    while len(texts) < 12:
        text = words(random_)
        if not any(text in other or other in text for other in texts):
            texts.add(text)
    before, after, cases = [], [], []
    fill = [(*free.pop(), "bare", f"{a} {b}") for a, b in [random_.sample(WORDS, 2) for _ in range(4)]]
    for text in sorted(texts):
        x, y = free.pop()
        kind = random_.choice(["", "bare"])
        before.append((x, y, kind, text))
        what = random_.choice(["kept", "moved", "removed", "emptied", "replaced", "similar"])
        if what == "kept":
            after.append((x, y, kind, text))
        elif what == "moved":
            x2, y2 = free.pop() if free and random_.random() < 0.7 else (x + random_.randrange(2, 30), y + random_.randrange(-6, 7))
            after.append((x2, y2, kind, text))
        elif what == "emptied":
            after.append((x, y, kind, "\u00a0" * len(text)))
        elif what in ("replaced", "similar"):
            new = similar(random_, text) if what == "similar" else words(random_)
            while text in new or not new:
                new = words(random_)
            after.append((x, y, kind, new))
        cases.append({"text": text, "what": what, "is_gone": what not in ("kept", "moved")})
    # What another cell shows now is not gone.
    for case in cases:
        case["is_gone"] = not any(case["text"] in text for *_, text in after + fill)
    css = style(random_)
    return page(css, before + fill), page(css, after + fill), cases


def numbers_case(random_: random.Random):
    free = places(random_)
    labels = random_.sample(WORDS, 10)
    cells, cases = [], []
    for label in labels:
        value, (x, y) = number(random_), free.pop()
        side = random_.choice(["beside", "below"])
        colon = random_.choice(["", ":"])
        if side == "beside":
            if random_.random() < 0.4:
                cells.append((x, y, "bare", f"{label}{colon} {value}"))
            else:
                cells += [(x, y, "bare", label + colon), (x, y, random_.choice(["aside", "aside bare"]), value)]
        else:
            cells += [(x, y, "bare", label), (x, y + 28, random_.choice(["", "bare"]), value)]
        cases.append({"label": label, "side": side, "value": value})
    return page(style(random_), cells), cases


def shoot(job) -> None:
    html, png, scale = job
    with tempfile.NamedTemporaryFile("w", suffix=".html", encoding="utf-8") as file, tempfile.TemporaryDirectory() as profile:
        file.write(html)
        file.flush()
        subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu", f"--user-data-dir={profile}",
             f"--force-device-scale-factor={scale}", f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={png}",
             f"file://{file.name}"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--gone", type=int, default=45, help="pairs of pages, 12 texts each")
    arguments.add_argument("--numbers", type=int, default=25, help="pages, 10 values each")
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    jobs = []
    for name in ("gone", "numbers"):
        folder, cases = given.out / name, []
        folder.mkdir(parents=True, exist_ok=True)
        for n in range(getattr(given, name)):
            random_ = random.Random(f"{given.seed} {name} {n}")
            scale = random_.choice([1, 1, 1, 1.25, 2])
            if name == "gone":
                before, after, of_page = gone_case(random_)
                files = [f"{n:03}-before.png", f"{n:03}-after.png"]
                jobs += [(html, (folder / file).resolve(), scale) for html, file in zip((before, after), files)]
                cases.append({"before": files[0], "after": files[1], "texts": of_page})
            else:
                html, of_page = numbers_case(random_)
                jobs.append((html, (folder / f"{n:03}.png").resolve(), scale))
                cases.append({"page": f"{n:03}.png", "values": of_page})
        (folder / "cases.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(shoot, jobs))


if __name__ == "__main__":
    main()

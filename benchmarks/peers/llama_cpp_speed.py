"""Times llama.cpp on the workloads of `vigorl bench engine`, with the same weights and as many tokens.

Usage: python benchmarks/peers/llama_cpp_speed.py CHECKPOINT --llama-cpp SOURCE --bin FOLDER --work FOLDER
       --dtype q8_0|q4_0 --prompt-tokens N --zoom-tokens N [--decode-tokens N] [--repeats N]

SOURCE is llama.cpp's own source folder (that of the llama-cpp-python source package is one), FOLDER holds
`llama-mtmd-cli` and, for q4_0, `llama-quantize`, built from it. The checkpoint is converted by llama.cpp's own
converter; only its vocabulary is made up here, because the random checkpoint's tokenizer is not one that it
knows: bytes, the control tokens of Qwen2.5-VL, and fillers. Prints one JSON object with the fields of one measured
dtype.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import time

from PIL import Image

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]


def byte_letters():
    """The letters that stand for bytes in a byte-level vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(rest))]


def convert(args, mmproj, to):
    if to.exists():
        return
    sys.path.insert(0, str(args.llama_cpp / "gguf-py"))
    sys.path.insert(0, str(args.llama_cpp))
    import gguf
    from conversion import qwenvl
    import convert_hf_to_gguf

    def set_vocab(self):
        n = self.hparams.get("vocab_size") or self.hparams["text_config"]["vocab_size"]
        tokens = byte_letters() + CONTROL
        types = [gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * len(CONTROL)
        types += [gguf.TokenType.UNUSED] * (n - len(tokens))
        tokens += [f"[{i}]" for i in range(len(tokens), n)]
        writer = self.gguf_writer
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(tokens)
        writer.add_token_types(types)
        writer.add_token_merges(["! !"])
        writer.add_eos_token_id(256)

    qwenvl.Qwen2VLModel.set_vocab = set_vocab
    sys.argv = ["convert", str(args.checkpoint), "--outfile", str(to), "--outtype", "q8_0"] + (["--mmproj"] if mmproj else [])
    convert_hf_to_gguf.main()


def picture(path, width, height):
    pixels = Image.new("RGB", (width, height))
    pixels.putdata([(x * y % 251, (x + y) % 256, 7) for y in range(height) for x in range(width)])
    pixels.save(path)
    return path


def run(args, model, mmproj, image, n_text):
    """Seconds for the image, for the prompt, and decoded tokens per second."""
    started = time.perf_counter()
    command = [
        args.bin / "llama-mtmd-cli", "-m", model, "--mmproj", mmproj, "--image", image, "-p", "x" * n_text,
        "-n", str(args.decode_tokens), "--temp", "0", "-t", str(args.threads), "-c", "4096", "--no-warmup",
        "--ignore-eos", "--jinja", "--chat-template", "{{ messages[0].content }}",
    ]
    said = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    text = said.stdout + said.stderr
    if said.returncode != 0:
        sys.exit(f"llama-mtmd-cli ended with {said.returncode}:\n{text[-3000:]}")

    def millis(pattern):
        found = [float(value) for value in re.findall(pattern, text)]
        if not found:
            sys.exit(f"llama-mtmd-cli did not print `{pattern}`:\n{text[-3000:]}")
        return sum(found)

    encode = millis(r"slice encoded in (\d+) ms")
    # Counts everything in front of the first token: the image's and the text's.
    prompt = millis(r"prompt eval time =\s+([\d.]+) ms")
    n_eval = millis(r"eval time =\s+[\d.]+ ms /\s+(\d+) runs")
    decode = millis(r"(?<!prompt )eval time =\s+([\d.]+) ms /\s+\d+ runs")
    return {
        "vision": encode / 1e3,
        "prefill": (prompt - encode if prompt > encode else prompt) / 1e3,
        "decode_per_sec": n_eval / decode * 1e3,
        "all": time.perf_counter() - started,
    }, text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--llama-cpp", type=pathlib.Path, required=True)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--dtype", choices=["q8_0", "q4_0"], required=True)
    parser.add_argument("--prompt-tokens", type=int, required=True)
    parser.add_argument("--zoom-tokens", type=int, required=True)
    parser.add_argument("--decode-tokens", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    model, mmproj = args.work / "model-q8_0.gguf", args.work / "mmproj.gguf"
    convert(args, False, model)
    convert(args, True, mmproj)
    screenshot = picture(args.work / "screenshot.png", 1280, 800)
    result, text = run(args, model, mmproj, screenshot, 80)
    print(text[-2500:], file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

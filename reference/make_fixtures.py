"""Regenerates fixtures/checkpoints and fixtures/golden: the tiny checkpoints and what transformers makes of them.

Usage: python reference/make_fixtures.py     (with the versions of requirements.txt)

The tests compare against the committed files; run this only to change the set, and commit what it writes.
"""

import pathlib
import shutil

import transformers

from dump_forward import dump, is_telling
from make_checkpoint import VARIANTS, make
from pictures import draw

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
SEEDS = {"tied_patch7": 3, "untied_patch14": 1, "head_dim_128": 1}

# kind, seed, width, height. With patch 7 a window is 28 pixels wide, with patch 14 it is 56.
IMAGES = {
    "gradient_84x56": ("gradient", 1, 84, 56),
    "noise_75x45": ("noise", 2, 75, 45),
    "lines_40x60": ("lines", 3, 40, 60),
    "edges_61x29": ("edges", 4, 61, 29),
    "edges_20x9": ("edges", 5, 20, 9),
    "lines_260x140": ("lines", 6, 260, 140),
    "noise_28x28": ("noise", 7, 28, 28),
}


def user(*parts):
    def part(value):
        is_image = value in IMAGES
        return {"type": "image", "image": f"images/{value}.png"} if is_image else {"type": "text", "text": value}

    return {"role": "user", "content": [part(value) for value in parts]}


CALL = '<think> small: (31, 12) </think>\n<tool_call>\n{"coordinate": [31, 12]}\n</tool_call>'
OBSERVATION = "<observation>\nHere is the crop:\n", "</observation>"
FINAL = "<think> final answer. </think>\n<answer>"


def zoom(image, crop):
    text = [{"type": "text", "text": CALL}]
    return [user(image, "click the red dot"), {"role": "assistant", "content": text}, user(OBSERVATION[0], crop, OBSERVATION[1])]


# name: checkpoint, conversation
CASES = {
    "one_image": ("tied_patch7", {"messages": [user("gradient_84x56", "Click the “OK” button, it's at 12,345.")]}),
    "ragged_windows": ("tied_patch7", {"messages": [user("noise_75x45", "click\n\n  the link")]}),
    "two_images": ("tied_patch7", {"messages": [user("lines_40x60", "then", "edges_61x29", "Größe 漢字 🙂?")]}),
    "second_turn": ("tied_patch7", {"messages": zoom("noise_75x45", "noise_28x28"), "forced_prefix": FINAL}),
    "enlarged_system": (
        "tied_patch7",
        {"messages": [{"role": "system", "content": "Answer with a point."}, user("edges_20x9", "the <tool_call> tag")]},
    ),
    "text_alone": ("tied_patch7", {"messages": [{"role": "user", "content": "where is the search box?"}]}),
    "patch14_two_images": ("untied_patch14", {"messages": [user("lines_40x60", "edges_61x29", "which one?")]}),
    "head_dim_128_reduced": ("head_dim_128", {"messages": [user("lines_260x140", "click the line")]}),
}


def main():
    transformers.logging.disable_progress_bar()
    for folder in ["checkpoints", "golden"]:
        shutil.rmtree(FIXTURES / folder, ignore_errors=True)
    for name, variant in VARIANTS.items():
        make(variant, FIXTURES / "checkpoints" / name, SEEDS[name])
    golden = FIXTURES / "golden"
    (golden / "images").mkdir(parents=True)
    for name, picture in IMAGES.items():
        draw(*picture).save(golden / "images" / f"{name}.png", optimize=True)
    for name, (checkpoint, conversation) in CASES.items():
        case = {"checkpoint": f"../checkpoints/{checkpoint}", "seed": SEEDS[checkpoint], **conversation}
        record = dump(FIXTURES / "checkpoints" / checkpoint, case, golden / f"{name}.safetensors", golden)
        n_distinct = len(set(record["greedy_ids"]))
        print(f"{name:26} {n_distinct} distinct greedy ids, smallest lead {record['smallest_lead']:.4f}")
        assert is_telling(record) and n_distinct >= 10, "choose another seed: it ends early, repeats itself or nearly ties"


if __name__ == "__main__":
    main()

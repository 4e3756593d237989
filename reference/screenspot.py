"""The scoring rule of ScreenSpot and the judges of ViGoRL's evaluation in Python, slow and exact, and cases to compare them on.

Invariant: numbers are fractions, rounded to a double exactly where a harness computes one double of others; formats are read
by Python's own `re`, `json` and `ast`. A case that has a fault has one, and its verdict is the key that must be named.
Written from the rules that docs/scoring.md describes; nothing here is taken from other code.

    python3 reference/screenspot.py > fixtures/scoring/generated.jsonl                        the committed lines
    python3 reference/screenspot.py --n 100000 --seed 7 --compare target/release/vigorl       exit 1 on a difference

N counts lines of `vigorl judge screenspot`; half as many are added for the two other judges.
"""

import argparse
import ast
import json
import math
import random
import re
import subprocess
import sys
import warnings
from fractions import Fraction

warnings.filterwarnings("ignore")
PARSERS = ["seeclick", "qwen-tool-call", "qwen-box", "vigorl", "numbers"]
SHARES = ("seeclick", "qwen-box")
ROLLOUTS = ["vigorl-grounding", "vigorl-text"]
LEFT_OUT = ".?!,;:'\"()[]{}<>/\\|=+-_*&^%$#@`~ "


class NoPoint(Exception):
    """Nothing can be read."""


class Nowhere(Exception):
    """A point is read, and it is no finite one."""


def double(value):
    """The nearest double of a fraction, as a fraction."""
    try:
        return Fraction(float(value))
    except OverflowError:
        raise Nowhere from None


def exact(number):
    """A whole number or a double as a fraction."""
    if isinstance(number, float) and not math.isfinite(number):
        raise Nowhere
    return Fraction(number)


def center(numbers, rounded):
    if len(numbers) == 2:
        return list(numbers)
    if len(numbers) == 4:
        return [rounded(rounded(numbers[idx] + numbers[idx + 2]) / 2) for idx in (0, 1)]
    raise NoPoint


def of_whole(numbers):
    """Whole numbers that Python divides: one beyond every double is an exception there."""
    for number in numbers:
        if isinstance(number, int) and abs(number) > sys.float_info.max:
            raise NoPoint
    return numbers


def final_answer(turns):
    """The answer of the last turn, where no turn before it lacks its tags."""
    *before, last = turns or [""]
    if "<answer>" not in last or not all("<think>" in turn and "</think>" in turn for turn in before):
        raise NoPoint
    return last.split("<answer>", 1)[1].split("</answer>", 1)[0].strip()


def whole_numbers(text, n):
    try:
        found = ast.literal_eval(text)
    except Exception:
        raise NoPoint from None
    if not (isinstance(found, (tuple, list)) and len(found) == n and all(isinstance(value, int) for value in found)):
        raise NoPoint
    return list(found)


def turns_of(response):
    if isinstance(response, list):
        return response
    before, tag, behind = response.partition("<answer>")
    *calls, rest = before.split("</tool_call>")
    return [call + "</tool_call>" for call in calls] + [rest + tag + behind]


def rollout_verdict(name, line):
    """The verdict of a judge of ViGoRL's evaluation, or the key that must be named."""
    turns, truth = turns_of(line["response"]), line["ground_truth"]
    if any("<answer>" in turn for turn in turns[:-1]):
        return {"error": "response"}
    if name == "vigorl-grounding":
        try:
            x1, y1, x2, y2 = whole_numbers(truth.strip(), 4)
        except NoPoint:
            return {"error": "ground_truth"}
        if x1 > x2 or y1 > y2:
            return {"error": "ground_truth"}
        try:
            x, y = whole_numbers(final_answer(turns), 2)
        except NoPoint:
            return {"verdict": {"correctness": "wrong_format"}}
        return {"verdict": {"correctness": "correct" if x1 <= x <= x2 and y1 <= y <= y2 else "wrong"}}
    plain = lambda text: "".join(c for c in text.strip() if c not in LEFT_OUT).lower()
    if not plain(truth):
        return {"error": "ground_truth"}
    try:
        answer = plain(final_answer(turns))
    except NoPoint:
        return {"verdict": {"correctness": "wrong_format", "strict": "wrong_format"}}
    word = lambda holds: "correct" if holds else "wrong"
    return {"verdict": {"correctness": word(plain(truth) in answer), "strict": word(plain(truth) == answer)}}


def said(parser, response):
    """The numbers of a response, whether they are shares already, and what is divided by 1000 when."""
    if parser == "vigorl":
        return whole_numbers(final_answer([response]), 2), None
    if parser == "qwen-tool-call":
        end = response.rfind("}")
        response = response[: end + 1] if end >= 0 else response
        try:
            found = json.loads(response.split("<tool_call>\n")[1].split("\n</tool_call>")[0])["arguments"]["coordinate"]
        except Exception:
            raise NoPoint from None
        if not (isinstance(found, list) and all(isinstance(value, (int, float)) for value in found)):
            raise NoPoint
        return of_whole(found), None
    if parser == "seeclick" and "box" in response:
        found = re.search(r"<box>\((\d+),(\d+)\),\((\d+),(\d+)\)</box>", response)
        if not found:
            raise NoPoint
        return of_whole([int(text) for text in found.groups()]), "center"
    if parser == "qwen-box" and "<|box_start|>" in response and "<|box_end|>" in response:
        found = re.findall(r"<\|box_start\|>\((\d+),(\d+)\),\((\d+),(\d+)\)<\|box_end\|>", response)
        if not found:
            raise NoPoint
        return of_whole([int(text) for text in found[-1]]), "corners"
    numbers = [float(text) for text in re.findall(r"-?\d+\.?\d*", response)]
    return numbers, "center" if parser == "qwen-box" else None


def verdict(parser, line, rounded=double):
    """The verdict on a line without a fault. Without rounding it is what real numbers would say."""
    try:
        if "response" in line:
            numbers, thousandths = said(parser, line["response"])
        elif line["point"] is None:
            raise NoPoint
        else:
            numbers, thousandths = line["point"], None
        if len(numbers) not in (2, 4):
            raise NoPoint
        numbers = [exact(number) for number in numbers]
        if thousandths == "corners":
            numbers = [rounded(number / 1000) for number in numbers]
        point = center(numbers, rounded)
        if thousandths == "center":
            point = [rounded(value / 1000) for value in point]
        is_share = parser in SHARES if parser not in (None, "numbers") else line["point_space"] == "normalized"
        if not is_share:
            size = line.get("resized_size", line["img_size"])
            point = [rounded(value / side) for value, side in zip(point, size)]
    except NoPoint:
        return "wrong_format"
    except Nowhere:
        return "wrong"
    edges = [rounded(exact(edge) / side) for edge, side in zip(line["bbox"], line["img_size"] * 2)]
    inside = edges[0] <= point[0] <= edges[2] and edges[1] <= point[1] <= edges[3]
    return "correct" if inside else "wrong"


# What cases are put together from.

SIZES = [(1920, 1080), (1170, 2532), (960, 540), (3840, 2160), (6016, 3384), (2560, 1440), (332, 214), (100, 100), (3, 7), (1, 1)]
RESIZED = [(1932, 1092), (1176, 2548), (3836, 2156), (6020, 3388), (336, 224), (504, 504), (28, 28)]
NOISE = ["", " ", "\n", "click", "(", ")", ",", ".", "-", "3", "\u0665", "box", "<box>", "</box>", "<answer>", "</answer>", "}", "{",
         "<tool_call>", "</tool_call>", "<|box_start|>", "<|box_end|>", "1e999", "NaN", "9" * 400, "\u00a0", "True", "_", "0x1", "]"]


def near(rng, value):
    """A number at an edge, a double beside it, or a little beside it."""
    return rng.choice([value, math.nextafter(value, math.inf), math.nextafter(value, -math.inf), value + 1, value - 1, value + 0.5])


def coordinate(rng, low, high, side):
    """A pixel: somewhere, in the box, or around one of its edges."""
    kind = rng.random()
    if kind < 0.15:
        return rng.uniform(-0.2 * side, 1.2 * side)
    if kind < 0.55:
        return rng.uniform(low, high)
    return near(rng, float(rng.choice([low, high])))


def box(rng, size):
    edges = []
    for side in size:
        kind = rng.random()
        ends = sorted(rng.uniform(0, side) for _ in range(2))
        if kind < 0.6 and side > 1:
            low = rng.randrange(side)
            ends = [low, rng.randint(low + 1, side)]
        elif kind < 0.7 or ends[0] == ends[1]:
            ends = [0, side]
        elif kind < 0.8 and side > 2:
            ends = [round(ends[0], 1), min(round(ends[0], 1) + 0.5, side)]
        elif kind < 0.87:
            # Without a width or a height: a line, or a point.
            ends = rng.choice([[ends[0]] * 2, [rng.randint(0, side)] * 2])
        edges.append(ends)
    return [edges[0][0], edges[1][0], edges[0][1], edges[1][1]] if all(low <= high for low, high in edges) else [0, 0, *size]


def written(rng, value, whole):
    if whole:
        return str(max(0, round(value))) if rng.random() < 0.95 else str(round(value))
    kind = rng.random()
    return repr(value) if kind < 0.4 else f"{value:.{rng.randint(0, 4)}f}" if kind < 0.95 else str(round(value))


def predicted(rng, line, size):
    """Two numbers, or four whose centre they are, in pixels of an image of this size."""
    x1, y1, x2, y2 = line["bbox"]
    scale = [size[idx] / line["img_size"][idx] for idx in (0, 1)]
    point = [coordinate(rng, low * by, high * by, side) for low, high, by, side in zip((x1, y1), (x2, y2), scale, size)]
    if rng.random() < 0.7:
        return point
    half = [rng.choice([0, 1, 10.5, 30]) for _ in range(2)]
    return [point[0] - half[0], point[1] - half[1], point[0] + half[0], point[1] + half[1]]


def shares(numbers, size):
    return [number / side for number, side in zip(numbers, size * 2)]


def respond(rng, parser, line):
    """A response of a format, sometimes with something wrong in it."""
    size = tuple(line.get("resized_size", line["img_size"]))
    numbers = predicted(rng, line, size)
    if parser == "qwen-tool-call":
        values = [rng.choice([value, round(value), round(value, 1)]) for value in numbers]
        action = {"name": "computer_use", "arguments": {"action": "left_click", "coordinate": values}}
        text = "<tool_call>\n" + json.dumps(action) + rng.choice(["\n</tool_call>", "", "\n</tool_call><|im_end|>", "\n</tool_call>\n"])
    elif parser == "vigorl":
        numbers = numbers if rng.random() < 0.1 else numbers[:2]
        values = ", ".join(written(rng, value, rng.random() < 0.93) for value in numbers)
        left, right = rng.choice(["()", "()", "()", "[]", ("", "")])
        text = f"<think> {rng.choice(['a', '(1, 2)'])} </think>\n<answer> {left}{values}{right} {rng.choice(['</answer>', '</answer>', ''])}"
    elif parser == "numbers" and line["point_space"] == "pixel":
        text = rng.choice(["({})", "click({})", "[{}]"]).format(", ".join(written(rng, value, rng.random() < 0.6) for value in numbers))
    else:
        numbers = shares(numbers, size)
        if parser == "qwen-box" or (parser == "seeclick" and rng.random() < 0.4):
            text = ""
            for _ in range(rng.choice([1] * 9 + [2])):
                values = [written(rng, 1000 * value, rng.random() < 0.97) for value in numbers]
                corners = "({},{}),({},{})".format(*(values * 2)[:4])
                text += f"<|box_start|>{corners}<|box_end|>" if parser == "qwen-box" else f"<ref>it</ref><box>{corners}</box>"
                numbers = shares(predicted(rng, line, size), size)
            if parser == "qwen-box" and rng.random() < 0.2:
                text = f"({values[0]}, {values[1]})"
        else:
            text = "(" + ", ".join(written(rng, value, False) for value in numbers) + ")"
    for _ in range(rng.choice([0, 0, 0, 0, 1, 1, 2])):
        at = rng.randrange(len(text) + 1)
        text = rng.choice([text[:at] + rng.choice(NOISE) + text[at:], text[:at] + text[at + 1 :], rng.choice(NOISE) + text, text + rng.choice(NOISE)])
    return text


def fault(rng, parser, line):
    """Breaks a line in one place. The key that must be named."""
    broken = [
        ("bbox", lambda box: [box[2] + 1, box[1], box[0], box[3]]), ("bbox", lambda box: [box[0], box[3] + 1, box[2], box[1]]),
        ("bbox", lambda box: [-0.5, *box[1:]]),
        ("bbox", lambda box: [*box[:3], line["img_size"][1] + 0.001]), ("bbox", lambda box: box[:3]), ("bbox", lambda box: box + [1]),
        ("bbox", lambda box: [None, *box[1:]]), ("bbox", lambda box: "(0, 0, 1, 1)"), ("bbox", lambda box: [*box[:3], True]),
        ("img_size", lambda size: [0, size[1]]), ("img_size", lambda size: [size[0], -size[1]]), ("img_size", lambda size: size[:1]),
        ("img_size", lambda size: [size[0] + 0.5, size[1]]), ("img_size", lambda size: None), ("img_size", lambda size: [2**32, size[1]]),
        ("resized_size", lambda _: [0, 28]), ("resized_size", lambda _: "28x28"), ("point_space", lambda _: "pixels"), ("point_space", lambda _: None),
        ("imgsize", lambda _: [1, 1]), ("id", lambda _: "a"),
    ]
    broken += [("response", lambda _: "x"), ("point", lambda _: [1]), ("point", lambda _: [1, 2, 3]), ("point", lambda _: [1, "2"]),
               ("point", lambda _: "1, 2")] if parser is None else [("point", lambda _: [1, 2]), ("response", lambda _: None), ("response", lambda _: [1])]
    if parser in SHARES:
        broken += [("point_space", lambda _: "pixel"), ("resized_size", lambda _: [28, 28])]
    if parser in ("vigorl", "qwen-tool-call"):
        broken.append(("point_space", lambda _: "normalized"))
    removed = ["bbox", "img_size", "point" if parser is None else "response"]
    removed += ["resized_size"] if parser == "qwen-tool-call" else ["point_space"] if parser == "numbers" else []
    if rng.random() < 0.2:
        key = rng.choice(removed)
        del line[key]
        return key
    key, change = rng.choice(broken)
    line[key] = change(line.get(key))
    return key


def cases(n, seed):
    rng = random.Random(seed)
    for idx in range(n):
        parser = [None, *PARSERS][idx % 6]
        size = list(rng.choice(SIZES))
        line = {"bbox": box(rng, size), "img_size": size}
        if parser in (None, "numbers"):
            line["point_space"] = rng.choice(["pixel", "normalized"])
        elif rng.random() < 0.3:
            line["point_space"] = "normalized" if parser in SHARES else "pixel"
        if parser == "qwen-tool-call" or (line.get("point_space") == "pixel" and rng.random() < 0.3):
            line["resized_size"] = list(rng.choice(RESIZED))
        if parser is None:
            seen = tuple(line.get("resized_size", size))
            numbers = predicted(rng, line, seen)
            line["point"] = numbers if line["point_space"] == "pixel" else shares(numbers, seen)
            if rng.random() < 0.05:
                line["point"] = None
        else:
            line["response"] = respond(rng, parser, line)
        case = {"judge": "screenspot", "parser": parser, "line": line}
        if rng.random() < 0.08:
            yield {**case, "error": fault(rng, parser, line)}
        else:
            yield {**case, "verdict": {"correctness": verdict(parser, line)}}


TRUTHS = ["(10, 20, 30, 40)", "(0, 0, 5, 5)", "[10, 20, 30, 40]", " 10, 20, 10, 20 ", "(30, 20, 10, 40)", "(10.0, 20, 30, 40)", "(1, 2)", "red"]
POINTS = ["(10, 20)", "(30, 40)", "(20, 30)", "[20, 30]", "20, 30", "(9, 30)", "(20, 41)", "(20.0, 30)", "(20, 30, 40)", "(1_0, 0x14)", "(020, 30)",
          "(" + "9" * 30 + ", 30)", "", "(True, 5)"]
WORDS = ["red", "Red.", "the red car", "re d", "re\nd", "blue", "no", "cannot", "A. left", "(left)", "LEFT!", "left or right", "Stra\u00dfe", "\u0130", "?!",
         "", " \u00a0", "~"]


def rollouts(n, seed):
    rng = random.Random(seed)
    tags = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>"]
    for idx in range(n):
        name = ROLLOUTS[idx % 2]
        thoughts = lambda: rng.choice(["<think> a </think>"] * 6 + ["a", "<think> a", "<think></think>"])
        look = lambda: rng.choice(["user\n<observation>\n</observation>assistant\n", "\n", ""])
        turns = [f"{thoughts()}\n<tool_call>\n{{}}\n</tool_call>" for _ in range(rng.choice([0, 0, 1, 2]))]
        answer = rng.choice(POINTS if name == "vigorl-grounding" else WORDS)
        turns.append(f"{thoughts()}\n<answer> {answer} {rng.choice(['</answer>', '</answer>', '', '</answer> a', '</answer><answer>b</answer>'])}")
        if rng.random() < 0.2:
            turn, tag = rng.randrange(len(turns)), rng.choice(tags)
            at = rng.randrange(len(turns[turn]) + 1)
            turns[turn] = rng.choice([turns[turn].replace(tag, "", 1), turns[turn][:at] + tag + turns[turn][at:]])
        truth = rng.choice(TRUTHS[:2] * 4 + TRUTHS if name == "vigorl-grounding" else WORDS[:7] * 2 + WORDS)
        line = {"response": turns if rng.random() < 0.5 else "".join(turn + look() for turn in turns), "ground_truth": truth}
        yield {"judge": name, "parser": None, "line": line, **rollout_verdict(name, line)}


def agrees(case, said):
    if "error" in case:
        return list(said) == ["error"] and f"`{case['error']}" in said["error"]
    return said == case["verdict"]


def compare(program, n, seed):
    """Runs the program on all cases, and says where it differs."""
    all_cases, n_different, n_rounded = [*cases(n, seed), *rollouts(n // 2, seed)], 0, 0
    for name, parser in [("screenspot", parser) for parser in [None, *PARSERS]] + [(name, None) for name in ROLLOUTS]:
        mine = [case for case in all_cases if (case["judge"], case["parser"]) == (name, parser)]
        lines = "".join(json.dumps(case["line"]) + "\n" for case in mine)
        choice = [] if parser is None else ["--parser", parser]
        ran = subprocess.run([program, "judge", name, *choice], input=lines, capture_output=True, text=True)
        said = [json.loads(line) for line in ran.stdout.splitlines()]
        assert len(said) == len(mine), ran.stderr
        counted = dict.fromkeys(["correct", "wrong", "wrong_format", "refused"], 0)
        for case, got in zip(mine, said):
            if not agrees(case, got):
                n_different += 1
                if n_different <= 20:
                    print(json.dumps(case), got, file=sys.stderr)
            kind = "refused" if "error" in case else case["verdict"]["correctness"]
            counted[kind] += 1
            if name == "screenspot" and kind in ("correct", "wrong"):
                n_rounded += verdict(parser, case["line"], lambda value: value) != kind
        print(f"{name} {parser or ''}:", ", ".join(f"{number} {kind}" for kind, number in counted.items()))
    print(f"{len(all_cases)} lines, {n_different} differ from the program; real numbers would judge {n_rounded} otherwise than doubles")
    return n_different


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=360)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compare", metavar="PROGRAM")
    args = parser.parse_args()
    if args.compare:
        sys.exit(compare(args.compare, args.n, args.seed) > 0)
    for case in [*cases(args.n, args.seed), *rollouts(args.n // 2, args.seed)]:
        print(json.dumps(case))


if __name__ == "__main__":
    main()

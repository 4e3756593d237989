"""The rewards of the specification's section 3 in Python, and answers to compare them on.

Invariant: mode `reference` is written with Python's own `re`, `ast` and `json`, because these decide the corner cases;
mode `fixed` differs in the nine places that docs/rewards.md names. Nothing here is taken from other code.

    python3 reference/rewards.py > fixtures/rewards/generated.jsonl     the committed lines
    python3 reference/rewards.py --n 20000 --seed 7 > many.jsonl        more of them
    python3 reference/rewards.py --n 20000 --seed 7 --compare target/release/vigorl
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

warnings.filterwarnings("ignore")
DOT_ALL = re.DOTALL
MOST_ZOOMS = 4
FORM = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", DOT_ALL)


def is_number(value, fixed):
    return isinstance(value, int) or (fixed and isinstance(value, float) and math.isfinite(value))


def literal(text, n, fixed):
    try:
        value = ast.literal_eval(text)
    except Exception:
        return None
    fits = isinstance(value, (tuple, list)) and len(value) == n and all(is_number(v, fixed) for v in value)
    return value if fits else None


def answer(response, fixed):
    found = re.search(r"<answer>(.*?)</answer>", response)
    if fixed and not found:
        found = re.search(r"<answer>(.*?)</answer>", response, DOT_ALL)
    return (found.group(1) if found else response).strip()


def grounded(response, fixed):
    found = re.search(r"<think>(.*?)</think>", response, DOT_ALL)
    number = r"\d+(?:\.\d+)?" if fixed else r"\d+"
    return bool(found and re.search(rf"\(({number})\s*,\s*({number})\)", found.group(1)))


def tags(kind, response, fixed):
    if not FORM.fullmatch(response):
        return False
    inner = answer(response, True) if fixed else re.search(r"<answer>(.*?)</answer>", response, DOT_ALL).group(1).strip()
    if kind == "point":
        point = literal(inner, 2, fixed)
        return inner.startswith("(") and inner.endswith(")") and isinstance(point, tuple)
    return kind == "action" or inner != ""


def in_box(response, truth, fixed):
    point, box = literal(answer(response, fixed), 2, fixed), literal(truth.strip(), 4, fixed)
    return bool(point and box and box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3])


def said(response, truth, fixed):
    text = answer(response, fixed)
    choice = re.match(r"^[A-Za-z][.)]\s*(.*)", text, DOT_ALL if fixed else 0)
    text = (choice.group(1) if choice else text).lower()
    return text == (truth.strip().lower() if fixed else truth.strip())


def said_in_any_case(response, truth):
    found = re.search(r"<answer>(.*?)</answer>", response, DOT_ALL | re.IGNORECASE)
    return (found.group(1) if found else response).strip().lower() == truth.strip().lower()


def action(pred, truth, fixed):
    if fixed:
        return fixed_action(pred.strip(), truth.strip())
    first = lambda pattern, text: re.search(pattern, text).group(1)
    try:
        if "go_back" in pred:
            return float("go_back" in truth)
        if "stop" in pred:
            return float("stop" in truth)
        if "scroll" in pred:
            return float(any(way in pred and way in truth for way in ("[down]", "[up]")))
        if "click" in pred:
            ids = first(r"\[(\d+)\]", pred) == first(r"\[(\d+)\]", truth)
            return 0.5 * ("click" in truth) + 0.5 * ids
        if "type" in pred:
            return 0.5 * ("type" in truth) + 0.5 * (first(r"\[(.*?)\]", pred) == first(r"\[(.*?)\]", truth))
    except Exception:
        pass
    return 0.0


def fixed_action(pred, truth):
    word = lambda text: re.match(r"[A-Za-z_]*", text).group()
    name, same = word(pred), word(pred) == word(truth)
    if name in ("go_back", "stop"):
        return float(same)
    if name == "scroll":
        return float(same and any(way in pred and way in truth for way in ("[down]", "[up]")))
    try:
        if name == "click":
            ids = [re.search(r"\[(\d+)\]", text).group(1) for text in (pred, truth)]
            return 0.5 * same + 0.5 * (ids[0] == ids[1])
        if name == "type":
            parts = [re.search(r"\[([^\]]*)\](.*)", text, DOT_ALL).groups() for text in (pred, truth)]
            texts = [rest.strip()[1:-1] if re.fullmatch(r"\[.*\]", rest.strip(), DOT_ALL) else None for _, rest in parts]
            return 0.5 * same + 0.5 * (parts[0][0] == parts[1][0] and (texts[0] == texts[1] or not same))
    except AttributeError:
        pass
    return 0.0


ORDER = {"start": {"<think>": "think"}, "think": {"</think>": "thought"},
         "thought": {"<tool_call>": "call", "<answer>": "answer"}, "call": {"</tool_call>": "called"},
         "called": {"<observation>": "look"}, "look": {"</observation>": "start"}, "answer": {"</answer>": "end"}, "end": {}}


def tag_name(tag):
    """A tag in small letters, where Python takes other letters for the same ones."""
    return tag.lower().replace("i\u0307", "i").replace("\u0131", "i").replace("\u017f", "s")


def form(kind, response, fixed):
    """None, or what distinct coordinates are worth."""
    stripped = response.strip()
    if not (stripped.endswith("</answer>") or stripped.endswith("</answer><|im_end|>")):
        return None
    state = "start"
    for tag in re.findall(r"</?(?:think|tool_call|observation|answer)>", response, re.IGNORECASE):
        state = ORDER[state].get(tag_name(tag))
        if state is None:
            return None
    if state != "end":
        return None
    points = []
    for call in re.findall(r"<tool_call>\s*({.*?})\s*</tool_call>", response, DOT_ALL):
        try:
            point = json.loads(call)["arguments"]["coordinate"]
        except Exception:
            return None
        if not (isinstance(point, list) and len(point) == 2 and all(is_number(v, fixed) for v in point)):
            return None
        points.append(point)
    if kind == "point":
        if not any(two_numbers(inside, fixed) for inside in
                   re.findall(r"<answer>\s*\(([^)]*)\)\s*</answer>", response)):
            return None
    else:
        found = re.search(r"<answer>(.*?)</answer>", response, DOT_ALL | re.IGNORECASE)
        if not (found and found.group(1).strip()):
            return None
    kept = []
    for x, y in points:
        if all(is_far(x, y, a, b) for a, b in kept):
            kept.append((x, y))
    return 0.2 * max(0, len(kept) - 1)


def is_far(x, y, a, b):
    try:
        return (x - a) ** 2 + (y - b) ** 2 >= 100
    except OverflowError:
        return True


def two_numbers(inside, fixed):
    def fits(text):
        try:
            int(text)
            return True
        except ValueError:
            pass
        try:
            return fixed and math.isfinite(float(text))
        except ValueError:
            return False

    parts = inside.split(",")
    return len(parts) == 2 and all(map(fits, parts))


JUDGES = {
    "point_in_bbox_grounded_thinking": ("point", "grounded"), "point_in_bbox_multicrop": ("point", "turns"),
    "string_match_grounded_thinking": ("text", "grounded"), "string_match_multiturn": ("text", "turns"),
    "web_action_grounded_thinking": ("action", "grounded"),
    "point_in_bbox": ("point", "plain"), "string_match": ("text", "plain"), "web_action": ("action", "plain"),
}


def judge(name, mode, response, truth):
    """Overall, format and accuracy."""
    (kind, shape), fixed = JUDGES[name], mode == "fixed"
    if kind == "point":
        right = float(in_box(response, truth, fixed))
    elif kind == "action":
        right = action(answer(response, fixed), truth, fixed)
    else:
        right = float(said_in_any_case(response, truth) if shape == "turns" else said(response, truth, fixed))
    if shape == "turns":
        diversity = form(kind, response, fixed)
        kept, diversity = float(diversity is not None), diversity or 0.0
        if fixed:
            diversity = min(diversity, 0.2 * (MOST_ZOOMS - 1))
            return [0.6 * right + 0.4 * kept + 0.4 * (diversity * right), kept, right]
        return [0.6 * right + 0.4 * (kept + diversity), kept + diversity, right]
    kept = float(tags(kind, response, fixed)) * float(shape == "plain" or grounded(response, fixed))
    return [0.5 * right + 0.5 * kept, kept, right]


# What answers are put together from.

SPACES = ["", " ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\x1c", "\x0b", "\x0c", "  "]
NUMBERS = ["5", "10", "0", "11", "-5", "+5", "1_0", "007", "00", "0x10", "0b11", "0o7", "True", "False", "5.0", "5.5", "1e1",
           ".5", "10.", "\u0665", "\uff15", "9" * 30, "5j", "1__0", "1_", "- 5", "--5", "(5)", "-(5)", "None", "'5'", "1+2",
           "1+2j", "nan", "1e999", "0x_1f", "-True", "5 ", "\u00b2", "0_0"]
COORDINATES = ["5", "6", "14", "15", "100", "-3", "5.0", "1e1", "true", "null", '"5"', "NaN", "[5]", "01", "9" * 25, "-0", "5."]
WORDS = ["left", "Left", "LEFT", "red", "A. left", "b) Red", "A.left", "A. ", "", "Stra\u00dfe", "\u0130", "\u03a3\u03a3", "no",
         "\u01c5", "a. b. c", "left\nright", "B)\nleft", "left \n", "\u00c4. left"]
ACTIONS = ["click [12]", "click [13]", "click 12", "CLICK [12]", "click [a] [12]", "click [\u0661\u0662]", "type [12] [hello]",
           "type [12] [bye]", "type [13] [hello]", "type [12]", "type [12] [click here]", "type [12] [stop sign]",
           "type [12] [a [b] c]", "type [12] [two\nlines]", "type [] []", "scroll [down]", "scroll [up]", "scroll down",
           "scroll [down] [up]", "go_back", "stop [blue]", "stop []", "stop", "hover [12]", "I will click [12]", "",
           " click  [12] ", "click[12]", "type[12][hello]", "go_back now", "please go_back", "type 12 hello"]


def pick(rng, common, rare, p):
    return rng.choice(rare) if rng.random() < p else rng.choice(common)


def pair(rng, n=2):
    numbers = [pick(rng, ["5", "10", "3", "7"], NUMBERS, 0.3) for _ in range(n)]
    space = pick(rng, [" ", ""], SPACES, 0.2)
    text = f",{space}".join(numbers)
    if rng.random() < 0.1:
        text += pick(rng, [","], [",,", ", 5", " # c", "#)", "\\\n", ";", ")"], 0.5)
    left, right = pick(rng, ["()"], ["[]", "", "((", "(]", "([])", "{}"], 0.15), ""
    half = len(left) // 2
    left, right = left[:half], left[half:]
    text = pick(rng, [""], SPACES, 0.1).join(["", text, ""]) if rng.random() < 0.2 else text
    return left + text + right


def content(rng, kind):
    if kind == "point":
        return pair(rng)
    return rng.choice(WORDS if kind == "text" else ACTIONS)


def call(rng):
    pair = ", ".join(pick(rng, ["5", "100", "14", "200", "13"], COORDINATES, 0.15) for _ in range(pick(rng, [2], [1, 3], 0.05)))
    name = rng.choice(["search_coordinate", "zoom"])
    body = f'{{"name": "{name}", "arguments": {{"coordinate": [{pair}]}}}}'
    if rng.random() < 0.15:
        body = rng.choice([f"{pair}", "{}", "{" + body, body + "}", body[:-1], body.replace('"', "'"), body.replace("coordinate", "point"),
                           body.replace("]}", '], "coordinate": [1, 2]}'), body.replace(", ", ",\u00a0"), "", "[" + body + "]",
                           body.replace("zoom", "zo\\u006fm\\ud83d"), body.replace("zoom", "zo\nom"), body[:-2] + ',"x":NaN}}'])
    space = pick(rng, ["\n"], SPACES, 0.2)
    return f"<tool_call>{space}{body}{space}</tool_call>"


def thoughts(rng):
    point = pick(rng, ["(5, 6)", "(5,6)", "see (12, 30) here"],
                 ["( 5, 6)", "(5 , 6)", "(5, 6 )", "(5.0, 6)", "none", "", "(\u0665,\n6)", "(5, 6", "((5,6))", "\n(1, 2)\n", "(-1, 2)"], 0.4)
    return f"<think>{point}</think>"


def response(rng, kind, shape):
    parts = []
    if shape == "turns":
        for _ in range(rng.choice([0, 0, 1, 2, 2, 3, 4, 5])):
            parts += [thoughts(rng), call(rng), rng.choice(["<observation>crop</observation>", "user\n<observation>\n</observation>\nassistant\n"])]
    parts.append(thoughts(rng))
    parts.append(pick(rng, ["\n", " ", ""], SPACES + [" x "], 0.1))
    space = pick(rng, [" ", ""], SPACES, 0.2)
    parts.append(f"<answer>{space}{content(rng, kind)}{space}</answer>")
    parts.append(pick(rng, [""], ["\n", "<|im_end|>", "<|im_end|>\n", " <|im_end|>", ".", " "], 0.1))
    text = "".join(parts)
    for _ in range(pick(rng, [0], [1, 1, 2], 0.35)):
        text = mutated(rng, text, kind)
    return text


def mutated(rng, text, kind):
    tag = lambda: "<" + rng.choice(["", "/"]) + rng.choice(["think", "answer", "tool_call", "observation", "THINK", "An\u017fwer", "th\u0130n\u212a"]) + ">"
    at, to = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    tags = list(re.finditer(r"</?\w+>", text))
    cut = rng.choice(tags) if tags else None
    return rng.choice([
        lambda: text[:at] + text[at + 1:],
        lambda: text[:at] + rng.choice(SPACES + ["(", ")", "{", "}", "<", ">", "[12]", "\n", "0", "_", "'"]) + text[at:],
        lambda: text[:at] + tag() + text[at:],
        lambda: text[:cut.start()] + text[cut.end():] if cut else text,
        lambda: text[:cut.start()] + cut.group().upper() + text[cut.end():] if cut else text,
        lambda: text[:at] + text[to:] if to - at < 12 else text,
        lambda: text + f"<answer>{content(rng, kind)}</answer>",
        lambda: f"<think>{content(rng, kind)}</think>" + text,
        lambda: content(rng, kind),
        lambda: rng.choice(["", "so: ", "\n"]) + text,
        lambda: text.replace("\n", "\r\n"),
    ])()


def truth(rng, kind):
    if kind == "point":
        if rng.random() < 0.7:
            return "(0, 0, 10, 10)"
        return rng.choice([pair(rng, 4), "[0, 0, 10, 10]", "(0.0, 0, 10, 10)", "(0, 0, 10)", "0, 0, 10, 10", "(3, 3, 7, 7)", " (0, 0, 10, 10)\n"])
    return rng.choice(WORDS if kind == "text" else ACTIONS)


def cases(n, seed):
    rng = random.Random(seed)
    names = list(JUDGES)
    for idx in range(n):
        name = names[idx % len(names)]
        kind, shape = JUDGES[name]
        said, wanted = response(rng, kind, shape), truth(rng, kind)
        yield {"judge": name, "response": said, "ground_truth": wanted,
               "reference": judge(name, "reference", said, wanted), "fixed": judge(name, "fixed", said, wanted)}


def compare(program, n, seed):
    """Runs the program on all cases, and says where it differs."""
    all_cases, n_different = list(cases(n, seed)), 0
    for name in JUDGES:
        mine = [case for case in all_cases if case["judge"] == name]
        lines = "".join(json.dumps({key: case[key] for key in ("response", "ground_truth")}) + "\n" for case in mine)
        for mode in ("reference", "fixed"):
            ran = subprocess.run([program, "judge", name, "--mode", mode], input=lines, capture_output=True, text=True)
            said = [json.loads(line) for line in ran.stdout.splitlines()]
            assert len(said) == len(mine), ran.stderr
            for case, verdict in zip(mine, said):
                got = [verdict.get(key) for key in ("overall", "format", "accuracy")]
                if got != case[mode]:
                    n_different += 1
                    if n_different <= 20:
                        print(name, mode, json.dumps(case), got, file=sys.stderr)
    n_modes = sum(case["reference"] != case["fixed"] for case in all_cases)
    right = sum(case["reference"][2] > 0 for case in all_cases)
    formed = sum(case["reference"][1] > 0 for case in all_cases)
    print(f"{len(all_cases)} answers in two modes, {n_different} differ from the program; the modes differ on {n_modes}; "
          f"in reference {right} have accuracy and {formed} format")
    return n_different


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compare", metavar="PROGRAM")
    args = parser.parse_args()
    if args.compare:
        sys.exit(compare(args.compare, args.n, args.seed) > 0)
    for case in cases(args.n, args.seed):
        print(json.dumps(case))


if __name__ == "__main__":
    main()

"""What the makers of published grounders ask, and where their own programs see the point of an answer.

Invariant: prompts come out of the makers' code, which is read from checkouts and never copied, and so do the points of
answers where there is a function to call (not for GUI-G2, whose box is divided here). Sizes are those of UI-TARS's
`smart_resize` under each maker's limits; InfiGUI-G1's own first step comes before it. The chat template is rendered here,
as transformers renders it. docs/models.md names the commits.

    python3 reference/grounders.py SOURCES > fixtures/grounders.jsonl

SOURCES holds checkouts by the names of their repositories: GTA1, UI-TARS, InfiGUI-G1, hai-cookbook, GUI-G2. It needs Jinja2
3.1.6 and pydantic 2.13.4.
"""

import argparse
import ast
import importlib.util
import json
import math
import re
import sys
from pathlib import Path
from typing import Any, Literal, TypeAlias

import jinja2
import pydantic

REPO = Path(__file__).resolve().parents[1]
INSTRUCTION = 'the "Save {width}" button.'
# As it is, rounded to whole patches, and beyond some of the limits. On the last one both of InfiGUI-G1's steps give what
# one step gives.
SIZES = [(1288, 812), (1280, 800), (3456, 2234)]


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def snippet(text, names, given=()):
    """Runs the assignments, classes and functions of these names, wherever they stand in the code of `text`."""
    scope = dict(given)
    # Shell commands are called Python in one of the documents.
    blocks = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "huggingface-cli" not in block]
    for block in blocks or [text]:
        for node in ast.walk(ast.parse(block)):
            targets = node.targets if isinstance(node, ast.Assign) else []
            named = {getattr(node, "name", None), *(getattr(target, "id", None) for target in targets)}
            if isinstance(node, ast.AnnAssign):
                named.add(getattr(node.target, "id", None))
            if named & set(names):
                exec(compile(ast.Module([node], []), "snippet", "exec"), scope)
    return scope


def notebook(path):
    cells = json.loads(path.read_text())["cells"]
    lines = "".join("".join(c["source"]) + "\n" for c in cells if c["cell_type"] == "code").splitlines()
    return "\n".join(line for line in lines if not line.startswith(("!", "%")))


def rendered(messages):
    source = json.loads((REPO / "grounding/policy/tests/chat_template.json").read_text())["chat_template"]
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(source)
    return template.render(messages=messages, add_generation_prompt=True)


def asked(text, system=None):
    head = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]


def gta1(sources, resize):
    made = snippet((sources / "GTA1/README.md").read_text(), ["SYSTEM_PROMPT", "extract_coordinates"], {"re": re})

    def case(w, h):
        sw, sh = resize(w, h, 3136, 4096 * 2160)
        answer = f"({sw * 3 // 10},{sh * 7 // 10})"
        x, y = made["extract_coordinates"](answer)
        prompt = rendered(asked(INSTRUCTION, made["SYSTEM_PROMPT"].format(height=sh, width=sw)))
        return (sw, sh), prompt, answer, (x * w / sw, y * h / sh)

    return case


def ui_tars(sources, _):
    prompts = module(sources / "UI-TARS/codes/ui_tars/prompt.py")
    parser = module(sources / "UI-TARS/codes/ui_tars/action_parser.py")

    def case(w, h):
        sh, sw = parser.smart_resize(h, w)
        answer = f"Action: click(point='<point>{sw * 3 // 10} {sh * 7 // 10}</point>')"
        action = parser.parse_action_to_structure_output(answer, 1000, h, w, model_type="qwen25vl")[0]
        x, y, *_ = ast.literal_eval(action["action_inputs"]["start_box"])
        prompt = rendered(asked(prompts.GROUNDING_DOUBAO.format(instruction=INSTRUCTION)))
        return (sw, sh), prompt, answer, (x * w, y * h)

    return case


def infigui_g1(sources, resize):
    maker = module(sources / "InfiGUI-G1/eval/prompts.py").InfiguiG1Prompt
    data = snippet((sources / "InfiGUI-G1/eval/data.py").read_text(), ["resize_image"], {"math": math, "Tuple": tuple})

    def case(w, h):
        sw, sh = resize(*data["resize_image"](w, h, 5600 * 28 * 28), 4 * 28 * 28, 12845056)
        x, y = sw * 3 // 10, sh * 7 // 10
        answer = f'<think> It is at ({x}, {y}). </think>\n[{{"point_2d": [{x}, {y}]}}, {{"point_2d": [1, 2]}}]'
        x, y = maker.extract_coordinates(answer, True)[0]["point_2d"]
        system, user = (m["content"] for m in maker.generate_prompt({"instruction": INSTRUCTION}, sw, sh))
        prompt = rendered(asked(user.removeprefix("<image>"), system))
        return (sw, sh), prompt, answer, (x * w / sw, y * h / sh)

    return case


def holo1_5(sources, resize):
    given = {"BaseModel": pydantic.BaseModel, "Field": pydantic.Field, "Literal": Literal, "Any": Any}
    given |= {"TypeAlias": TypeAlias, "Image": argparse.Namespace(Image=object), "__name__": "snippet"}
    names = ["ClickAbsoluteAction", "ChatMessage", "get_chat_messages"]
    made = snippet(notebook(sources / "hai-cookbook/holo1_5/holo_1_5_quickstart.ipynb"), names, given)

    def case(w, h):
        sw, sh = resize(w, h, 4 * 28 * 28, 2560 * 1440)
        answer = f'{{"action": "click_absolute", "x": {sw * 3 // 10}, "y": {sh * 7 // 10}}}'
        click = made["ClickAbsoluteAction"].model_validate_json(answer)
        prompt = rendered(made["get_chat_messages"](INSTRUCTION, None))
        return (sw, sh), prompt, answer, (click.x * w / sw, click.y * h / sh)

    return case


def gui_g2(sources, resize):
    words = snippet((sources / "GUI-G2/README.md").read_text(), ["prompt_origin"])["prompt_origin"]

    def case(w, h):
        sw, sh = resize(w, h, 100 * 28 * 28, 16384 * 28 * 28)
        x, y = sw * 3 // 10, sh * 7 // 10
        answer = f"[{x - 8},{y - 4},{x + 9},{y + 4}]"
        x1, y1, x2, y2 = ast.literal_eval(answer)
        prompt = rendered(asked(words.format(INSTRUCTION)))
        return (sw, sh), prompt, answer, ((x1 / sw + x2 / sw) / 2 * w, (y1 / sh + y2 / sh) / 2 * h)

    return case


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("sources", type=Path)
    sources = arguments.parse_args().sources
    parser = module(sources / "UI-TARS/codes/ui_tars/action_parser.py")

    def resize(w, h, min_pixels, max_pixels):
        sh, sw = parser.smart_resize(h, w, min_pixels=min_pixels, max_pixels=max_pixels)
        return sw, sh

    presets = {"gta1": gta1, "ui-tars-1.5": ui_tars, "infigui-g1": infigui_g1, "holo1.5": holo1_5, "gui-g2": gui_g2}
    for name, make in presets.items():
        case = make(sources, resize)
        for size in SIZES:
            seen, prompt, answer, point = case(*size)
            line = {"preset": name, "screenshot": size, "seen": seen, "instruction": INSTRUCTION}
            sys.stdout.write(json.dumps(line | {"prompt": prompt, "answer": answer, "point": point}) + "\n")


if __name__ == "__main__":
    main()

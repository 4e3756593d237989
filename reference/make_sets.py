"""Makes small data sets in the layouts of published ones, out of practice screenshots.

Needs: Python 3.10; `pyarrow` 26 for the layouts in parquet alone.

Usage:
    vigorl data practice SCREENS --pages 320 --split held-out --screens
    python reference/make_sets.py SCREENS OUT --items 300                       every layout, a folder for each
    python reference/make_sets.py SCREENS OUT --items 20 --only screenspot-parquet

The items are practice pages: a picture, what to click, and its box. Platforms, groups, applications, classes and types are
names that are given in turn, so that every group has items; they say nothing of the pictures. The files, the fields and the
ways in which boxes are written are those that the published sets have; ARCHITECTURE.md names the code that reads them.

`fixtures/sets/screenspot.parquet` is OUT/screenspot-parquet/data/test-00000-of-00001.parquet of 20 items on the first pages of
`vigorl data practice SCREENS --pages 320 --split held-out --first-page 4242 --screens`.
"""

import argparse
import itertools
import json
import pathlib
import shutil
import struct

SOURCES = {"ios": "mobile", "android": "mobile", "windows": "desktop", "macos": "desktop",
           "shop": "web", "forum": "web", "tool": "web", "gitlab": "web"}
TYPES = ["text", "icon"]
APPLICATIONS = ["vscode", "blender", "autocad", "stata", "excel", "linux_common"]
# The lists of ScreenSpot-Pro, each with a group.
PRO = {"vscode_macos": "Dev", "pycharm_macos": "Dev", "android_studio_macos": "Dev", "vmware_macos": "Dev",
       "unreal_engine_windows": "Dev", "photoshop_windows": "Creative", "premiere_windows": "Creative",
       "illustrator_windows": "Creative", "blender_windows": "Creative", "fruitloops_windows": "Creative",
       "davinci_macos": "Creative", "autocad_windows": "CAD", "solidworks_windows": "CAD", "inventor_windows": "CAD",
       "quartus_windows": "CAD", "vivado_windows": "CAD", "matlab_macos": "Scientific", "origin_windows": "Scientific",
       "stata_windows": "Scientific", "eviews_windows": "Scientific", "powerpoint_windows": "Office",
       "excel_macos": "Office", "word_macos": "Office", "windows_common_windows": "OS", "macos_common_macos": "OS",
       "linux_common_linux": "OS"}
CLASSES = ["text_matching", "element_recognition", "layout_understanding", "fine_grained_manipulation"]
# Nothing of that name is on a practice page.
NOWHERE = ["the marmalade jar", "the second lighthouse", "the field for the tide", "the Walrus tab"]


class Page:
    """A practice page: its picture, what is asked, and the box with the edges that belong to it."""

    def __init__(self, folder, line):
        row = json.loads(line)
        self.picture = folder / row["image"]
        self.name = pathlib.PurePath(row["image"]).name
        self.words = row["instruction"]
        self.edges = [float(edge) for edge in row["box"]]
        header = self.picture.read_bytes()[:24]
        if header[:8] != b"\x89PNG\r\n\x1a\n":
            raise SystemExit(f"{self.picture} is no PNG: make SCREENS with `vigorl data practice SCREENS --screens`")
        self.size = list(struct.unpack(">II", header[16:24]))

    def xywh(self):
        left, top, right, bottom = self.edges
        return [left, top, right - left, bottom - top]

    def shares(self):
        return [edge / side for edge, side in zip(self.edges, self.size * 2)]

    def copy(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.picture, folder / self.name)


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def spot_groups():
    """Source and type in turn, so that every cell has items."""
    return itertools.cycle(itertools.product(SOURCES, TYPES))


def screenspot(pages, out, name, end, pictures):
    lists = {platform: [] for platform in ["mobile", "desktop", "web"]}
    for page, (source, kind) in zip(pages, spot_groups()):
        page.copy(out / pictures)
        lists[SOURCES[source]].append({"img_filename": page.name, "bbox": page.xywh(), "instruction": page.words,
                                       "data_type": kind, "data_source": source})
    for platform, items in lists.items():
        write(out / f"{name}_{platform}{end}.json", items)


def screenspot_v1(pages, out):
    screenspot(pages, out, "screenspot", "", "screenspot_imgs")


def screenspot_v2(pages, out):
    screenspot(pages, out, "screenspot", "_v2", "screenspotv2_image")


def screenspot_parquet(pages, out):
    import pyarrow
    import pyarrow.parquet

    rows = [{"file_name": page.name, "bbox": page.shares(), "instruction": page.words, "data_type": kind,
             "data_source": source, "image": {"bytes": page.picture.read_bytes(), "path": page.name}}
            for page, (source, kind) in zip(pages, spot_groups())]
    text = pyarrow.string()
    schema = pyarrow.schema([("file_name", text), ("bbox", pyarrow.list_(pyarrow.float64())), ("instruction", text),
                             ("data_type", text), ("data_source", text),
                             ("image", pyarrow.struct([("bytes", pyarrow.binary()), ("path", text)]))])
    path = out / "data" / "test-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), path, row_group_size=100)


def screenspot_pro(pages, out):
    lists = {stem: [] for stem in PRO}
    for number, (page, stem) in enumerate(zip(pages, itertools.cycle(PRO))):
        application, _, system = stem.rpartition("_")
        page.copy(out / "images" / stem)
        # Turned round with each round, so that every application has both types.
        kind = TYPES[(number + number // len(PRO)) % 2]
        lists[stem].append({
            "id": f"{stem}_{number}", "img_filename": f"{stem}/{page.name}", "bbox": page.edges, "img_size": page.size,
            "instruction": page.words, "instruction_cn": f"点击：{page.words}", "ui_type": kind,
            "group": PRO[stem], "platform": system, "application": application})
    for stem, items in lists.items():
        write(out / "annotations" / f"{stem}.json", items)


def osworld_g(pages, out):
    items, classes = [], {}
    for number, page in enumerate(pages):
        page.copy(out / "images")
        name, words, numbers = f"practice-{number}", page.words, page.xywh()
        kind = ["bbox", "bbox", "polygon", "refusal"][number % 4]
        if kind == "polygon":
            left, top, right, bottom = page.edges
            across, down = (left + right) / 2, (top + bottom) / 2
            numbers = [left, down, across, top, right, down, across, bottom]
        elif kind == "refusal":
            words, numbers = NOWHERE[number // 4 % len(NOWHERE)], []
        # The class goes round slower than the kind, or each kind would have one class alone.
        label = "refusal" if kind == "refusal" else CLASSES[number // 4 % len(CLASSES)]
        classes.setdefault(label, []).append({"id": name})
        items.append({"id": name, "image_path": page.name, "image_size": page.size, "instruction": words,
                      "box_type": kind, "box_coordinates": numbers, "GUI_types": ["Button"]})
    write(out / "OSWorld-G.json", items)
    refined = [{**item, "instruction": f"Click on this: {item['instruction']}"} for item in items]
    write(out / "OSWorld-G_refined.json", refined)
    write(out / "classification_result.json", {"classified": classes})


def ui_vision(pages, out):
    lists = {"basic": [], "functional": [], "spatial": []}
    for number, (page, split) in enumerate(zip(pages, itertools.cycle(lists))):
        page.copy(out / "images")
        left, top, right, bottom = page.edges
        # Some corners of the published set are swapped.
        box = [right, bottom, left, top] if number % 5 == 4 else page.edges
        lists[split].append({"image_path": page.name, "image_size": page.size, "prompt_to_evaluate": page.words,
                             "bbox": box, "platform": APPLICATIONS[number // 3 % 6], "element_type": "Button"})
    for split, items in lists.items():
        write(out / "annotations" / "element_grounding" / f"element_grounding_{split}.json", items)


def mmbench_gui(pages, out):
    items = []
    platforms = [f"os_{system}" for system in ["windows", "mac", "linux", "ios", "android", "web"]]
    turns = itertools.cycle(itertools.product(platforms, ["basic", "advanced"], TYPES))
    for page, (platform, level, kind) in zip(pages, turns):
        page.copy(out / "offline_images" / platform)
        items.append({"image_path": page.name, "platform": platform, "instruction": page.words, "bbox": page.shares(),
                      "grounding_type": level, "data_type": kind, "app_name": "practice"})
    write(out / "L2_annotations.json", items)


LAYOUTS = {"screenspot": screenspot_v1, "screenspot-parquet": screenspot_parquet, "screenspot-v2": screenspot_v2,
           "screenspot-v2-parquet": screenspot_parquet, "screenspot-pro": screenspot_pro, "osworld-g": osworld_g,
           "ui-vision": ui_vision, "mmbench-gui": mmbench_gui}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("screens", type=pathlib.Path, help="what `vigorl data practice SCREENS --screens` wrote")
    parser.add_argument("out", type=pathlib.Path, help="where a folder for each layout is made")
    parser.add_argument("--items", type=int, default=300, help="how many items each set gets")
    parser.add_argument("--only", choices=LAYOUTS, action="append", help="one layout; repeat for several")
    asked = parser.parse_args()
    listed = asked.screens / "screens.jsonl"
    if not listed.is_file():
        raise SystemExit(f"{listed} is not there: make it with `vigorl data practice {asked.screens} --screens`")
    pages = [Page(asked.screens, line) for line in listed.read_text(encoding="utf-8").splitlines()]
    if len(pages) < asked.items:
        raise SystemExit(f"{listed} has {len(pages)} pages and {asked.items} are needed: make more with --pages")
    for name in asked.only or LAYOUTS:
        LAYOUTS[name](pages[: asked.items], asked.out / name)
        print(f"{asked.out / name}: {asked.items} items")


if __name__ == "__main__":
    main()

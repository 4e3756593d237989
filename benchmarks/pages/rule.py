"""From what a browser says of a page (accessibility tree, texts, boxes) to labels, asks and texts that are absent.

Invariants: no application is named here; the same observation and seed give the same asks; an ask is made only where
somebody who sees nothing but the picture can answer it, and then there is one answer.
"""

import os
import random
import re
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))

PRESSED = {"button": "button", "link": "link", "tab": "tab", "menuitem": "menu item", "option": "option", "treeitem": "item"}
CHECKED = {"checkbox": "checkbox", "radio": "radio button", "switch": "switch", "menuitemcheckbox": "checkbox", "menuitemradio": "radio button"}
TYPED = {"textbox", "searchbox", "combobox", "ComboBoxSelect", "ComboBoxMenuButton", "ComboBoxGrouping", "TextFieldWithComboBox", "spinbutton", "DateTime", "Date", "InputTime"}
ROWS = {"row", "LayoutTableRow", "listitem", "treeitem"}
WANTED = set(PRESSED) | set(CHECKED) | TYPED | ROWS | {"heading", "slider", "listbox"}
CAPS = {"label": 12, "control": 8, "checkbox": 8, "field": 10, "relation": 8}
ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"]
MARGIN = 2  # CSS pixels between a thing and the edge of the picture
SMALLEST_FONT = 8  # pixels of the picture
LONGEST = 48  # characters of a name or label


# Words

def plain(text):
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip().casefold()


def tidy(text):
    """A name as a person would say it: without icons of a private font, arrows, and the marks of a required field."""
    text = "".join(c for c in text if unicodedata.category(c) not in ("Co", "Cf", "Cc", "Cs"))
    text = re.sub(r"\s*\(\?\)\s*$", "", re.sub(r"\s+", " ", text).strip())  # A help sign.
    edge = r"[\s:*…›»«‹▸▾▼▲▶►◀◄•·|→←↑↓⌄×✕✖+\-–—]"
    return re.sub(rf"^{edge}+|{edge}+$", "", text) or text


def core(text):
    """A text without the punctuation around it: two that differ in nothing else are one to a reader."""
    text = plain(text)
    return re.sub(r"^[\W_]+|[\W_]+$", "", text) or text


def occurs(name, strings):
    """How often the name stands in the strings, between word boundaries, whatever its case."""
    wanted = re.escape(core(name))
    pattern = re.compile(rf"(?<!\w){wanted}(?!\w)")
    return sum(len(pattern.findall(s)) for s in strings)


def sayable(name):
    return bool(2 <= len(name) <= LONGEST and sum(c.isalnum() or c.isspace() for c in name) >= 0.6 * len(name) and '"' not in name and "\n" not in name)


# Boxes

def union(boxes):
    return [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)]


def middle(b):
    return (b[0] + b[2]) / 2, (b[1] + b[3]) / 2


def meets(a, b, by=0.5):
    return min(a[2], b[2]) - max(a[0], b[0]) > by and min(a[3], b[3]) - max(a[1], b[1]) > by


def within(a, b, slack=1):
    return a[0] >= b[0] - slack and a[1] >= b[1] - slack and a[2] <= b[2] + slack and a[3] <= b[3] + slack


def level(a, b):
    """How much of the lower of the two boxes stands beside the other: 1 for one line, 0 for none."""
    return max(0, min(a[3], b[3]) - max(a[1], b[1])) / max(1, min(a[3] - a[1], b[3] - b[1]))


def shared_width(a, b):
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) / max(1, min(a[2] - a[0], b[2] - b[0]))


# Seeing

def observe(page, cdp):
    """What the page shows now. `page` is one of Playwright's, `cdp` a session of its DevTools protocol."""
    cdp.send("DOM.getDocument", {"depth": 0})
    tree = cdp.send("Accessibility.getFullAXTree")["nodes"]
    meta = []
    page.evaluate("window.__rule_nodes = []")
    for node in tree:
        role = node.get("role", {}).get("value", "")
        if node.get("ignored") or role not in WANTED or "backendDOMNodeId" not in node:
            continue
        try:
            found = cdp.send("DOM.resolveNode", {"backendNodeId": node["backendDOMNodeId"]})["object"]["objectId"]
            cdp.send("Runtime.callFunctionOn", {"objectId": found, "functionDeclaration": "function(){ window.__rule_nodes.push(this) }"})
        except Exception:  # The node went since the tree was read; the page is looked at again if it has changed.
            continue
        meta.append([role, node.get("name", {}).get("value", "")])
    with open(os.path.join(HERE, "observe.js"), encoding="utf-8") as script:
        return page.evaluate("(meta) => (" + script.read() + ")(meta)", meta)


class Page:
    """An observation with what the rule asks of it more than once."""

    def __init__(self, seen, picture):
        self.ratio, self.width, self.height = seen["ratio"], seen["width"], seen["height"]
        self.texts = seen["texts"]
        self.nodes = [n for n in seen["nodes"]]
        self.picture = picture.convert("L")
        lines = {}
        for t in self.texts:
            if t["partly"]:
                lines.setdefault(t["block"], []).append(t["text"] + (" " if t["spaced"] else ""))
        self.strings = [plain("".join(parts)) for parts in lines.values()]
        self.everything = [plain(t["text"]) for t in self.texts] + [plain("".join(t["text"] for t in self.texts if t["block"] == b)) for b in lines]
        for t in self.texts:
            t["good"] = t["shown"] and t["sort"] == "text" and self.drawn(t["box"]) and self.inside(t["box"]) and t["size"] * self.ratio >= SMALLEST_FONT
        for i, n in enumerate(self.nodes):
            if n:
                n["index"] = i
                n["good"] = n["lit"] and n["open"] and n["entire"] and self.inside(n["box"]) and n["box"][2] - n["box"][0] >= 6 and n["box"][3] - n["box"][1] >= 6
                n["words"] = self.words(n)
        self.controls = [n for n in self.nodes if n and n["role"] in PRESSED or n and n["role"] in CHECKED]
        self.fields = self.outermost([n for n in self.nodes if n and n["role"] in TYPED and n["partly"] and n["box"][2] - n["box"][0] >= 10 and n["box"][3] - n["box"][1] >= 10])

    def outermost(self, nodes):
        own = {n["index"] for n in nodes}
        return [n for n in nodes if not own & set(n["around"])]

    def inside(self, b):
        return b[0] >= MARGIN and b[1] >= MARGIN and b[2] <= self.width - MARGIN and b[3] <= self.height - MARGIN

    def pixels(self, b):
        return [round(v * self.ratio, 2) for v in b]

    def drawn(self, b):
        """Whether the picture has anything to read there."""
        x0, y0, x1, y1 = (int(v) for v in self.pixels(b))
        x0, y0, x1, y1 = max(0, x0), max(0, y0), min(self.picture.width, x1 + 1), min(self.picture.height, y1 + 1)
        if x1 - x0 < 3 or y1 - y0 < 3:
            return False
        low, high = self.picture.crop((x0, y0, x1, y1)).getextrema()
        return high - low >= 40

    def open_between(self, a, b):
        """Whether nothing is drawn between two things on one line: no text, and no edge of a panel either."""
        y0, y1 = max(a[1], b[1]) + 1, min(a[3], b[3]) - 1
        strip = self.pixels([min(a[2], b[2]) + 3, y0, max(a[0], b[0]) - 3, max(y1, y0 + 1)])
        x0, y0, x1, y1 = (int(v) for v in strip)
        if x1 - x0 < 2:
            return True
        low, high = self.picture.crop((x0, y0, x1, max(y1, y0 + 1))).getextrema()
        return high - low <= 3

    def words(self, n):
        """The text that is to be read inside a node; None if a part of it is hidden or cut off."""
        inside = [self.texts[k] for k in n["texts"] if self.texts[k]["partly"] and self.texts[k]["sort"] in ("text", "drawn")]
        if not inside or not all(t["good"] for t in inside):
            return None
        said, block = "", None
        for t in inside:
            said += (" " if block is not None and t["block"] != block else "") + t["text"] + (" " if t["spaced"] else "")
            block = t["block"]
        return tidy(said)

    def elsewhere(self, name):
        """How often the name stands on the page besides once: as words of any text, or as a whole text whatever its spaces."""
        squeezed = core(name).replace(" ", "")
        whole = sum(core(t["text"]).replace(" ", "") == squeezed for t in self.texts if t["partly"])
        return max(0, occurs(name, self.strings) - 1, whole - 1)

    def once(self, name):
        return occurs(name, self.strings) == 1 and not self.elsewhere(name)

    def control_of(self, t):
        """The innermost control that a text stands in, as far as it is small enough to be one."""
        for i in t["around"]:
            n = self.nodes[i]
            if n and (n["role"] in PRESSED or n["role"] in CHECKED or n["role"] in TYPED - {"textbox", "searchbox"}) and n["box"][3] - n["box"][1] <= 90:
                return n
        return None

    def labelled(self, t):
        """A whole text of its block that stands on one line, or None."""
        name = tidy(t["text"])
        return name if t["good"] and len(t["lines"]) == 1 and sayable(name) else None


# Asks

def made(page, kind, instruction, b, node=None, **more):
    ask = {"instruction": instruction, "kind": kind, "box": page.pixels(b), "role": node["role"] if node else "text", "name": node["name"] if node else more.pop("name", "")}
    ask.update(more)
    return ask


def labels(page):
    """Every text on one line that can be read, in the format of the real pages."""
    out = []
    for t in page.texts:
        name = re.sub(r"\s+", " ", t["text"]).strip()
        if not (t["good"] and len(t["lines"]) == 1 and sayable(name) and re.match(r"[\w#$€£/.@~]", name) and re.search(r"[\w:*…?.!%°+#)]$", name)) or name.count("(") != name.count(")"):
            continue
        control = page.control_of(t)
        elsewhere = page.elsewhere(name)
        if re.search(r"(…|\.\.\.)$", name):  # Whatever was cut off may go on elsewhere.
            elsewhere = sum(s.count(core(name)) for s in page.strings) - 1
        out.append({"text": name, "box": page.pixels(t["box"]), "click": page.pixels(control["box"]) if control and control["entire"] and control["pieces"] == 1 else None,
                    "size": round(t["size"] * page.ratio, 2), "tag": t["tag"], "unique": elsewhere == 0, "elsewhere": max(0, elsewhere)})
    return out


def ask_labels(page, found):
    fields = {plain(tidy(a["name"])): a["box"] for _, a in ask_fields(page, random.Random(0))}
    for l in found:
        if not l["unique"]:
            continue
        number = not re.search(r"[^\W\d_]", l["text"])
        b = union([l["box"], l["click"]]) if l["click"] else l["box"]
        ask = {"instruction": l["text"], "kind": "label", "box": b, "role": "text", "name": l["text"], "size": l["size"]}
        named = fields.get(plain(tidy(l["text"])))
        if named:
            ask["field"] = named  # Whoever takes the label for its field clicks here.
        yield ("number" if number else "word"), ask


def ask_controls(page, rng):
    for n in page.controls:
        if n["role"] not in PRESSED or not n["good"] or n["pieces"] != 1 or n["box"][3] - n["box"][1] > 90:
            continue
        name = spoken(page, n)
        if not name or not sayable(name):
            continue
        if any(page.nodes[i] and page.nodes[i]["role"] in PRESSED and core(page.nodes[i]["name"]) == core(name) for i in n["around"]):
            continue
        rivals = [m for m in page.controls if m is not n and m["partly"] and core(m["name"]) == core(name) and n["index"] not in m["around"] and m["index"] not in n["around"]]
        if rivals or same_words_in_control(page, n, name):
            continue
        elsewhere = occurs(name, page.strings) - 1
        if n["role"] != "button" and elsewhere and any(exactly(t, name) for t in page.texts if t["partly"] and n["index"] not in t["around"]):
            continue
        yield n["role"], made(page, "control", f"{the(name)} {PRESSED[n['role']]}", n["box"], n, elsewhere=elsewhere)


def the(name):
    return name if plain(name).startswith("the ") else f"the {name}"


def exactly(t, name):
    return core(t["text"]) == core(name)


def same_words_in_control(page, n, name):
    """Whether the name is written a second time where a click does something."""
    return any(exactly(t, name) and (t["pointer"] or t["sort"] == "value" or page.control_of(t)) for t in page.texts
               if t["partly"] and n["index"] not in t["around"])


def spoken(page, n):
    """The accessible name of a control, if it is what is written in it."""
    said, name = n["words"], tidy(n["name"])
    if not said or not name:
        return None
    # A menu item's shortcut stands beside its name, and nobody says it.
    if n["role"].startswith("menuitem"):
        inside = [page.texts[k] for k in n["texts"] if page.texts[k]["good"]]
        first = tidy(inside[0]["text"])
        if len(inside) > 1 and (plain(first) == plain(name) or plain(name).startswith(plain(first) + " ")) and all(len(t["text"].strip()) <= 14 for t in inside[1:]):
            return first
    return said if plain(said) == plain(name) and not scattered([page.texts[k] for k in n["texts"] if page.texts[k]["good"]]) else None


def scattered(texts):
    """Whether nobody would say the texts of a control as one name: many, far apart, in another order than that of the tree,
    or with a count at their end."""
    if len(texts) > 1 and not re.search(r"[^\W\d_]", texts[-1]["text"]) and re.search(r"\d", texts[-1]["text"]):
        return True
    if len(texts) > 2:
        return True
    for a, b in zip(texts, texts[1:]):
        beside_it = level(a["box"], b["box"]) > 0.5
        if beside_it and not -4 <= b["box"][0] - a["box"][2] <= 40 or not beside_it and not -4 <= b["box"][1] - a["box"][3] <= 30:
            return len(a["lines"]) == 1 and len(b["lines"]) == 1
    return False


def caption(page, n, away=40):
    """The text that names a checkbox or field, where it stands and whether a click on it counts: (name, box, toggles)."""
    name = plain(tidy(n["name"]))
    if not name:
        return None
    for by in n["named_by"]:
        inside = [page.texts[k] for k in by["texts"] if page.texts[k]["partly"] and page.texts[k]["sort"] == "text"]
        if inside and all(t["good"] for t in inside):
            said = tidy("".join(t["text"] + (" " if t["spaced"] else "") for t in inside))
            if plain(said) == name or plain(said.replace(" *", "")) == name:
                return said, union([t["box"] for t in inside]), by
    if n["words"] and plain(n["words"]) == name:
        return n["words"], union([page.texts[k]["box"] for k in n["texts"] if page.texts[k]["good"]]), None
    near = [t for t in page.texts if t["good"] and exactly(t, name) and n["index"] not in t["around"] and beside(t["box"], n["box"], away)]
    if len(near) == 1 and not page.control_of(near[0]):
        return tidy(near[0]["text"]), near[0]["box"], None
    return None


def beside(a, b, away):
    if level(a, b) > 0.5:
        return max(b[0] - a[2], a[0] - b[2]) <= away
    return shared_width(a, b) > 0.5 and max(b[1] - a[3], a[1] - b[3]) <= min(away, 30)


def ask_checkboxes(page, rng):
    for n in page.controls:
        if n["role"] not in CHECKED:
            continue
        found = caption(page, n)
        if not found or not sayable(found[0]):
            continue
        name, text_box, by = found
        own = bool(n["words"]) and not by
        if own:
            if not n["good"]:
                continue
            mark, b = None, n["box"]
        else:
            if not n["good"] or n["box"][2] - n["box"][0] > 90 or n["box"][3] - n["box"][1] > 60 or not (beside(text_box, n["box"], 60) or beside(text_box, n["box"], 260) and page.open_between(text_box, n["box"])):
                continue
            mark = n["box"]
            b = union([mark, by["box"]]) if by and by["toggles"] and by["open"] and by["several"] <= 1 else mark
            others = [m for m in page.controls + page.fields if m is not n and m["partly"] and m["box"][2] > m["box"][0] and m["role"] not in ROWS
                      and m["index"] not in n["around"] and n["index"] not in m["around"]]
            if any(meets(m["box"], b, 1) for m in others):
                b = mark
            if not page.inside(b):
                continue
            if not page.drawn([mark[0] - 1, mark[1] - 1, mark[2] + 1, mark[3] + 1]):
                continue
        # Somebody must be able to tell whose mark it is: no other mark is as near to the text.
        rivals = [m for m in page.controls if m is not n and m["role"] in CHECKED and m["partly"] and core(m["name"]) == core(name)]
        if rivals or same_words_in_control(page, n, name) and not own and occurs(name, page.strings) > 1:
            continue
        word = CHECKED[n["role"]]
        say = rng.choice(["the {} " + word, word + " {}"]) if word != "switch" else "the {} switch"
        yield word, made(page, "checkbox", say.format(name), b, n, mark_box=page.pixels(mark) if mark else None, text_box=page.pixels(text_box))


def ask_fields(page, rng):
    for n in page.fields:
        if not n["good"] or n["disabled"] or n["type"] in ("checkbox", "radio", "range", "color", "file"):
            continue
        found, source = None, "label"
        shown = [page.texts[k] for k in n["texts"] if page.texts[k]["sort"] == "placeholder" and page.texts[k]["partly"]]
        if shown and page.drawn(n["box"]):
            hint = tidy(shown[0]["text"])
            wide = len(hint) * shown[0]["size"] * 0.62
            if plain(hint) == plain(tidy(n["name"])) and re.search(r"[^\W\d_]{2}", hint) and shown[0]["shown"] and wide < shown[0]["box"][2] - shown[0]["box"][0]:
                found, source = hint, "placeholder"
        if not found:
            named = caption(page, n, 320)
            if named and n["index"] not in [i for t in page.texts if t["good"] and exactly(t, named[0]) for i in t["around"]]:
                if belongs(page, named[1], n):
                    found = named[0]
        if not found or not sayable(found):
            continue
        rivals = [m for m in page.fields if m is not n and m["partly"] and core(m["name"]) == core(found)]
        texts = [t for t in page.texts if t["partly"] and exactly(t, found)]
        if rivals or len(texts) > 1 and any(t["sort"] != "text" for t in texts) or sum(1 for t in texts if any(belongs(page, t["box"], m) for m in page.fields)) > 1:
            continue
        chosen = n["tag"] == "SELECT" or n["role"] in ("combobox", "ComboBoxSelect", "ComboBoxMenuButton") and n["tag"] not in ("INPUT", "TEXTAREA")
        say = rng.choice(['field "{}"', "the {} dropdown"] if chosen else ['field "{}"', "the {} field", "the {} text box"])
        yield source + ("/dropdown" if chosen else ""), made(page, "field", say.format(found), n["box"], n, source=source)


def descriptions(asks, texts):
    """Fields by what they are about: by their name in lower case, and by its last word where no other text of the page has
    that word."""
    words = [(text, set(plain(text).split())) for text in {a["name"] for a in asks} | set(texts)]
    for ask in asks:
        if ask["kind"] != "field" or not re.search(r"[^\W\d_]", ask["name"]):
            continue
        name = tidy(ask["name"]).lower()
        last = name.split()[-1]
        alone = not any(last in found for text, found in words if plain(text) != plain(name))
        for about in dict.fromkeys([name] + [last] * (alone and len(last) > 2)):
            yield dict(ask, kind="description", instruction=f"the field for the {about}")


def belongs(page, text, n):
    """Whether somebody who looks at the picture would take the text for the name of this field: it stands to the left of
    its first line, or above it, with no other field nearer."""
    field = n["box"]
    first = [field[0], field[1], field[2], min(field[3], field[1] + 40)]
    if text[2] <= field[0] + 4 and level(text, first) > 0.5:
        gap = [text[2], max(text[1], first[1]), field[0], min(text[3], first[3])]
    elif text[3] <= field[1] + 6 and field[1] - text[3] <= 30 and text[0] >= field[0] - 16 and text[0] < field[2] - 8:
        gap = [text[0], text[3], min(text[2], field[2]), field[1]]
    elif within(text, field, 8) or (meets(text, field, 0.1) and text[1] < field[1] + 4 and text[0] >= field[0] - 4 and text[2] <= field[2]):
        return True  # A label that stands in the field's frame.
    else:
        return False
    # Some other field stands between, or is named by it as well.
    for m in page.fields:
        if m is not n and m["partly"] and (meets(m["box"], gap, 1) or (text[2] <= field[0] + 4 and m["box"][0] < field[0] - 4 and m["box"][2] > text[2] and level(m["box"], text) > 0.5)):
            return False
    return True


# Relations

def targets(page):
    """What a relation can point at: texts that are wholly seen, by their words, each with the box to be clicked."""
    out = {}
    for t in page.texts:
        if t["sort"] not in ("text", "value", "placeholder") or not t["partly"]:
            continue
        name = tidy(t["text"])
        if sayable(name) or len(name) == 1:
            out.setdefault(core(name), []).append(t)
    return {k: v for k, v in out.items() if len(v) >= 2}


def clickable(page, t):
    control = page.control_of(t)
    if control and control["good"] and control["pieces"] == 1:
        return union([t["box"], control["box"]]), control
    return (t["box"], None) if not control else (None, None)


def anchors(page, left_out=()):
    for t in page.texts:
        name = page.labelled(t)
        if name and len(name) >= 3 and re.search(r"[^\W_]{2}", name) and page.once(name) and plain(name) not in left_out:
            yield name, t


def ask_relations(page, rng):
    yield from rows(page, rng)
    yield from ordinals(page)
    yield from below(page)
    yield from next_to(page)
    yield from right_of(page)


def rows(page, rng):
    found = [n for n in page.nodes if n and n["role"] in ROWS and n["partly"] and n["box"][3] - n["box"][1] <= 160 and n["box"][2] - n["box"][0] >= 120]
    inner = [n for n in found if not any(n["index"] in m["around"] for m in found)]
    repeated = targets(page)
    for row in inner:
        mine = [(name, t) for name, t in anchors(page) if row["index"] in t["around"]]
        if not mine:
            continue
        # The name of a row is more often its first texts than its last.
        anchor, at = mine[min(int(rng.expovariate(1.2)), len(mine) - 1)]
        def beyond(b):
            return level(b, at["box"]) > 0.2 and not (b[0] >= row["box"][0] - 1 and b[2] <= row["box"][2] + 1)
        for key, places in sorted(repeated.items()):
            here = [t for t in places if row["index"] in t["around"]]
            away = [t for t in places if row["index"] not in t["around"]]
            in_rows = [t for t in away if any(m is not row and m["index"] in t["around"] for m in inner)]
            if len(here) != 1 or not in_rows or not here[0]["good"] or any(beyond(t["box"]) for t in away):
                continue
            t = here[0]
            name = page.labelled(t)
            if not name or key == core(anchor) or not re.search(r"\w", name) or level(t["box"], at["box"]) < 0.3 or occurs(name, [plain(anchor)]):
                continue
            b, control = clickable(page, t)
            if b and not within(at["box"], b):
                yield "row" if control else "row of texts", made(page, "relation", f"{name} in the row of {anchor}", b, control, name=name, anchor=anchor, relation="row")
        inside = lambda nodes: [n for n in nodes if row["index"] in n["around"] and n["partly"]]
        for nodes, word in (([n for n in page.controls if n["role"] in ("checkbox", "switch")], None), (page.fields, "field")):
            own = inside(nodes)
            others = [m for m in nodes if m not in own and m["partly"]]
            if len(own) == 1 and own[0]["good"] and others and not own[0]["disabled"] and level(own[0]["box"], at["box"]) > 0.3 and not meets(own[0]["box"], at["box"], 1) and not any(level(m["box"], at["box"]) > 0.2 for m in others):
                n = own[0]
                yield "row's " + (word or "checkbox"), made(page, "relation", f"the {word or CHECKED[n['role']]} in the row of {anchor}", n["box"], n, anchor=anchor, relation="row")


def reading_order(texts):
    """Top to bottom, then left to right; None where it cannot be told whether two stand on one line."""
    for i, a in enumerate(texts):
        for b in texts[i + 1:]:
            if 0.1 < level(a["box"], b["box"]) < 0.6:
                return None
    lines = []
    for t in sorted(texts, key=lambda t: middle(t["box"])[1]):
        if lines and level(lines[-1][0]["box"], t["box"]) >= 0.6:
            lines[-1].append(t)
        else:
            lines.append([t])
    return [t for line in lines for t in sorted(line, key=lambda t: t["box"][0])]


def ordinals(page):
    for key, places in sorted(targets(page).items()):
        if not 2 <= len(places) <= len(ORDINALS) or occurs(key, page.strings) != len(places) or not all(t["good"] and page.labelled(t) for t in places):
            continue
        if not any(page.control_of(t) or t["pointer"] for t in places):
            continue
        ordered = reading_order(places)
        if not ordered:
            continue
        for i, t in enumerate(ordered):
            b, control = clickable(page, t)
            name = page.labelled(t)
            if not b or any(meets(o["box"], b, 1) for o in places if o is not t):
                continue
            yield "ordinal", made(page, "relation", f"the {ORDINALS[i]} {name}", b, control, name=name, relation="ordinal", of=len(places))
            if i == len(ordered) - 1:
                yield "last", made(page, "relation", f"the last {name}", b, control, name=name, relation="last", of=len(places))


def below(page):
    heads = [n for n in page.nodes if n and n["role"] == "heading" and n["partly"]]
    for head in heads:
        name = head["words"]
        if not head["good"] or not name or not sayable(name) or not page.once(name):
            continue
        at = union([page.texts[k]["box"] for k in head["texts"] if page.texts[k]["good"]])
        for key, places in sorted(targets(page).items()):
            if occurs(key, [plain(name)]) or not all(t["good"] for t in places):
                continue
            under = sorted((t for t in places if t["box"][1] >= at[3] - 1), key=lambda t: t["box"][1])
            if not under:
                continue
            t = under[0]
            # Between two of the same name there is another heading, and between the first and its heading none.
            lower = [h for h in heads if h is not head and h["box"][1] > at[3]]
            if any(h["box"][1] < t["box"][1] + 2 for h in lower) or not (at[0] - 24 <= t["box"][0] <= at[0] + 700):
                continue
            if len(under) > 1 and not any(t["box"][3] <= h["box"][1] + 1 and h["box"][3] <= under[1]["box"][1] + 1 for h in lower):
                continue
            b, control = clickable(page, t)
            said = page.labelled(t)
            if b and said and (control or t["pointer"]):
                yield "below", made(page, "relation", f"{said} below {name}", b, control, name=said, anchor=name, relation="below")


def next_to(page):
    every = [(n, t) for n, t in anchors(page)]
    for key, places in sorted(targets(page).items()):
        for t in places:
            said = page.labelled(t)
            if not said:
                continue
            b, control = clickable(page, t)
            if not b or not (control or t["pointer"]):
                continue
            for name, at in every:
                gap = max(t["box"][0] - at["box"][2], at["box"][0] - t["box"][2])
                if at is t or not (0 < gap <= 24) or level(at["box"], t["box"]) < 0.6 or meets(at["box"], b, 1) or occurs(key, [plain(name)]):
                    continue
                between = [min(t["box"][2], at["box"][2]), max(t["box"][1], at["box"][1]), max(t["box"][0], at["box"][0]), min(t["box"][3], at["box"][3])]
                if any(o is not t and o is not at and o["partly"] and meets(o["box"], between, 1) for o in page.texts) or any(n["partly"] and n is not control and not meets(n["box"], at["box"], 1) and meets(n["box"], between, 1) for n in page.controls + page.fields):
                    continue
                if any(o is not t and level(o["box"], at["box"]) > 0.2 for o in places) or any(o is not t and abs(middle(o["box"])[1] - middle(at["box"])[1]) < 60 and abs(middle(o["box"])[0] - middle(at["box"])[0]) < 80 for o in places):
                    continue
                yield "next to", made(page, "relation", f"{said} next to {name}", b, control, name=said, anchor=name, relation="next to")


def right_of(page):
    marks = [n for n in page.controls if n["role"] in CHECKED and n["partly"] and not n["words"] and n["box"][2] - n["box"][0] <= 60]
    for name, at in anchors(page):
        if page.control_of(at) and page.control_of(at)["role"] in PRESSED:
            continue
        b = at["box"]
        for n in page.fields:
            f = n["box"]
            first = [f[0], f[1], f[2], min(f[3], f[1] + 40)]
            if not n["good"] or n["disabled"] or meets(f, b, 0.5):
                continue
            if 0 <= f[0] - b[2] <= 400 and level(first, b) > 0.5:
                between = [b[2], b[1], f[0], b[3]]
                busy = [m for m in page.fields + page.controls if m is not n and m["partly"] and n["index"] not in m["around"] and m["index"] not in n["around"] and meets(m["box"], between, 1)]
                words = [t for t in page.texts if t is not at and t["partly"] and meets(t["box"], between, 2)]
                together = any(m["role"] in ROWS and m["index"] in at["around"] for m in (page.nodes[i] for i in n["around"]) if m) or core(n["name"]) == core(name)
                # A second field behind the first, with no text of its own, may as well be the one that is meant.
                second = [m for m in page.fields if m is not n and m["partly"] and level(m["box"], first) > 0.5 and 0 <= m["box"][0] - f[2] <= 120
                          and not any(t["partly"] and meets(t["box"], [f[2], b[1], m["box"][0], b[3]], 2) for t in page.texts)]
                if not busy and not words and not second and (together or page.open_between(b, first)):
                    yield "right of", made(page, "relation", f"field to the right of {name}", f, n, anchor=name, relation="right of")
            elif 0 <= f[1] - b[3] <= 24 and f[0] - 8 <= b[0] <= f[0] + 24:
                between = [b[0], b[3], b[2], f[1]]
                busy = [m for m in page.fields + page.controls if m is not n and m["partly"] and n["index"] not in m["around"] and m["index"] not in n["around"] and meets(m["box"], between, 1)]
                words = [t for t in page.texts if t is not at and t["partly"] and meets(t["box"], between, 2)]
                ticks = [m for m in marks if level(m["box"], b) > 0.3 and -4 <= b[0] - m["box"][2] <= 30]
                lefter = [t for t in page.texts if t["partly"] and t is not at and level(t["box"], first) > 0.5 and 0 <= f[0] - t["box"][2] <= 250]
                if not busy and not words and not ticks and not lefter:
                    yield "field below", made(page, "relation", f"field below {name}", f, n, anchor=name, relation="field below")
        for n in marks:
            f = n["box"]
            if n["good"] and 0 <= b[0] - f[2] <= 24 and level(f, b) > 0.6 and sum(1 for m in marks if level(m["box"], b) > 0.3 and abs(m["box"][0] - b[0]) < 80) == 1:
                toggles = [by["box"] for by in n["named_by"] if by["toggles"] and by["open"] and by["several"] <= 1]
                yield "left of", made(page, "relation", f"{CHECKED[n['role']]} to the left of {name}", f, n, anchor=name, relation="left of", also=[page.pixels(t) for t in toggles])


# Choosing

def chosen(rng, candidates, most, already, at_most_of=None):
    """Some of the candidates, as many of each sort as there are, and none that was asked in this application before."""
    sorts = {}
    for sort, ask in candidates:
        sorts.setdefault(sort, []).append(ask)
    order = sorted(sorts)
    rng.shuffle(order)
    for sort in order:
        rng.shuffle(sorts[sort])
    out, said, hit, named = [], set(), [], {}
    while len(out) < most and any(sorts.values()):
        for sort in order:
            while sorts[sort] and len(out) < most:
                ask = sorts[sort].pop()
                key = (ask["kind"], plain(ask["instruction"]))
                common = (sort, plain(ask["name"]))
                if key in already or key in said or ask["box"] in hit or ask["kind"] == "relation" and named.get(common, 0) >= 2 and ask["name"]:
                    continue
                if at_most_of and sum(1 for s, _ in out if s == sort) >= at_most_of.get(sort, most):
                    continue
                said.add(key)
                hit.append(ask["box"])
                named[common] = named.get(common, 0) + 1
                out.append((sort, ask))
                break
    already |= said
    return [dict(ask, sort=sort) for sort, ask in out]


def draw(seen, picture, seed, already):
    """The labels and the asks of one page. `already` holds what this application was asked before."""
    page, rng = Page(seen, picture), random.Random(seed)
    found = labels(page)
    asks = chosen(rng, list(ask_labels(page, found)), CAPS["label"], already, {"number": 2})
    for kind, make in (("control", ask_controls), ("checkbox", ask_checkboxes), ("field", ask_fields), ("relation", ask_relations)):
        asks += chosen(rng, list(make(page, rng)), CAPS[kind], already)
    asks += list(descriptions(asks, [label["text"] for label in found]))
    asks = [a for a in asks if not any(a is not b and a["kind"] == b["kind"] and plain(a["instruction"]) == plain(b["instruction"]) for b in asks)]
    kept = [l for l in found if l["unique"]]
    rest = [l for l in found if not l["unique"]]
    rng.shuffle(kept)
    rng.shuffle(rest)
    listed = kept[:30] + rest[:10]
    listed.sort(key=lambda l: (l["box"][1], l["box"][0]))
    return {"labels": listed, "asks": asks, "everything": sorted(set(page.everything + page.strings))}


# Texts that are not there

# Letters of one group are easily taken for each other; a near miss changes the group.
SMALL = ["aceosdbqgp", "nhmruk", "vwyx", "ftlijr", "sz", "kx"]
CAPITAL = ["CGOQDU", "EFBPRS", "UVYW", "MNWH", "ILTJF", "SZ", "KXR", "AV"]
FAR_DIGITS = {"0": "147", "1": "2358", "2": "1479", "3": "147", "4": "2358", "5": "147", "6": "147", "7": "2568", "8": "147", "9": "147"}


def absent(rng, own, foreign):
    """Seven texts of other pages and seven near misses of this page's own labels; none of them stands on this page."""
    # Punctuation and case are folded by whoever looks for a text, so they do not make another text of it.
    letters = lambda text: "".join(c for c in plain(text) if c.isalnum())
    squeezed = [letters(s) for s in own["everything"]]
    missing = lambda text: letters(text) and not any(letters(text) in s for s in squeezed)
    out = []
    foreign = sorted(foreign)
    rng.shuffle(foreign)
    for text in foreign:
        if len(out) < 7 and len(text) >= 3 and missing(text):
            out.append({"text": text, "kind": "foreign"})
    labels = [l["text"] for l in own["labels"] if l["unique"] and 4 <= len(l["text"]) <= 40]
    words = sorted({w for l in own["labels"] for w in re.findall(r"[A-Za-z]{4,}", l["text"])} | {w for f in foreign[:40] for w in re.findall(r"[A-Za-z]{4,}", f)})
    rng.shuffle(labels)
    near = []
    for text in labels * 3:
        if len(near) == 7:
            break
        changed = missed(rng, text, words)
        if changed and missing(changed) and changed not in [n["text"] for n in near] and text not in [n["of"] for n in near]:
            near.append({"text": changed, "kind": "near", "of": text})
    return out + near


def missed(rng, text, words):
    digits = [i for i, c in enumerate(text) if c in FAR_DIGITS]
    letters = [i for i, c in enumerate(text) if c.isascii() and c.isalpha() and c.lower() not in "il"]
    several = [m for m in re.finditer(r"[A-Za-z]{4,}", text)]
    ways = (["digit"] * 2 if digits else []) + (["letter"] * 2 if letters else []) + (["word"] if len(text.split()) > 1 and several else [])
    if not ways:
        return None
    way = rng.choice(ways)
    if way == "digit":
        i = rng.choice(digits)
        return text[:i] + rng.choice(FAR_DIGITS[text[i]]) + text[i + 1:]
    if way == "letter":
        i = rng.choice(letters)
        groups, every = (CAPITAL, "ABCDEFGHKLMNPRSTVXZ") if text[i].isupper() else (SMALL, "abcdefghkmnoprstuvxz")
        own = "".join(g for g in groups if text[i] in g)
        return text[:i] + rng.choice([c for c in every if c not in own and c != text[i]]) + text[i + 1:]
    if not words:
        return None
    m = rng.choice(several)
    new = rng.choice(words)
    if plain(new) == plain(m.group()):
        return None
    new = new.upper() if m.group().isupper() else new.capitalize() if m.group()[0].isupper() else new.lower()
    return text[:m.start()] + new + text[m.end():]

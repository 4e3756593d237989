"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

// Thumbnails show the same picture as the step: it is stored once.
for (const thumb of all("img[data-of]")) {
  const full = document.getElementById(thumb.dataset.of);
  if (full) thumb.src = full.src;
}

// A thought and its points light up together, from either side.
for (const step of all(".step")) {
  const light = (event) => {
    const key = event.target.closest("[data-p]")?.dataset.p;
    step.classList.toggle("focus", key !== undefined);
    for (const mark of all("[data-p]", step)) mark.classList.toggle("hot", mark.dataset.p === key);
  };
  step.addEventListener("mouseover", light);
  step.addEventListener("mouseleave", light);
  step.addEventListener("focusin", light);
}

// What a pointer reads off a token is told where it is touched, too: nothing hovers on a phone.
const hint = document.querySelector("output.hint");
if (hint) {
  document.addEventListener("click", (event) => {
    hint.value = event.target.closest(".tokens span[title]")?.title ?? "";
  });
}

const showAfter = (step, after) => {
  step.querySelector(".stage")?.classList.toggle("shows-after", after);
  for (const button of all("[data-show]", step)) {
    button.setAttribute("aria-pressed", String((button.dataset.show === "after") === after));
  }
};

// Ends what plays in a step and shows all of it.
const stop = (step) => {
  step.dataset.run = String(Number(step.dataset.run || 0) + 1);
  for (const mark of all("[data-order]", step)) mark.classList.remove("later");
};

// Plays a step: thoughts, zooms and the click in the order in which they happened, and what came of them.
const play = (step, ended = () => {}) => {
  stop(step);
  const run = step.dataset.run;
  const marks = all("[data-order]", step);
  const last = Math.max(0, ...marks.map((mark) => Number(mark.dataset.order)));
  showAfter(step, false);
  for (const mark of marks) mark.classList.add("later");
  const pause = still ? 0 : 520;
  for (let order = 0; order <= last; order += 1) {
    setTimeout(() => {
      if (step.dataset.run !== run) return;
      for (const mark of marks) if (Number(mark.dataset.order) === order) mark.classList.remove("later");
    }, pause * order);
  }
  setTimeout(() => {
    if (step.dataset.run !== run) return;
    if (step.querySelector(".stage .after")) showAfter(step, true);
    ended();
  }, pause * (last + 1));
};

const cards = all(".card");
const cardOf = new Map(cards.map((card) => [card.dataset.episode, card]));
const episodeOf = (step) => step.closest(".episode").dataset.number;
const openEpisode = (number) => {
  for (const episode of all(".episode")) episode.hidden = episode.dataset.number !== number;
  for (const card of cards) card.setAttribute("aria-current", String(card.dataset.episode === number));
};

// One step at a time, like a film: buttons, a slider, the arrow keys. The address names the step, so that it can
// be sent, and so that a page that follows its run comes back to it. It is not the name of an element: the browser
// would scroll to that.
const player = document.querySelector(".player");
const steps = all(".episode .step");
let current = steps[0];
let playing = false;
let rest = 0;
// Episodes that are filtered out are passed over.
const walk = () => steps.filter((step) => !cardOf.get(episodeOf(step))?.hidden);

const label = () => {
  if (!player) return;
  const shown = walk();
  const slider = player.querySelector("input");
  slider.max = Math.max(1, shown.length);
  slider.value = shown.indexOf(current) + 1;
  player.querySelector("output").textContent = `step ${steps.indexOf(current) + 1} of ${steps.length}`;
};

const stepping = (on) => {
  document.body.classList.toggle("stepping", on);
  player?.querySelector("[data-do=list]").setAttribute("aria-pressed", String(!on));
};

const goTo = (step) => {
  clearTimeout(rest);
  if (current) stop(current);
  current = step;
  for (const other of steps) other.classList.toggle("current", other === step);
  stepping(true);
  openEpisode(episodeOf(step));
  stop(step);
  showAfter(step, false);
  label();
  // What was scrolled past would otherwise move the picture out of sight.
  const film = document.querySelector(".film");
  if (film && film.getBoundingClientRect().top < 0) film.scrollIntoView();
  history.replaceState(null, "", "#step-" + step.id.slice(1));
  if (playing) playOn();
};

const move = (by) => {
  const shown = walk();
  if (shown.length === 0) return;
  const now = shown.indexOf(current);
  const next = shown[Math.min(shown.length - 1, Math.max(0, now + by))];
  // Until something is chosen, all steps are shown and the first counts as the present one.
  goTo(next);
};

const setPlaying = (on) => {
  playing = on;
  clearTimeout(rest);
  const button = player.querySelector("[data-do=film]");
  button.textContent = on ? "Pause" : "Play";
  button.setAttribute("aria-pressed", String(on));
};

const playOn = () =>
  play(current, () => {
    if (!playing) return;
    rest = setTimeout(() => {
      const shown = walk();
      const next = shown[shown.indexOf(current) + 1];
      if (next) goTo(next);
      else setPlaying(false);
    }, 1200);
  });

const film = () => {
  if (playing) {
    setPlaying(false);
    stop(current);
    return;
  }
  const shown = walk();
  const isAtEnd = current === shown[shown.length - 1] && document.body.classList.contains("stepping");
  setPlaying(true);
  goTo(isAtEnd || !shown.includes(current) ? shown[0] ?? current : current);
};

// A step that is played by itself ends the film.
const replay = (step) => {
  if (playing) setPlaying(false);
  play(step);
};

const filter = (button) => {
  for (const other of all("[data-filter]")) other.setAttribute("aria-pressed", String(other === button));
  const wanted = button.dataset.filter;
  for (const card of cards) card.hidden = wanted !== "all" && !card.classList.contains(wanted);
  label();
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const step = event.target.closest(".step");
  if (!button) return;
  const { show, episode, go } = button.dataset;
  if (show) showAfter(step, show === "after");
  if (go) move(Number(go));
  if (button.dataset.do === "play") replay(step);
  if (button.dataset.do === "film") film();
  if (button.dataset.do === "list") {
    setPlaying(false);
    stop(current);
    stepping(false);
    history.replaceState(null, "", "#e" + episodeOf(current));
  }
  if (button.dataset.do === "wide") button.setAttribute("aria-pressed", String(step.classList.toggle("wide")));
  if (button.dataset.do === "bare") {
    const bare = step.querySelector(".stage").classList.toggle("bare");
    button.setAttribute("aria-pressed", String(!bare));
  }
  if (button.dataset.do === "differences") {
    button.setAttribute("aria-pressed", String(document.body.classList.toggle("only-differences")));
  }
  if (episode) {
    const first = steps.find((one) => episodeOf(one) === episode);
    if (first && document.body.classList.contains("stepping")) goTo(first);
    else current = first ?? current;
    openEpisode(episode);
    label();
    const open = document.getElementById("e" + episode);
    open?.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
    history.replaceState(null, "", "#e" + episode);
  }
  if (button.dataset.filter) filter(button);
});

player?.querySelector("input").addEventListener("input", (event) => {
  const step = walk()[Number(event.target.value) - 1];
  if (step) goTo(step);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const search = document.querySelector("input[type=search]");
  if (event.key === "/" && search) {
    event.preventDefault();
    search.focus();
    search.select();
  }
  const isStepping = document.body.classList.contains("stepping");
  const step = isStepping ? current : document.querySelector(".episode:not([hidden]) .step");
  if (event.key === "b" && step) showAfter(step, !step.querySelector(".stage")?.classList.contains("shows-after"));
  if (event.key === "p" && step) replay(step);
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!by || !player) return;
  event.preventDefault();
  move(by);
});

// What the address names is shown first.
const named = location.hash.slice(1);
if (named === "last" && player) goTo(steps[steps.length - 1]);
const step = /^step-\d+$/.test(named) && document.getElementById(named.replace("step-", "s"));
if (step && player) goTo(step);
const linked = /^e\d+$/.test(named) && document.getElementById(named);
if (linked && cards.length) {
  openEpisode(linked.dataset.number);
  current = linked.querySelector(".step") ?? current;
  label();
}

// A pointer over a chart shows the values of a step in all charts; each says the newest value up to that step.
const read = (unit, v) => {
  if (unit === "share") return `${(v * 100).toFixed(v > 0 && v < 0.01 ? 2 : 1)} %`;
  const size = Math.abs(v);
  const sign = v < 0 ? "−" : "";
  if (size >= 100) return sign + Math.round(size).toLocaleString("en-US");
  if (size === 0) return "0";
  if (size < 1e-4) return v.toExponential(1);
  return sign + size.toFixed(Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(size)))));
};
const newestAt = (points, step) => {
  let found = null;
  for (const point of points) if (point[0] <= step) found = point;
  return found;
};
const pointsOf = (path) => (path.points ??= JSON.parse(path.dataset.points));
const readOff = (chart, step) => {
  const [left, right, top, floor, bottom, upper] = JSON.parse(chart.querySelector("svg").dataset.frame);
  const x = (at) => left + (at / chart.dataset.last) * (right - left);
  const y = (v) => floor - ((v - bottom) / (upper - bottom)) * (floor - top);
  const rule = chart.querySelector(".rule");
  const dots = chart.querySelector(".dots");
  dots.replaceChildren();
  rule.toggleAttribute("hidden", step === null);
  chart.querySelector("output").textContent = step === null ? "" : `step ${step.toLocaleString("en-US")}`;
  if (step !== null) {
    rule.setAttribute("x1", x(step));
    rule.setAttribute("x2", x(step));
  }
  for (const path of all("path[data-points]", chart)) {
    const points = pointsOf(path);
    const point = step === null ? points[points.length - 1] : newestAt(points, step);
    const shown = chart.querySelector(`.key b[data-line="${path.dataset.line}"]`);
    shown.textContent = point ? read(path.dataset.unit, point[1]) : "–";
    if (step === null || !point) continue;
    const dot = document.createElementNS(dots.namespaceURI, "circle");
    for (const [name, value] of [["cx", x(point[0])], ["cy", y(point[1])], ["r", 3.2]]) dot.setAttribute(name, value);
    dot.setAttribute("class", path.parentElement.classList[0]);
    dots.append(dot);
  }
};
let shownStep = null;
const readAll = (step) => {
  if (step === shownStep) return;
  shownStep = step;
  for (const chart of all(".chart")) readOff(chart, step);
};
const stepUnder = (event) => {
  const svg = event.target.closest?.(".chart svg");
  if (!svg) return null;
  const chart = svg.closest(".chart");
  const [left, right] = JSON.parse(svg.dataset.frame);
  const box = svg.getBoundingClientRect();
  const at = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
  const wanted = ((at - left) / (right - left)) * chart.dataset.last;
  let nearest = null;
  for (const path of all("path[data-points]", chart)) {
    for (const [step] of pointsOf(path)) {
      if (nearest === null || Math.abs(step - wanted) < Math.abs(nearest - wanted)) nearest = step;
    }
  }
  return nearest;
};
for (const kind of ["pointermove", "pointerdown"]) document.addEventListener(kind, (event) => readAll(stepUnder(event)));

// A page that is served follows what it shows: it is loaded again when there is more. Whoever looks at the last
// step sees the newest one; whoever plays, or chooses runs, is not disturbed.
const { follow } = document.body.dataset;
// Puts what is new in the place of the old: what is open and where one looks stays, and what one types.
const renew = async () => {
  const asked = location.pathname + location.search;
  const text = await (await fetch(asked, { cache: "no-store" })).text();
  // Meanwhile something else was asked for.
  if (asked !== location.pathname + location.search) return true;
  const next = new DOMParser().parseFromString(text, "text/html");
  const open = all("details").map((one) => one.open);
  all("details", next).forEach((one, i) => (one.open = open[i] ?? false));
  const parts = (page) => all("[data-renew]", page);
  const names = (page) => parts(page).map((part) => part.dataset.renew).join();
  if (names(document) && names(document) === names(next)) {
    const fresh = parts(next);
    parts(document).forEach((part, i) => part.replaceWith(fresh[i]));
  } else {
    document.querySelector(".wrap").replaceWith(next.querySelector(".wrap"));
  }
  const step = shownStep;
  shownStep = null;
  readAll(step);
  document.body.dataset.version = next.body.dataset.version ?? "";
  return next.body.dataset.follow !== undefined;
};
const look = async () => {
  try {
    const answer = await fetch(follow, { cache: "no-store" });
    const isNew = answer.ok && (await answer.json()).version !== document.body.dataset.version;
    const isFree = !playing && !document.querySelector("tr.run input:checked");
    if (isNew && isFree && "inPlace" in document.body.dataset) {
      if (await renew()) setTimeout(look, 1000);
      return;
    }
    if (isNew && isFree) {
      const isAtEnd = player && current === steps[steps.length - 1];
      if (isAtEnd && document.body.classList.contains("stepping")) history.replaceState(null, "", "#last");
      location.reload();
      return;
    }
  } catch {
    // The server has ended; what was loaded stays.
  }
  setTimeout(look, 1000);
};
if (follow) setTimeout(look, 1000);

// The list of runs is searched while one types. What else is chosen is in the form.
let typed = 0;
document.addEventListener("input", (event) => {
  const form = event.target.closest("form.find");
  if (!form) return;
  clearTimeout(typed);
  typed = setTimeout(async () => {
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value)).toString();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
    try {
      await renew();
    } catch {
      // The server has ended; what was loaded stays.
    }
  }, 250);
});

// Items that are chosen by what they are and by words, and ordered: of an evaluation, of a suite. The address keeps the choice.
const browse = document.querySelector(".browse");
if (browse) {
  const items = all("[data-words]");
  const parent = items[0].parentNode;
  const end = parent.querySelector("footer");
  const search = browse.querySelector("input[type=search]");
  const order = browse.querySelector("[data-sort]");
  const chosen = all("select[data-by]", browse);
  const buttons = all("button[data-by]", browse);
  const press = (button) => {
    for (const other of buttons) if (other.dataset.by === button.dataset.by) other.setAttribute("aria-pressed", String(other === button));
  };
  const known = (item, key) => (item.dataset[key] === undefined ? null : Number(item.dataset[key]));
  // Names and values; what is empty chooses nothing.
  const wishes = () => {
    const pressed = buttons.filter((one) => one.getAttribute("aria-pressed") === "true");
    return [...chosen.map((one) => [one.dataset.by, one.value]), ...pressed.map((one) => [one.dataset.by, one.dataset.is])].filter(([, value]) => value);
  };
  const show = () => {
    const wanted = wishes().map(([by, value]) => `${by}=${value}`);
    const words = search.value.toLowerCase().split(/\s+/);
    const [sign, key] = order.value.startsWith("-") ? [1, order.value.slice(1)] : [-1, order.value];
    // What is not known comes last, whatever the order.
    const inOrder = (a, b) => {
      const [x, y] = [known(a, key), known(b, key)];
      return x === null || y === null ? (x === null) - (y === null) : sign * (x - y);
    };
    let n = 0;
    for (const item of [...items].sort(inOrder)) {
      const values = item.dataset.values.split("\n");
      item.hidden = !(wanted.every((one) => values.includes(one)) && words.every((word) => item.dataset.words.includes(word)));
      n += item.hidden ? 0 : 1;
      parent.insertBefore(item, end);
    }
    browse.querySelector("output").value = `${n} of ${items.length}`;
  };
  const keep = () => {
    const all = [["q", search.value.trim()], ...wishes(), ["sort", order.selectedIndex > 0 ? order.value : ""]].filter(([, value]) => value);
    history.replaceState(null, "", all.length ? `?${new URLSearchParams(all)}` : location.pathname);
  };
  browse.addEventListener("input", () => { show(); keep(); });
  browse.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-by]");
    if (!button) return;
    press(button);
    show();
    keep();
  });
  // What the address names; what it does not know is left out.
  const asked = new URLSearchParams(location.search);
  search.value = asked.get("q") ?? search.value;
  for (const select of [...chosen, order]) {
    const value = asked.get(select.dataset.by ?? "sort");
    if ([...select.options].some((one) => one.value === value)) select.value = value;
  }
  for (const button of buttons) if (asked.get(button.dataset.by) === button.dataset.is) press(button);
  show();
}

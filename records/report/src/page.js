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

const rows = all("tr.run");
const filter = (button) => {
  for (const other of all("[data-filter]")) other.setAttribute("aria-pressed", String(other === button));
  const wanted = button.dataset.filter;
  for (const one of [...cards, ...rows]) one.hidden = wanted !== "all" && !one.classList.contains(wanted);
  // The list of runs is loaded again whenever one goes on.
  if (rows.length) history.replaceState(null, "", "#only-" + wanted);
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
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea")) return;
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

const only = /^only-[a-z]+$/.test(named) && document.querySelector(`[data-filter=${named.slice(5)}]`);
if (only && rows.length) filter(only);

// A page that is served follows what it shows: it is loaded again when there is more. Whoever looks at the last
// step sees the newest one; whoever plays, or chooses runs, is not disturbed.
const { follow, version } = document.body.dataset;
const look = async () => {
  try {
    const answer = await fetch(follow, { cache: "no-store" });
    const isNew = answer.ok && (await answer.json()).version !== version;
    if (isNew && !playing && !document.querySelector("tr.run input:checked")) {
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

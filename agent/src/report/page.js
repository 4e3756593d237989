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

// Plays a step: thoughts, zooms and the click in the order in which they happened.
const play = (step) => {
  const run = (step.dataset.run = String(Number(step.dataset.run || 0) + 1));
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
    if (step.dataset.run === run && step.querySelector(".stage .after")) showAfter(step, true);
  }, pause * (last + 1));
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const step = event.target.closest(".step");
  if (!button) return;
  if (button.dataset.show) showAfter(step, button.dataset.show === "after");
  if (button.dataset.do === "play") play(step);
  if (button.dataset.do === "wide") button.setAttribute("aria-pressed", String(step.classList.toggle("wide")));
  if (button.dataset.do === "bare") {
    const bare = step.querySelector(".stage").classList.toggle("bare");
    button.setAttribute("aria-pressed", String(!bare));
  }
  if (button.dataset.episode) openEpisode(button.dataset.episode, true);
  if (button.dataset.filter) filter(button);
});

const cards = all(".card");
const openEpisode = (number, scroll) => {
  for (const episode of all(".episode")) episode.hidden = episode.dataset.number !== number;
  for (const card of cards) card.setAttribute("aria-current", String(card.dataset.episode === number));
  const open = document.getElementById("e" + number);
  if (scroll && open) open.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  history.replaceState(null, "", "#e" + number);
};

const filter = (button) => {
  for (const other of all("[data-filter]")) other.setAttribute("aria-pressed", String(other === button));
  const wanted = button.dataset.filter;
  for (const card of cards) card.hidden = wanted !== "all" && !card.classList.contains(wanted);
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea")) return;
  const step = document.querySelector(".episode:not([hidden]) .step");
  if (event.key === "b" && step) showAfter(step, !step.querySelector(".stage")?.classList.contains("shows-after"));
  if (event.key === "p" && step) play(step);
  const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const shown = cards.filter((card) => !card.hidden);
  if (!move || shown.length < 2) return;
  const now = shown.findIndex((card) => card.getAttribute("aria-current") === "true");
  const next = shown[Math.min(shown.length - 1, Math.max(0, now + move))];
  event.preventDefault();
  openEpisode(next.dataset.episode, false);
});

const linked = /^#e\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
if (linked && cards.length) openEpisode(linked.dataset.number, false);

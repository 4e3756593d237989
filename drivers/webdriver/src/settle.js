// Watches the page for anything that changes what is visible. `arguments` are what is asked, and for a look the
// quiet time and the longest wait in milliseconds.
//
// "watch": starts anew and answers at once: "calm", or "restless" if something loads or moves already.
// "look": waits until the page is loaded and nothing visible moves. Answers [state, still]: the state is "quiet",
// "opaque" (quiet, but something is visible that only pixels can tell about) or "busy" (the time is over), and
// `still` says that nothing at all has changed since "watch". Behind "opaque" stands the box around all that may move
// without end, in CSS pixels of the viewport, or null.
// Whoever runs this catches what it throws, as a page can change what it is made of, and gives { failed: why }: that is
// not the same as a document that is gone.
const [asked, quietMillis, capMillis] = arguments;

// Names in a page hide what its document and its forms have themselves: everything is asked through prototypes. A page may also
// have classes of its own that are called like those of the browser.
const { Object, Reflect, Symbol, Promise, Element, Document, EventTarget, MutationObserver, SVGElement } = window;
const methodOf = (owner, name) => (on, ...rest) => Reflect.apply(owner[name], on, rest);
const getterOf = (owner, name) => { const { get } = Object.getOwnPropertyDescriptor(owner, name); return (on) => Reflect.apply(get, on, []); };
const all = (selector) => [...methodOf(Document.prototype, "querySelectorAll")(document, selector)];
const boxOf = methodOf(Element.prototype, "getBoundingClientRect");
const matches = methodOf(Element.prototype, "matches");
const nameOf = getterOf(Element.prototype, "localName");
const shadowOf = getterOf(Element.prototype, "shadowRoot");
const listen = methodOf(EventTarget.prototype, "addEventListener");
const unlisten = methodOf(EventTarget.prototype, "removeEventListener");
const fonts = getterOf(Document.prototype, "fonts")(document);

const visible = (element) => {
  const box = boxOf(element);
  return box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0
    && box.left < innerWidth && box.top < innerHeight;
};
const loading = () => getterOf(Document.prototype, "readyState")(document) !== "complete" || fonts?.status === "loading"
  || all("img").some((image) => !image.complete && visible(image));
// What turns for ever, such as a spinner, is not waited for once it has been seen to turn; nor is what takes longer than
// anybody waits.
const ENDLESS_MILLIS = 10_000;
const SEEN_TURNING_MILLIS = 300;
const ends = (animation) => {
  const { endTime } = animation.effect.getComputedTiming();
  const played = Number(animation.currentTime) || 0;
  return Number(endTime) - played < ENDLESS_MILLIS || played < SEEN_TURNING_MILLIS;
};
// Animations bound to scrolling count as running for ever; they move only with the scroll position.
const timeline = getterOf(Document.prototype, "timeline")(document);
const animated = () => methodOf(Document.prototype, "getAnimations")(document).some((animation) =>
  animation.playState === "running" && animation.timeline === timeline
  && animation.effect?.target && visible(animation.effect.target) && ends(animation));
// A page that is being left is not worth a capture, and the browser might never answer one. The page hears of it before
// the next one is asked for, if it listens already: a form is sent in a task of its own. If all that comes is a download,
// the page stays.
const LEAVING = Symbol.for("vigorl.leaving");
const STAYS_AFTER_MILLIS = 500;
if (window[LEAVING] === undefined) {
  Object.defineProperty(window, LEAVING, { value: -Infinity, writable: true });
  const leave = (event) => { if (!event.defaultPrevented) window[LEAVING] = performance.now(); };
  addEventListener("beforeunload", leave);
  addEventListener("submit", leave);
}
const leaving = () => performance.now() - window[LEAVING] < STAYS_AFTER_MILLIS;
const restless = () => loading() || animated() || leaving();
// What script writes into fields is no mutation.
const fields = () => all("input,textarea,select")
  .map((field) => `${field.value}${field.checked ?? ""}`).join("\n");
const moving = "canvas,video,iframe,frame,object,embed,marquee,progress:not([value]),"
  + "animate,animateTransform,animateMotion,set";
const picture = (image) => /\.(gif|apng|webp)\b|^data:image\/(gif|apng|webp)/i.test(image.currentSrc);
const moves = (element) => matches(element, moving) || (nameOf(element) === "img" && picture(element));
const opaque = () => all("*").some((element) =>
  (shadowOf(element) || nameOf(element).includes("-") || moves(element))
  && (visible(element) || element instanceof SVGElement));
// What is drawn of an SVG is moved as a whole.
const drawing = (element) => (element instanceof SVGElement ? element.ownerSVGElement ?? element : element);
const inShadows = (root) => [...root.querySelectorAll("*")]
  .flatMap((element) => [element, ...(shadowOf(element) ? inShadows(shadowOf(element)) : [])]);
const movingBox = () => {
  const boxes = inShadows(document).filter(moves).map(drawing).filter(visible).map(boxOf);
  if (!boxes.length) return null;
  const [left, top] = ["left", "top"].map((side) => Math.min(...boxes.map((box) => box[side])));
  const [right, bottom] = ["right", "bottom"].map((side) => Math.max(...boxes.map((box) => box[side])));
  return [left, top, right, bottom];
};

// What is seen of the page between two requests is kept in the page: a replaced document loses it.
const KEY = Symbol.for("vigorl.watch");
const start = () => {
  window[KEY]?.end();
  const watch = {
    changed: false, still: true, frames: 0, since: performance.now(), fields: fields(), onFrame: () => {},
  };
  const touch = () => { watch.changed = true; watch.still = false; };
  const touchIfVisible = (event) => {
    if (event.target instanceof Element && visible(event.target)) touch();
  };
  const mutations = new MutationObserver(touch);
  mutations.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  const listeners = [[document, "readystatechange", touch], [fonts, "loadingdone", touch],
    [window, "scroll", touch], [window, "resize", touch]];
  for (const name of ["load", "error", "transitionrun", "transitionend", "animationstart", "animationend"]) {
    listeners.push([document, name, touchIfVisible]);
  }
  const options = { capture: true, passive: true };
  for (const [target, name, listener] of listeners) if (target) listen(target, name, listener, options);
  // A page that is not shown gets no frames; the timer keeps the wait finite there.
  const later = () => {
    let ran = false;
    const once = () => {
      if (ran || watch.ended) return;
      ran = true;
      watch.frames += 1;
      watch.onFrame();
      later();
    };
    requestAnimationFrame(once);
    setTimeout(once, 100);
  };
  watch.touch = touch;
  watch.end = () => {
    watch.ended = true;
    clearTimeout(forgotten);
    mutations.disconnect();
    for (const [target, name, listener] of listeners) if (target) unlisten(target, name, listener, options);
    delete window[KEY];
  };
  // If nobody comes back to look, the page is left alone again.
  const forgotten = setTimeout(() => watch.end(), 60_000);
  Object.defineProperty(window, KEY, { value: watch, configurable: true });
  later();
  return watch;
};

if (asked === "watch") {
  const watch = start();
  if (restless()) watch.touch();
  return watch.still ? "calm" : "restless";
}
let watch = window[KEY];
if (!watch) {
  watch = start();
  watch.touch();
}
const began = performance.now();
return new Promise((resolve) => {
  const finish = (answer) => {
    watch.end();
    resolve(answer);
  };
  let waiting;
  const look = (isLast) => {
    if (watch.ended) return;
    const now = performance.now();
    const written = fields();
    if (restless() || written !== watch.fields) watch.touch();
    watch.fields = written;
    if (watch.changed) {
      watch.changed = false;
      watch.since = now;
      watch.frames = 0;
    }
    const quiet = watch.frames >= 2 && now - watch.since >= quietMillis;
    if (!quiet) waiting = undefined;
    // On a busy machine frames are drawn while timers wait: those that are due run before this one. A page may have timers
    // of its own making, which never run.
    if (quiet && waiting === undefined) {
      waiting = now;
      setTimeout(() => looked(true));
    } else if (quiet && (isLast || now - waiting >= 100)) finish(opaque() ? ["opaque", watch.still, movingBox()] : ["quiet", watch.still]);
    else if (now - began >= capMillis) finish(["busy", watch.still]);
  };
  // Frames are counted besides time: a busy machine may not have run the page at all for a while.
  const looked = (isLast) => {
    try {
      look(isLast);
    } catch (error) {
      // What is thrown to a frame is caught by nobody, and the promise would stay open for ever.
      finish({ failed: String(error) });
    }
  };
  watch.onFrame = () => looked(false);
  // The frames since "watch" may be enough already.
  watch.onFrame();
});

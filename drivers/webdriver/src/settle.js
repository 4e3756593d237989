// Waits until the page is loaded and nothing visible moves, at most `capMillis`.
// Answers "quiet", "opaque" (quiet, but something is visible that only pixels can tell about) or "busy".
const [quietMillis, capMillis] = arguments;
const began = performance.now();
let changed = false;
const touch = () => { changed = true; };
const mutations = new MutationObserver(touch);
mutations.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
addEventListener("scroll", touch, { capture: true, passive: true });

const visible = (element) => {
  const box = element.getBoundingClientRect();
  return box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0
    && box.left < innerWidth && box.top < innerHeight;
};
const loading = () => document.readyState !== "complete" || document.fonts?.status === "loading"
  || [...document.images].some((image) => !image.complete && visible(image));
// Animations bound to scrolling count as running for ever; they move only with the scroll position.
const animated = () => (document.getAnimations?.() ?? []).some((animation) =>
  animation.playState === "running" && animation.timeline === document.timeline
  && animation.effect?.target && visible(animation.effect.target));
const moving = "canvas,video,iframe,frame,object,embed,marquee,progress:not([value]),"
  + "animate,animateTransform,animateMotion,set";
const picture = (image) => /\.(gif|apng|webp)\b|^data:image\/(gif|apng|webp)/i.test(image.currentSrc);
const opaque = () => [...document.querySelectorAll("*")].some((element) =>
  (element.shadowRoot || element.localName.includes("-") || element.matches(moving)
    || (element.localName === "img" && picture(element)))
  && (visible(element) || element.namespaceURI.endsWith("svg")));

return new Promise((resolve) => {
  const finish = (answer) => {
    mutations.disconnect();
    removeEventListener("scroll", touch, { capture: true });
    resolve(answer);
  };
  // A page that is not shown gets no frames; the timer keeps the wait finite there.
  const later = () => {
    let ran = false;
    const once = () => { if (!ran) { ran = true; look(); } };
    requestAnimationFrame(once);
    setTimeout(once, 100);
  };
  // Frames are counted besides time: a busy machine may not have run the page at all for a while.
  let quietSince = began;
  let quietFrames = 0;
  const look = () => {
    const now = performance.now();
    if (changed || loading() || animated()) {
      changed = false;
      quietSince = now;
      quietFrames = 0;
    } else {
      quietFrames += 1;
    }
    if (quietFrames >= 2 && now - quietSince >= quietMillis) finish(opaque() ? "opaque" : "quiet");
    else if (now - began >= capMillis) finish("busy");
    else later();
  };
  later();
});

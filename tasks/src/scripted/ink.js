// Whether a person tells what is written from what is behind it, and nothing lies over it. Needs reach.js. What cannot be told,
// such as what a picture shows behind a text, counts for the text.
const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
// Asks once for each element or document, and remembers the answer for as long as the question lasts.
const once = (ask) => {
  const known = new Map();
  return (on) => {
    if (!known.has(on)) known.set(on, ask(on));
    return known.get(on);
  };
};
// Any color of CSS: red, green, blue of 255, and what of it is not let through.
const colorOf = once((text) => {
  pen.fillStyle = '#0000';
  pen.fillStyle = text;
  pen.clearRect(0, 0, 1, 1);
  pen.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
});
const colorsIn = (text) => (text.match(/[a-z-]+\((?:[^()]|calc\([^()]*\))*\)|#[0-9a-f]+|\btransparent\b/gi) || []).filter((part) => !/^(calc|var|url)\(/.test(part)).map(colorOf);
const over = ([r, g, b, a], [x, y, z, u]) => {
  const whole = a + u * (1 - a);
  const mix = (upper, lower) => (whole > 0 ? (upper * a + lower * u * (1 - a)) / whole : 0);
  return [mix(r, x), mix(g, y), mix(b, z), whole];
};
const faded = ([r, g, b, a], share) => [r, g, b, a * Number(share)];
// A person does not tell less than this from each other.
const TOLD_APART = 10;
const areTold = (one, other) => one.slice(0, 3).some((part, at) => Math.abs(part - other[at]) >= TOLD_APART);
const OPAQUE = 0.95;
const isShape = (element) => element instanceof viewOf(documentOf(element)).SVGGeometryElement;
// What an element itself paints behind what is written on it: a color, or null if that is not known.
const paintOf = once((element) => {
  const style = cssOf(element);
  if (/^(img|video|canvas|iframe|object|embed|picture|image|use)$/.test(nameIs(element))) return null;
  if (isShape(element)) return /^(none|rgb)/.test(style.fill) ? faded(colorOf(style.fill), style.fillOpacity) : null;
  // Then the letters have it.
  if (/text/.test(style.webkitBackgroundClip)) return [0, 0, 0, 0];
  const plain = colorOf(style.backgroundColor);
  if (style.backgroundImage === 'none') return plain;
  const colors = colorsIn(style.backgroundImage);
  if (/url\(|image-set|element\(|paint\(/.test(style.backgroundImage) || !colors.length) return null;
  const painted = colors.map((color) => over(color, plain));
  return painted.some((color) => areTold(color, painted[0]) || Math.abs(color[3] - painted[0][3]) > FAINT) ? null : painted[0];
});
const isDark = once((page) => /dark/.test(cssOf(rootElementOf(page)).colorScheme) || allIn(page, 'meta[name=color-scheme]').some((meta) => /dark/.test(attributeOf(meta, 'content'))));
// The color behind a text of an element, whose `layers` lie under each other; null if it is not known.
const behind = (element, layers, isWhole) => {
  let color = [0, 0, 0, 0];
  for (const layer of layers) {
    const paint = paintOf(layer);
    if (!paint) return null;
    color = over(color, paint);
    if (color[3] >= OPAQUE) return color;
    if (!isWhole && cssOf(layer).position !== 'static') return null;
  }
  const page = documentOf(element);
  if (frameAround(page) || isDark(page)) return null;
  const body = bodyOf(page);
  const base = isElement(body) && colorOf(cssOf(rootElementOf(page)).backgroundColor)[3] === 0 ? paintOf(body) : [0, 0, 0, 0];
  return base && over(over(color, base), [255, 255, 255, 1]);
};
// The colors that letters are drawn in.
const inksOf = (element, style) => {
  if (/^(text|tspan|textPath)$/.test(nameIs(element)) && element instanceof viewOf(documentOf(element)).SVGElement) {
    const painted = (paint, share) => (paint === 'none' ? [] : /^url/.test(paint) ? null : [faded(colorOf(paint), share)]);
    const [fill, stroke] = [painted(style.fill, style.fillOpacity), parseFloat(style.strokeWidth) > 0 ? painted(style.stroke, style.strokeOpacity) : []];
    return fill && stroke && [...fill, ...stroke];
  }
  const inks = [colorOf(style.webkitTextFillColor || style.color)];
  if (parseFloat(style.webkitTextStrokeWidth) > 0) inks.push(colorOf(style.webkitTextStrokeColor));
  if (style.textShadow !== 'none') inks.push(...colorsIn(style.textShadow));
  if (/text/.test(style.webkitBackgroundClip)) {
    if (/url\(/.test(style.backgroundImage)) return null;
    inks.push(colorOf(style.backgroundColor), ...colorsIn(style.backgroundImage));
  }
  return inks;
};
// What is drawn behind a text by something that is in no layer: what a style sheet adds to one, what takes no clicks, what is out
// of the flow. Its color counts as another one.
const addsPaint = once((element) => ['::before', '::after'].some((which) => {
  const style = styleOf(element, which);
  return !/^(none|normal)$/.test(style.content) && (style.backgroundImage !== 'none' || colorOf(style.backgroundColor)[3] >= FAINT);
}));
const hasOwnLook = (element) => {
  const style = cssOf(element);
  return /inset/.test(style.boxShadow) || style.mixBlendMode !== 'normal' || (style.backdropFilter || 'none') !== 'none' || addsPaint(element);
};
const looseIn = once((page) => allIn(page, 'body *').filter((element) => {
  const style = cssOf(element);
  if (style.position === 'static' && style.pointerEvents !== 'none') return false;
  const paint = isRendered(element) ? paintOf(element) : [0, 0, 0, 0];
  return !paint || paint[3] >= FAINT || addsPaint(element);
}));
const isPaintedUnder = (element, layers, box) => {
  const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
  const holdsIt = ({ left, top, right, bottom }) => left <= x && x < right && top <= y && y < bottom;
  return layers.some(hasOwnLook) || looseIn(documentOf(element)).some((one) => !isWithin(element, one) && holdsIt(boxOf(one)));
};
// Whether letters of a style in a box, on an element with these layers behind it, are told from what is behind them.
const isInk = (element, style, box, layers, isWhole) => {
  const inks = inksOf(element, style);
  if (!inks) return true;
  const strong = inks.filter((ink) => ink[3] >= FAINT);
  if (!strong.length) return false;
  const back = behind(element, layers, isWhole);
  return !back || strong.some((ink) => areTold(over(ink, back), back)) || isPaintedUnder(element, layers, box);
};
// Letters that are smaller, or more blurred, are read by nobody.
const SMALLEST_PX = 3;
const isMasked = once((element) => {
  if (!element) return false;
  const style = cssOf(element);
  const blur = parseFloat(/blur\(([\d.]+)px\)/.exec(style.filter)?.[1] || 0);
  const mask = style.maskImage || style.webkitMaskImage || 'none';
  const colors = mask === 'none' || /url\(/.test(mask) ? [] : colorsIn(mask);
  const hasNoSize = mask !== 'none' && /^0(px|%)?( 0(px|%)?)?$/.test(style.maskSize || style.webkitMaskSize);
  const isGone = hasNoSize || (colors.length > 0 && colors.every(([, , , a]) => a < FAINT));
  return isGone || blur >= parseFloat(style.fontSize) / 2 || isMasked(aroundOf(element));
});
const isLegible = (element, style) => parseFloat(style.fontSize) >= SMALLEST_PX && !/disc|circle|square/.test(style.webkitTextSecurity || '') && !isMasked(element);
const holdersWith = (element) => {
  const found = [];
  for (let at = element; at; at = holderOf(at)) found.push(at);
  return found;
};
const hasModal = once((page) => allIn(page, ':modal').length > 0);
// Whether nothing of an element can be hit, though it is seen.
const isUntouched = (element, style) => style.pointerEvents === 'none' || Boolean(closestOf(element, '[inert]'))
  || (hasModal(documentOf(element)) && !closestOf(element, ':modal'));
const isOpaque = (element) => {
  if (opacityOf(element) < OPAQUE || cssOf(element).visibility !== 'visible') return false;
  const paint = paintOf(element);
  return Boolean(paint) && paint[3] >= OPAQUE;
};
const scrollsIn = (pane, style) => (isPane(style.overflowY) && highOf(pane) > heightIn(pane) + 1) || (isPane(style.overflowX) && wideOf(pane) > widthIn(pane) + 1);
// Whether scrolling moves what is on an element away from under something that lies over it.
const isUncovered = (element, cover) => {
  const page = documentOf(element);
  const [view, root] = [viewOf(page), rootElementOf(page)];
  const pane = holdersWith(holderOf(element)).find((at) => at !== root && at !== bodyOf(page) && scrollsIn(at, cssOf(at)));
  const stays = holdersWith(cover).some((at) => /fixed|sticky/.test(cssOf(at).position) && !isWithin(element, at)) || (pane && !isWithin(cover, pane));
  const scroller = scrollerOf(page);
  const isFixed = !pane && holdersWith(element).some((at) => cssOf(at).position === 'fixed');
  const scrolls = pane || (isElement(scroller) && !isFixed && (highOf(scroller) > view.innerHeight + 1 || wideOf(scroller) > view.innerWidth + 1));
  if (!stays || !scrolls) return false;
  const shown = pane ? boxOf(pane) : { width: view.innerWidth, height: view.innerHeight };
  const { width, height } = boxOf(cover);
  return width < shown.width - 1 || height < shown.height - 1;
};
// All that is drawn under a text: what is hit there, and those it is drawn in that are never hit.
const layersOf = (element, hit) => {
  const layers = [];
  const rest = holdersWith(element);
  for (const layer of hit) {
    const at = rest.indexOf(layer);
    layers.push(...(at < 0 ? [layer] : rest.splice(0, at + 1)));
  }
  return layers;
};
// Whether a text is drawn in a box of an element, in its own document, and told from what is behind it there. `style` is that of
// the letters.
const isInkIn = (element, style, box, isClipped) => {
  if (!isLegible(element, style)) return false;
  const view = viewOf(documentOf(element));
  // What has no box of its own is hit as what it is in.
  let boxed = element;
  while (holderOf(boxed) && cssOf(boxed).display === 'contents') boxed = holderOf(boxed);
  const root = rootOf(boxed);
  const owner = (typeIn(root) === 9 ? pages : ShadowRoot.prototype).elementsFromPoint;
  const isOnView = (x, y) => x >= 0 && y >= 0 && x < view.innerWidth && y < view.innerHeight && isThere(partOn(element, boxAt(x - 1, y - 1, x + 1, y + 1), false));
  let wasLooked = false;
  for (const share of isUntouched(element, style) ? [] : [0.5, 0.2, 0.8]) {
    const [x, y] = [box.left + share * (box.right - box.left), (box.top + box.bottom) / 2];
    if (!isOnView(x, y)) continue;
    wasLooked = true;
    const stack = Reflect.apply(owner, root, [x, y]);
    const at = stack.indexOf(boxed);
    if (at < 0 && isClipped) continue;
    const cover = stack.slice(0, Math.max(at, 0)).find(isOpaque);
    if (cover && !isUncovered(element, cover)) continue;
    if (isInk(element, style, box, at < 0 ? holdersWith(element) : layersOf(element, stack.slice(at)), at >= 0)) return true;
  }
  return !wasLooked && isInk(element, style, box, holdersWith(element), false);
};

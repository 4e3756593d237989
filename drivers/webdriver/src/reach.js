// What a person sees of a page, and what a click reaches: the one definition for all that asks. Through open shadow roots
// and frames of the same origin, with the transforms and clips on the way. Boxes and points are in CSS pixels of the viewport
// of `TOP`, the outermost document that scripts of this one may look into.
//
// Names of a form's fields hide what a form has itself, and so do names in a document: everything is asked through prototypes.
// A page may also have classes, functions and variables of its own that are called like those of the browser.
const { Object, Reflect, Symbol, Promise, Map, Set, WeakMap, EventTarget, HTMLElement, ShadowRoot, DOMMatrix, DOMPoint, OffscreenCanvas, CSS, Event, MouseEvent, PointerEvent } = window;
// The prototype of something that has a method or a property itself.
const kindWith = (thing, name) => {
  let kind = Object.getPrototypeOf(thing);
  while (kind && !Object.getOwnPropertyDescriptor(kind, name)) kind = Object.getPrototypeOf(kind);
  return kind;
};
const methodOf = (owner, name) => { const method = owner[name]; return (on, ...rest) => Reflect.apply(method, on, rest); };
const getterOf = (owner, name) => { const { get } = Object.getOwnPropertyDescriptor(owner, name); return (on) => Reflect.apply(get, on, []); };
const nodes = kindWith(document, 'nodeType');
const pages = kindWith(document, 'elementFromPoint');
const elements = kindWith(Reflect.apply(pages.createElement, document, ['a']), 'getBoundingClientRect');
const fragments = kindWith(Reflect.apply(pages.createDocumentFragment, document, []), 'querySelectorAll');
const textNodes = kindWith(Reflect.apply(pages.createTextNode, document, ['']), 'assignedSlot');
const matches = methodOf(elements, 'matches');
const closestIn = methodOf(elements, 'closest');
const attributeOf = methodOf(elements, 'getAttribute');
const boxOf = methodOf(elements, 'getBoundingClientRect');
const boxesOf = methodOf(elements, 'getClientRects');
const isRendered = methodOf(elements, 'checkVisibility');
const nameIs = getterOf(elements, 'localName');
const shadowOf = getterOf(elements, 'shadowRoot');
const slotOf = getterOf(elements, 'assignedSlot');
const slotOfText = getterOf(textNodes, 'assignedSlot');
const [leftEdgeOf, topEdgeOf] = [getterOf(elements, 'clientLeft'), getterOf(elements, 'clientTop')];
const [widthIn, heightIn] = [getterOf(elements, 'clientWidth'), getterOf(elements, 'clientHeight')];
const [leftOf, topOf] = [getterOf(elements, 'scrollLeft'), getterOf(elements, 'scrollTop')];
const [wideOf, highOf] = [getterOf(elements, 'scrollWidth'), getterOf(elements, 'scrollHeight')];
const typeIn = getterOf(nodes, 'nodeType');
const parentNodeOf = getterOf(nodes, 'parentNode');
const childrenOf = getterOf(nodes, 'childNodes');
const rootOf = methodOf(nodes, 'getRootNode');
const textIn = getterOf(nodes, 'textContent');
const documentOf = getterOf(nodes, 'ownerDocument');
const pageOf = (node) => documentOf(node) || node;
const viewOf = getterOf(pages, 'defaultView');
const bodyOf = getterOf(pages, 'body');
const rootElementOf = getterOf(pages, 'documentElement');
const scrollerOf = getterOf(pages, 'scrollingElement');
// Only elements of HTML are laid out in whole pixels of their own.
const laidOut = (element, name) => {
  try {
    return getterOf(HTMLElement.prototype, name)(element);
  } catch (error) {
    return 0;
  }
};
const allIn = (root, selector) => {
  const owner = { 1: elements, 9: pages, 11: fragments }[typeIn(root)];
  return [...Reflect.apply(owner.querySelectorAll, root, [selector])];
};
const hitIn = (root, x, y) => Reflect.apply((typeIn(root) === 9 ? pages : ShadowRoot.prototype).elementFromPoint, root, [x, y]);
const isElement = (node) => Boolean(node) && typeIn(node) === 1;
const styleOf = (element, pseudo) => viewOf(pageOf(element)).getComputedStyle(element, pseudo);
// The document inside of a frame, if scripts may look into it.
const insideOf = (frame) => {
  try {
    return /^i?frame$/.test(nameIs(frame)) ? getterOf(kindWith(frame, 'contentDocument'), 'contentDocument')(frame) : null;
  } catch (error) {
    return null;
  }
};
// The frame around the document of an element, if scripts may look out of it.
const frameAround = (page) => {
  const view = viewOf(page);
  try {
    return view && view.frameElement;
  } catch (error) {
    return null;
  }
};
const TOP = (() => {
  let page = document;
  for (let frame = frameAround(page); frame; frame = frameAround(page)) page = documentOf(frame);
  return page;
})();
// What an element is drawn in: a slot, a host or an element, up to the root of its document.
const holderOf = (node) => {
  const slot = isElement(node) ? slotOf(node) : typeIn(node) === 3 ? slotOfText(node) : null;
  if (slot) return slot;
  const parent = parentNodeOf(node);
  if (!parent || typeIn(parent) === 9) return null;
  return typeIn(parent) === 11 ? parent.host || null : parent;
};
// As above, and out of frames.
const aroundOf = (element) => holderOf(element) || frameAround(documentOf(element));
// Documents and open shadow roots, outer ones first, at most so many.
const MOST_ROOTS = 2000;
let known = null;
const roots = () => {
  if (known) return known;
  const found = known = [TOP];
  for (let at = 0; at < found.length && found.length < MOST_ROOTS; at += 1) {
    for (const element of allIn(found[at], '*')) {
      const shadow = shadowOf(element);
      const inside = shadow ? null : insideOf(element);
      if (shadow || inside) found.push(shadow || inside);
    }
  }
  return found;
};
// All elements that a selector finds in any of them. The selector is one of CSS, or this throws.
const all = (selector) => roots().flatMap((root) => allIn(root, selector));
// As `closest`, out of shadow roots as well.
const closestOf = (element, selector) => {
  for (let from = element; from; from = rootOf(from).host) {
    const found = closestIn(from, selector);
    if (found) return found;
  }
  return null;
};
// Whether a node is an element, or drawn or nested in it, in its document.
const isWithin = (inner, outer) => {
  for (let node = inner; node; node = holderOf(node)) if (node === outer) return true;
  for (let node = inner; node; node = parentNodeOf(node) || node.host || null) if (node === outer) return true;
  return false;
};

// Boxes.
const boxAt = (left, top, right, bottom) => ({ left, top, right, bottom });
const widthOf = (box) => box.right - box.left;
const heightOf = (box) => box.bottom - box.top;
const common = (a, b) => boxAt(Math.max(a.left, b.left), Math.max(a.top, b.top), Math.min(a.right, b.right), Math.min(a.bottom, b.bottom));
// Less than a pixel is nothing, and a single one is what pages make of what only assistive software should say.
const isThere = (box) => Boolean(box) && widthOf(box) >= 1 && heightOf(box) >= 1 && (widthOf(box) >= 2 || heightOf(box) >= 2);
const ENDLESS = 1e7;
const everywhere = () => boxAt(-ENDLESS, -ENDLESS, ENDLESS, ENDLESS);

const styles = new WeakMap();
const cssOf = (element) => {
  if (!styles.has(element)) styles.set(element, styleOf(element));
  return styles.get(element);
};
// What an element itself is turned and stretched by.
const turnOf = (style) => {
  const parts = [
    style.rotate && style.rotate !== 'none' && `rotate(${style.rotate})`,
    style.scale && style.scale !== 'none' && `scale(${style.scale.split(' ').slice(0, 2).join(',')})`,
    style.transform !== 'none' && style.transform,
  ].filter((part) => part);
  try {
    return parts.length ? new DOMMatrix(parts.join(' ')) : null;
  } catch (error) {
    return null;
  }
};
// Where the inside of a frame is drawn: a matrix from its viewport into that around it; null if it cannot be told.
const placementOf = (frame) => {
  const [box, style] = [boxOf(frame), cssOf(frame)];
  const px = (name) => parseFloat(style[name]) || 0;
  const edges = ['borderLeftWidth', 'borderRightWidth', 'borderTopWidth', 'borderBottomWidth', 'paddingLeft', 'paddingRight', 'paddingTop', 'paddingBottom'].map(px);
  const [bl, br, bt, bb, pl, pr, pt, pb] = edges;
  const outer = style.boxSizing === 'border-box';
  const width = px('width') + (outer ? 0 : bl + br + pl + pr);
  const height = px('height') + (outer ? 0 : bt + bb + pt + pb);
  let turn = new DOMMatrix();
  for (let at = frame; at; at = holderOf(at)) {
    const own = turnOf(cssOf(at));
    if (own) turn = own.multiply(turn);
  }
  // A transform keeps the middle of a box in the middle of its bounds, whatever it turns around.
  let [a, b, c, d] = [turn.m11, turn.m12, turn.m21, turn.m22];
  const wide = Math.abs(a) * width + Math.abs(c) * height;
  const high = Math.abs(b) * width + Math.abs(d) * height;
  if (!(wide > 0 && high > 0)) return null;
  const [kx, ky] = [box.width / wide, box.height / high];
  // Zoom stretches alike along both axes; anything else is drawn in a way that this does not follow.
  if (Math.abs(kx - ky) > 0.02 * Math.max(kx, ky) + 1 / Math.min(wide, high)) return null;
  if (Math.abs(kx - 1) > 0.01) [a, b, c, d] = [a * kx, b * kx, c * kx, d * kx];
  const [x0, y0] = [bl + pl - width / 2, bt + pt - height / 2];
  const [midX, midY] = [box.left + box.width / 2, box.top + box.height / 2];
  return new DOMMatrix([a, b, c, d, midX + a * x0 + c * y0, midY + b * x0 + d * y0]);
};
const mapped = (matrix, x, y) => { const { x: left, y: top } = matrix.transformPoint(new DOMPoint(x, y)); return [left, top]; };
const mappedBox = (matrix, box) => {
  const corners = [[box.left, box.top], [box.right, box.top], [box.left, box.bottom], [box.right, box.bottom]].map(([x, y]) => mapped(matrix, x, y));
  const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
  return boxAt(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
};

// What is left of a box by `clip` and `clip-path` of an element, as far as they are simple shapes.
const cutBy = (element, style, box) => {
  const own = boxOf(element);
  let left = box;
  const length = (text, whole) => (/%$/.test(text) ? (parseFloat(text) / 100) * whole : parseFloat(text) || 0);
  const rect = /^rect\((.*)\)$/.exec(style.clip);
  if (rect && /absolute|fixed/.test(style.position)) {
    const [t, r, b, l] = rect[1].split(/[\s,]+/).map((text) => (text === 'auto' ? null : parseFloat(text)));
    left = common(left, boxAt(own.left + (l ?? -ENDLESS), own.top + (t ?? -ENDLESS), own.left + (r ?? ENDLESS), own.top + (b ?? ENDLESS)));
  }
  const shape = /^(inset|circle|ellipse|polygon)\(([^()]*)\)/.exec(style.clipPath);
  if (!shape) return left;
  const [, kind, inside] = shape;
  if (kind === 'inset') {
    const sides = inside.split(/\s+round\s/)[0].trim().split(/\s+/);
    const [t, r = t, b = t, l = r] = sides;
    return common(left, boxAt(own.left + length(l, own.width), own.top + length(t, own.height),
      own.right - length(r, own.width), own.bottom - length(b, own.height)));
  }
  if (kind === 'polygon') {
    const points = inside.replace(/^\s*(nonzero|evenodd)\s*,/, '').split(',').map((point) => point.trim().split(/\s+/));
    const xs = points.map(([x]) => own.left + length(x, own.width));
    const ys = points.map(([, y]) => own.top + length(y || '0', own.height));
    return common(left, boxAt(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)));
  }
  // Of round shapes it only counts whether they have a size.
  return inside.split(/\s+at\s/)[0].trim().split(/\s+/).some((radius) => /^0(px|%)?$/.test(radius)) ? boxAt(0, 0, 0, 0) : left;
};
// Whether an element holds those inside of it that are out of the flow.
const holds = (style, isFixed) => style.transform !== 'none' || style.rotate !== 'none' || style.scale !== 'none' || style.translate !== 'none'
  || style.perspective !== 'none' || style.filter !== 'none' || /paint|layout|strict|content/.test(style.contain)
  || /transform|perspective|filter/.test(style.willChange) || (!isFixed && style.position !== 'static');
const isPane = (overflow) => /auto|scroll|overlay/.test(overflow);
// Moved into `frame` along one axis as far as scrolling does, and cut by it.
const intoView = (low, high, from, to) => {
  const size = Math.min(high - low, to - from);
  const start = Math.min(Math.max(low, from), to - size);
  return [start, start + size];
};
// Cut along an axis by a pane that shows `from` to `to` of something that reaches from `begin` to `end`.
const paneCut = (low, high, [from, to], [begin, end], scrolls) => {
  if (!scrolls) return [Math.max(low, from), Math.min(high, to)];
  const [first, last] = [Math.max(low, begin), Math.min(high, end)];
  return last - first < 1 ? [0, 0] : intoView(first, last, from, to);
};
// Along which axes what is in a pane begins at its right or lower end, and goes on beyond the left or upper one.
const runsBack = (style) => {
  const isFlex = /flex$/.test(style.display);
  const isTurned = style.direction === 'rtl';
  const [isRow, isColumn] = ['row-reverse', 'column-reverse'].map((way) => isFlex && style.flexDirection === way);
  if (style.writingMode === 'horizontal-tb') return { x: isTurned !== isRow, y: isColumn };
  return { x: /rl$/.test(style.writingMode) !== isColumn, y: isTurned !== isRow };
};
// What is left of a box by the element that it is drawn in. If `scrolls`, a pane is scrolled to it.
const leftBy = (holder, style, box, scrolls) => {
  let { left, top, right, bottom } = cutBy(holder, style, box);
  if (/^(inline|contents)$/.test(style.display) && nameIs(holder) !== 'svg') return boxAt(left, top, right, bottom);
  const own = boxOf(holder);
  // A transform stretches what is counted in layout pixels.
  const k = (whole, part) => (part > 0 && whole > 0 ? Math.abs(whole / part) : 1);
  const [kx, ky] = [k(own.width, laidOut(holder, 'offsetWidth')), k(own.height, laidOut(holder, 'offsetHeight'))];
  const x = own.left + kx * leftEdgeOf(holder);
  const y = own.top + ky * topEdgeOf(holder);
  if (style.overflowX !== 'visible') {
    const to = x + kx * widthIn(holder);
    const begin = runsBack(style).x ? to - kx * (leftOf(holder) + wideOf(holder)) : x - kx * leftOf(holder);
    [left, right] = paneCut(left, right, [x, to], [begin, begin + kx * wideOf(holder)], scrolls && isPane(style.overflowX));
  }
  if (style.overflowY !== 'visible') {
    const to = y + ky * heightIn(holder);
    const begin = runsBack(style).y ? to - ky * (topOf(holder) + highOf(holder)) : y - ky * topOf(holder);
    [top, bottom] = paneCut(top, bottom, [y, to], [begin, begin + ky * highOf(holder)], scrolls && isPane(style.overflowY));
  }
  return boxAt(left, top, right, bottom);
};
// The overflow of a viewport: that of the root, or else of the body.
const overflowOf = (page) => {
  const [root, body] = [rootElementOf(page), bodyOf(page)];
  const style = cssOf(root);
  const isSet = style.overflowX !== 'visible' || style.overflowY !== 'visible';
  const from = !isSet && isElement(body) ? cssOf(body) : style;
  return { element: from === style ? root : body, x: from.overflowX, y: from.overflowY };
};
// Whether an element is drawn over the whole page, wherever it stands in it: nothing around it cuts it, or makes it faint.
const ON_TOP = ':modal, :popover-open, :fullscreen';
const isOnTop = (element) => {
  try {
    return matches(element, ON_TOP);
  } catch (error) {
    return false;
  }
};
// What is left of a box in an element's own document by all that is around it, in pixels of the viewport of `TOP`; null if
// nothing is. If `scrolls`, all is scrolled to it that a person can scroll.
const partOn = (element, box, scrolls) => {
  const page = documentOf(element);
  const [root, viewport] = [rootElementOf(page), overflowOf(page)];
  let left = cutBy(element, cssOf(element), box);
  let { position } = cssOf(element);
  for (let [inner, holder] = [element, holderOf(element)]; holder && isThere(left) && !isOnTop(inner); [inner, holder] = [holder, holderOf(holder)]) {
    const style = cssOf(holder);
    if (/fixed|absolute/.test(position) && !holds(style, position === 'fixed')) continue;
    // The overflow of these two is that of the viewport.
    if (holder !== root && holder !== viewport.element) left = leftBy(holder, style, left, scrolls);
    ({ position } = style);
  }
  const view = viewOf(page);
  const scroller = scrollerOf(page);
  const isFree = scrolls && position !== 'fixed' && isElement(scroller);
  const along = (low, high, size, at, whole, overflow) => paneCut(low, high, [0, size], [-at, Math.max(size, whole) - at], isFree && !/hidden|clip/.test(overflow));
  if (!isThere(left)) return null;
  const [wide, high] = isElement(scroller) ? [wideOf(scroller), highOf(scroller)] : [0, 0];
  const isRight = cssOf(root).direction === 'rtl';
  const [l, r] = along(left.left, left.right, view.innerWidth, view.scrollX + (isRight ? Math.max(0, wide - view.innerWidth) : 0), wide, viewport.x);
  const [t, b] = along(left.top, left.bottom, view.innerHeight, view.scrollY, high, viewport.y);
  left = boxAt(l, t, r, b);
  if (!isThere(left)) return null;
  const frame = frameAround(page);
  if (!frame) return typeof frameView === 'undefined' || scrolls ? left : common(left, frameView);
  const matrix = placementOf(frame);
  // Of what is drawn in a way that this does not follow, nobody may say that it is not seen.
  if (!matrix) return scrolls ? partOn(frame, boxOf(frame), true) : null;
  const inside = mappedBox(matrix, boxAt(0, 0, view.innerWidth, view.innerHeight));
  const around = common(mappedBox(matrix, left), inside);
  return isThere(around) ? partOn(frame, around, scrolls) : null;
};
// Less of it than this is not seen.
const FAINT = 0.05;
let opacities = new Map();
const opacityOf = (element) => {
  if (!element) return 1;
  if (!opacities.has(element)) {
    const style = cssOf(element);
    const [, amount, unit] = /opacity\(([\d.]+)(%?)\)/.exec(style.filter) || [];
    const filtered = amount === undefined ? 1 : amount / (unit ? 100 : 1);
    opacities.set(element, opacityOf(isOnTop(element) ? frameAround(documentOf(element)) : aroundOf(element)) * parseFloat(style.opacity || 1) * filtered);
  }
  return opacities.get(element);
};
// Whether the back of something is turned to the person, which is not drawn.
const isTurnedAway = (element) => {
  for (let at = element; at; at = holderOf(at)) {
    if (cssOf(at).backfaceVisibility !== 'hidden') continue;
    let turn = new DOMMatrix();
    for (let around = at; around; around = holderOf(around)) {
      const own = turnOf(cssOf(around));
      if (own) turn = own.multiply(turn);
      const holder = holderOf(around);
      if (!holder || cssOf(holder).transformStyle !== 'preserve-3d') break;
    }
    if (turn.m33 < 0) return true;
  }
  return false;
};
// Before each question: what was found out may have changed.
const lookAfresh = () => { opacities = new Map(); known = null; };
// Whether an element has a box, or takes part in that of its parent.
const isLaidOut = (element) => {
  let at = element;
  while (at && cssOf(at).display === 'contents') at = holderOf(at);
  return Boolean(at) && isRendered(at) && cssOf(element).visibility === 'visible';
};
// Whether an element is drawn at all: displayed, not hidden, not transparent, and so are the frames around it.
const isDrawn = (element) => {
  for (let at = element; at; at = frameAround(documentOf(at))) {
    if (!isLaidOut(at)) return false;
  }
  return opacityOf(element) >= FAINT && !isTurnedAway(element);
};
// The boxes of an element; of one without boxes of its own, those of what is inside.
const ownBoxes = (element) => {
  const own = [...boxesOf(element)].filter(isThere);
  if (own.length || cssOf(element).display !== 'contents') return own;
  const shadow = shadowOf(element);
  return [...childrenOf(shadow || element)].filter(isElement).flatMap((child) => ownBoxes(child));
};
// Whether a person sees something of an element, wherever the page has to be scrolled for that.
const isSeen = (element) => isDrawn(element) && ownBoxes(element).some((box) => isThere(partOn(element, box, true)));

// The innermost element at a point of `TOP`, the frames around it, and the point in the innermost of them.
const deepest = (x, y, page = TOP, frames = []) => {
  let element = hitIn(page, x, y);
  while (element && shadowOf(element)) {
    const inner = hitIn(shadowOf(element), x, y);
    if (!inner || inner === element || rootOf(inner) !== shadowOf(element)) break;
    element = inner;
  }
  const inside = element && insideOf(element);
  const matrix = inside && placementOf(element);
  if (!matrix) return { element, frames, x, y };
  const [left, top] = mapped(matrix.inverse(), x, y);
  const deeper = deepest(left, top, inside, [...frames, element]);
  return deeper.element ? deeper : { element, frames, x, y };
};
// A box in an element's own document, in pixels of `TOP`.
const inTop = (element, box) => {
  const frame = frameAround(documentOf(element));
  const matrix = frame && placementOf(frame);
  return matrix ? inTop(frame, mappedBox(matrix, box)) : box;
};
// Controls that a person works, and elements that act on a click by their kind.
const CONTROLS = 'button, input, select, textarea, option, optgroup';
const ACTS = 'a[href], button, input, select, textarea, summary, [role=button], [role=link], [role=tab], [role=menuitem], '
  + '[role=checkbox], [role=radio], [role=option], [role=switch], [onclick]';
// Whether an element is disabled, or is part of what is. A fieldset disables controls, and nothing else that is in it.
const DISABLED = '[aria-disabled=true i], [inert]';
const isDisabled = (element) => {
  const control = closestOf(element, CONTROLS);
  if (control && matches(control, ':disabled')) return true;
  if (closestOf(element, DISABLED)) return true;
  const label = closestOf(element, 'label');
  const labelled = label && label.control;
  if (isElement(labelled) && (!control || control === labelled) && (matches(labelled, ':disabled') || closestOf(labelled, DISABLED))) return true;
  return Boolean(closestOf(element, ACTS)) && cssOf(element).cursor === 'not-allowed';
};
const labelsOf = (element) => (matches(element, 'button, input, meter, output, progress, select, textarea') ? [...(element.labels || [])] : []);
// Whether a click that arrives at `inner` is one on `element`: on it or on what is in it, or on its label. What an ancestor
// gets, the element does not.
const receives = (element, inner) => {
  if (!inner) return false;
  if (isWithin(inner, element)) return true;
  for (let frame = frameAround(documentOf(inner)); frame; frame = frameAround(documentOf(frame))) if (frame === element) return true;
  const label = labelsOf(element).find((one) => isWithin(inner, one));
  // In a label, another control keeps its clicks.
  const acting = label && closestOf(inner, ACTS);
  return Boolean(label) && (!acting || acting === element || !isWithin(acting, label));
};
// The pixel of a point, as it is clicked: in its middle a box may have a fraction.
const clicked = (box) => [Math.floor((box.left + box.right) / 2), Math.floor((box.top + box.bottom) / 2)];
// Shares of a box at which it is tried, the middle first.
const TRIED = [0.5, 0.25, 0.75, 0.1, 0.9];
// What has the clicks at `inner`, if that is something else that acts inside of an element, such as the link in a label.
const takerOf = (element, inner) => {
  const acting = closestOf(inner, ACTS);
  const isOther = acting && acting !== element && !(nameIs(element) === 'label' && acting === element.control);
  return isOther && isWithin(acting, element) ? acting : null;
};
// What acts by itself has clicks of its own, and so has every other control inside of it: those are not its own, as long as
// there is a free spot. A label without one has no click to give to what it labels.
const spotIn = (element, part) => {
  const [width, height] = [widthOf(part), heightOf(part)];
  const isLabel = nameIs(element) === 'label';
  const acts = isLabel || matches(element, ACTS);
  const seen = (box) => { const [x, y] = clicked(box); return deepest(x, y).element; };
  const isReached = (inner) => receives(element, inner);
  const isOwn = (inner) => isReached(inner) && !(acts && takerOf(element, inner));
  const over = seen(part);
  if (isOwn(over)) return { part };
  const [dx, dy] = [Math.max(1, width / 10), Math.max(1, height / 10)];
  for (const y of TRIED) {
    for (const x of TRIED) {
      const [midX, midY] = [part.left + x * width, part.top + y * height];
      const spot = common(part, boxAt(midX - dx, midY - dy, midX + dx, midY + dy));
      if (isThere(spot) && isOwn(seen(spot))) return { part: spot };
    }
  }
  return isReached(over) && !isLabel ? { part } : { over };
};
const largestOf = (boxes) => boxes.reduce((a, b) => (widthOf(b) * heightOf(b) > widthOf(a) * heightOf(a) ? b : a), boxes[0]);
// Native controls are often transparent over what is drawn instead of them, and take the click. A field for text is none of
// them: what is typed into it would be seen by nobody.
const STANDS_IN = `select, ${['checkbox', 'radio', 'file', 'color', 'range'].map((type) => `input[type=${type}]`).join(', ')}`;
// The part of an element that a click reaches, or why none does. `cure` says what may help: to wait, or to scroll.
const reachOf = (element, what) => {
  const label = isSeen(element) ? null : labelsOf(element).find(isSeen);
  if (label) return reachOf(label, what);
  const holder = holderOf(element);
  const isCovered = matches(element, STANDS_IN) && holder && isLaidOut(element) && isSeen(holder);
  if (!isCovered && !isDrawn(element)) return { reason: `${what} is hidden`, cure: 'wait' };
  const boxes = ownBoxes(element);
  if (!boxes.length) return { reason: `${what} takes no room`, cure: 'wait' };
  const parts = boxes.map((box) => partOn(element, box, false)).filter(isThere);
  if (!parts.length) {
    if (boxes.some((box) => isThere(partOn(element, box, true)))) {
      return { reason: `${what} is outside of what the page shows: scroll to it first`, cure: 'scroll' };
    }
    return { reason: `${what} is cut off, where nobody can see it or scroll to it`, cure: 'wait' };
  }
  const tried = parts.sort((a, b) => widthOf(b) * heightOf(b) - widthOf(a) * heightOf(a)).slice(0, 5).map((part) => spotIn(element, part));
  const spot = tried.find(({ part }) => part);
  if (spot) return spot.part;
  if (cssOf(element).pointerEvents === 'none') return { reason: `${what} takes no clicks: its style is \`pointer-events: none\``, cure: 'wait' };
  if (closestOf(element, '[inert]')) return { reason: `${what} takes no clicks: it is inert`, cure: 'wait' };
  const { over } = tried[0];
  return { reason: `${what} is covered by ${over ? `a <${nameIs(over)}>` : 'something'}`, cure: 'uncover' };
};
// Frames of another origin, whose inside no script of this page may look into. Whoever goes there goes from frame to frame, and
// names each in the document that it stands in: what is said here is the next frame on the way from this script's document.
const isForeign = (element) => /^i?frame$/.test(nameIs(element)) && !insideOf(element);
const numbers = (matrix) => [matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f];
const placementInTop = (frame) => {
  let matrix = placementOf(frame);
  for (let at = frameAround(documentOf(frame)); at && matrix; at = frameAround(documentOf(at))) {
    const around = placementOf(at);
    matrix = around && around.multiply(matrix);
  }
  return matrix;
};
const nextTo = (frame) => {
  let at = frame;
  while (at && documentOf(at) !== document) at = frameAround(documentOf(at));
  return at;
};
// All that are behind the frames of this document: of another origin, with its placement in the viewport of `TOP` and the box of
// its own viewport that is on view; or of this one, with null, once.
const foreignFrames = () => {
  lookAfresh();
  const found = new Map();
  for (const frame of all('iframe, frame').filter((one) => isForeign(one) && isSeen(one))) {
    const [next, matrix] = [nextTo(frame), placementInTop(frame)];
    if (!next || !matrix) continue;
    if (next !== frame) found.set(next, [next, null]);
    else {
      const part = partOn(frame, boxOf(frame), false);
      found.set(frame, [frame, numbers(matrix), part ? mappedBox(matrix.inverse(), part) : boxAt(0, 0, 0, 0)]);
    }
  }
  return [...found.values()];
};
// The next frame on the way to such a frame at a point of `TOP`: with its placement and the point in its own viewport, or with
// null if it is of this origin; null if there is none.
const foreignAt = (x, y) => {
  lookAfresh();
  const { element } = deepest(x, y);
  const matrix = element && isForeign(element) && placementInTop(element);
  const next = matrix && nextTo(element);
  if (!next) return null;
  return next === element ? [element, numbers(matrix), ...mapped(matrix.inverse(), x, y)] : [next, null];
};
// The middle of an element in the viewport of its document, or of one around that.
const middleIn = (element, page) => {
  let box = largestOf([...boxesOf(element)]) || boxOf(element);
  for (let at = element; documentOf(at) !== page; at = frameAround(documentOf(at))) {
    const matrix = placementOf(frameAround(documentOf(at)));
    if (matrix) box = mappedBox(matrix, box);
  }
  return [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
};
// Scrolls all panes and pages around an element so that it stands in their middle, as far as a person could scroll them;
// false if nothing moved.
const scrollTo = (element) => {
  let hasMoved = false;
  const moved = (pane, dx, dy) => {
    const [x, y] = [leftOf(pane), topOf(pane)];
    methodOf(elements, 'scrollBy')(pane, { left: dx, top: dy, behavior: 'instant' });
    hasMoved = hasMoved || leftOf(pane) !== x || topOf(pane) !== y;
  };
  for (let at = element; at; at = frameAround(documentOf(at))) {
    const page = documentOf(at);
    const viewport = overflowOf(page);
    const middle = () => middleIn(element, page);
    for (let pane = holderOf(at); pane; pane = holderOf(pane)) {
      const style = cssOf(pane);
      if (pane === viewport.element || pane === rootElementOf(page)) continue;
      const box = boxOf(pane);
      const [x, y] = middle();
      moved(pane, isPane(style.overflowX) ? x - (box.left + box.right) / 2 : 0, isPane(style.overflowY) ? y - (box.top + box.bottom) / 2 : 0);
    }
    const scroller = scrollerOf(page);
    const view = viewOf(page);
    const [x, y] = middle();
    const free = (overflow, by) => (/hidden|clip/.test(overflow) ? 0 : by);
    if (isElement(scroller)) moved(scroller, free(viewport.x, x - view.innerWidth / 2), free(viewport.y, y - view.innerHeight / 2));
  }
  return hasMoved;
};

// The text that a person reads on a page, needs reach.js: in the order of the page, through open shadow roots and frames, with
// what stands in fields and what style sheets put before and after elements. What is hidden, transparent, cut off, of no size
// or of the color behind it is not read.
const evened = (text) => text.replace(/[\u00ad\u200b-\u200d\u2060\ufeff]/g, '').replace(/\s+/g, ' ').trim();
const drawn = new Map();
const isDrawnOnce = (element) => {
  if (!drawn.has(element)) drawn.set(element, isDrawn(element));
  return drawn.get(element);
};
const colorOf = (text) => {
  const [r, g, b, a = 1] = (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  return { rgb: [r, g, b].join(), a: /^rgb/.test(text) ? a : 1, isPlain: /^rgb/.test(text) };
};
// Whether text of this color is told from what is behind it. Of what is drawn over each other out of the flow that is not
// known: it counts as told.
const isInk = (element, style) => {
  const ink = colorOf(style.webkitTextFillColor || style.color);
  const isOutlined = parseFloat(style.webkitTextStrokeWidth) > 0 || style.textShadow !== 'none' || /text/.test(style.webkitBackgroundClip);
  if (isOutlined || !ink.isPlain) return true;
  if (ink.a < FAINT) return false;
  for (let at = element; at; at = holderOf(at)) {
    const behind = cssOf(at);
    const back = colorOf(behind.backgroundColor);
    if (behind.backgroundImage !== 'none' || !back.isPlain || (back.a > 0 && back.a < 1)) return true;
    if (back.a === 1) return back.rgb !== ink.rgb;
    if (behind.position !== 'static') return true;
  }
  return ink.rgb !== '255,255,255' || frameAround(documentOf(element)) !== null;
};
const partOfText = (element, style, box) => {
  const { element: scroller } = overflowOf(documentOf(element));
  const isViewport = element === scroller || element === rootElementOf(documentOf(element));
  const left = isViewport ? box : leftBy(element, style, box, true);
  return isThere(left) ? partOn(element, left, true) : null;
};
// Which share of a box of text is shown: of its area, and of its width.
const sharesOf = (element, style, box) => {
  const part = box.width > 0 && box.height > 0 && partOfText(element, style, box);
  if (!part) return [0, 0];
  const whole = inTop(element, box);
  const [width, height] = [widthOf(whole), heightOf(whole)];
  return [(widthOf(part) * heightOf(part)) / (width * height), (widthOf(part) + 1) / width];
};
// The words of a text that are shown.
const shownIn = (text, element) => {
  const style = cssOf(element);
  if (!text.data.trim() || !isDrawnOnce(element) || !isInk(element, style)) return '';
  const range = methodOf(pages, 'createRange')(documentOf(element));
  const boxes = (from, to) => { range.setStart(text, from); range.setEnd(text, to); return [...range.getClientRects()]; };
  const all = boxes(0, text.data.length).filter((box) => box.width > 0 && box.height > 0);
  const isWhole = (box) => { const [area, width] = sharesOf(element, style, box); return area >= 0.5 && width >= 0.98; };
  if (all.length && all.every(isWhole)) return text.data;
  return [...text.data.matchAll(/\s+|\S+/g)]
    .filter(({ 0: word, index }) => !word.trim() || boxes(index, index + word.length).some((box) => sharesOf(element, style, box)[0] >= 0.5))
    .map(([word]) => word).join('');
};
const cased = (text, style) => ({
  uppercase: () => text.toUpperCase(),
  lowercase: () => text.toLowerCase(),
  capitalize: () => text.replace(/(^|\s)(\p{L})/gu, (_, before, letter) => before + letter.toUpperCase()),
}[style.textTransform] || (() => text))();
// What a style sheet puts before or after an element.
const addedTo = (element, which) => {
  const style = styleOf(element, which);
  const words = [...style.content.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word]) => word.replace(/\\(.)/g, '$1')).join('');
  const isOut = [style.left, style.top, style.textIndent].some((px) => parseFloat(px) < -999);
  const isPart = words.trim() && style.display !== 'none' && style.visibility === 'visible' && parseFloat(style.opacity) >= FAINT
    && parseFloat(style.fontSize) > 0 && colorOf(style.color).a >= FAINT && !isOut && isDrawnOnce(element)
    && ownBoxes(element).some((box) => partOfText(element, cssOf(element), box));
  return isPart ? cased(words, style) : '';
};
const UNTOLD = 'input[type=password], input[type=hidden], input[type=checkbox], input[type=radio], input[type=range], input[type=color], input[type=image]';
// What stands in a field.
const writtenIn = (field) => {
  if (nameIs(field) === 'select') {
    const isList = field.multiple || field.size > 1;
    return [...field.options].filter((option) => (isList ? isSeen(option) : option.selected)).map((option) => option.label).join(' ');
  }
  if (matches(field, 'input[type=file]')) return [...field.files].map((file) => file.name).join(' ');
  return matches(field, ':placeholder-shown') ? field.placeholder : field.value;
};
// Stands between what does not stand on one line.
const BREAK = [' ', ' '];
// Stands around what is a box on a line, such as a button: nothing is written there, and no word goes on.
const EDGE = ['', ''];
// Which of the pairs an element shows.
const spans = new Map();
// Adds what a node shows as pairs: as it is written, and as it is drawn.
const read = (node, into) => {
  const from = into.length;
  readInto(node, into);
  if (isElement(node)) spans.set(node, [from, into.length]);
};
const readInto = (node, into) => {
  const add = (text, style) => { if (text) into.push([text, style ? cased(text, style) : text]); };
  const part = () => into.push(BREAK);
  const addLines = (text, style) => text.split('\n').forEach((line, at) => { if (at) part(); add(line, style); });
  if (typeIn(node) === 3) {
    const holder = holderOf(node);
    if (!holder || matches(holder, 'script, style, noscript, template')) return;
    const style = cssOf(holder);
    (/^(pre|break-spaces)/.test(style.whiteSpace) ? addLines : add)(shownIn(node, holder), style);
    return;
  }
  if (!isElement(node)) return;
  const style = cssOf(node);
  if (style.display !== 'contents' && !isRendered(node)) return;
  const isApart = nameIs(node) === 'br' || !/^(inline|contents|ruby)/.test(style.display);
  const isBox = /^inline-/.test(style.display);
  if (isApart) part();
  if (isBox) into.push(EDGE);
  if (matches(node, 'input, textarea, select')) {
    if (!matches(node, UNTOLD) && isSeen(node)) { part(); addLines(writtenIn(node)); part(); }
    return;
  }
  add(addedTo(node, '::before'));
  const shadow = shadowOf(node);
  const inside = shadow ? null : insideOf(node);
  const slotted = nameIs(node) === 'slot' && rootOf(node).host ? node.assignedNodes() : [];
  const parts = inside ? [rootElementOf(inside)] : slotted.length ? slotted : [...childrenOf(shadow || node)];
  if (inside) part();
  for (const child of parts) if (child) read(child, into);
  if (inside) part();
  add(addedTo(node, '::after'));
  if (isBox) into.push(EDGE);
  if (isApart) part();
};
// All that a person can read, in pairs.
const readAll = () => {
  const pairs = [];
  if (rootElementOf(TOP)) read(rootElementOf(TOP), pairs);
  return pairs;
};
// What stands together in pairs, as one text: as it is written, and as it is drawn.
const together = (pairs) => [0, 1].map((which) => evened(pairs.map((pair) => pair[which]).join('')));
// Whether all words of a text stand anywhere, seen or not, as far as that is quickly told: it takes a while to find out what
// is seen of a large page.
const isWritten = (text) => {
  if (roots().some((root) => typeIn(root) === 11)) return true;
  const fields = all('input, textarea').flatMap((field) => [field.value, field.placeholder, ...[...(field.files || [])].map((file) => file.name)]);
  const written = [...roots().map((root) => textIn(rootElementOf(root) || root)), ...fields, ...all('option').map((option) => option.label)];
  const whole = evened(written.join(' ')).toLowerCase();
  if (evened(text).toLowerCase().split(' ').every((word) => whole.includes(word))) return true;
  const isAdded = (style) => /"/.test(style.content);
  return all('*').some((element) => isAdded(styleOf(element, '::before')) || isAdded(styleOf(element, '::after')));
};
// Whether a person can read a text, in the letters of the page or in those that a style makes of them.
const isRead = (text) => {
  lookAfresh();
  if (!isWritten(text)) return false;
  const wanted = evened(text);
  return together(readAll()).some((whole) => whole.includes(wanted));
};
// The lines of text that a person can read, as they are written and as they are drawn.
const linesRead = () => {
  lookAfresh();
  const lines = [[]];
  for (const pair of readAll()) {
    if (pair === BREAK) lines.push([]);
    else lines.at(-1).push(pair);
  }
  return [...new Set(lines.flatMap(together))].filter((line) => line);
};

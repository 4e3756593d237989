// The text that a person reads on a page, needs reach.js and ink.js: in the order of the page, through open shadow roots and frames, with
// what stands in fields and what style sheets put before and after elements. What is hidden, transparent, cut off, of no size
// or of the color behind it is not read.
const evened = (text) => text.replace(/[\u00ad\u200b-\u200d\u2060\ufeff]/g, '').replace(/\s+/g, ' ').trim();
const drawn = new Map();
const isDrawnOnce = (element) => {
  if (!drawn.has(element)) drawn.set(element, isDrawn(element));
  return drawn.get(element);
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
// Whether the end of lines is left out where an element has no room for it: then what is left of a word has a box of its own.
const isCut = (element) => {
  let block = element;
  while (block && /^(inline|contents)$/.test(cssOf(block).display)) block = holderOf(block);
  return Boolean(block) && cssOf(block).textOverflow !== 'clip' && cssOf(block).overflowX !== 'visible' && wideOf(block) > widthIn(block);
};
// The words of a text that are shown.
const shownIn = (text, element) => {
  const style = cssOf(element);
  if (!text.data.trim() || !isDrawnOnce(element)) return '';
  const range = methodOf(pages, 'createRange')(documentOf(element));
  const boxes = (from, to) => { range.setStart(text, from); range.setEnd(text, to); return [...range.getClientRects()]; };
  const all = boxes(0, text.data.length).filter((box) => box.width > 0 && box.height > 0);
  const isWhole = (box) => { const [area, width] = sharesOf(element, style, box); return area >= 0.5 && width >= 0.98; };
  if (all.length && !all.some((box) => isInkIn(element, style, box, true))) return '';
  const isLeftOut = isCut(element);
  if (all.length && all.every(isWhole) && !isLeftOut) return text.data;
  const isPart = (box) => sharesOf(element, style, box)[0] >= 0.5;
  const isShownWord = (found) => (isLeftOut && found.length ? isPart(found.reduce((a, b) => (b.width > a.width ? b : a))) : found.some(isPart));
  return [...text.data.matchAll(/\s+|\S+/g)]
    .filter(({ 0: word, index }) => !word.trim() || isShownWord(boxes(index, index + word.length)))
    .map(([word]) => word).join('');
};
const cased = (text, style) => ({
  uppercase: () => text.toUpperCase(),
  lowercase: () => text.toLowerCase(),
  capitalize: () => text.replace(/(^|\s)(\p{L})/gu, (_, before, letter) => before + letter.toUpperCase()),
}[style.textTransform] || (() => text))();
// What a style sheet puts before or after an element. Where it is drawn nobody tells: what is moved or cut there counts as hidden.
const addedTo = (element, which) => {
  const style = styleOf(element, which);
  const words = [...style.content.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word]) => word.replace(/\\(.)/g, '$1')).join('');
  if (!words.trim() || style.display === 'none' || style.visibility !== 'visible' || !isDrawnOnce(element) || !isLegible(element, style)) return '';
  const px = (name) => parseFloat(style[name]);
  const isFlat = /hidden|clip|auto|scroll/.test(style.overflow) && (px('width') < 2 || px('height') < 2);
  const turn = turnOf(style);
  const isGone = parseFloat(style.opacity) < FAINT || isFlat || (turn && Math.abs(turn.m11 * turn.m22 - turn.m12 * turn.m21) < 0.01)
    || style.clipPath !== 'none' || (/absolute|fixed/.test(style.position) && /^rect\(/.test(style.clip)) || Math.abs(px('textIndent')) > 99 || isOff(element, style, turn);
  const isPart = !isGone && isInk(element, style, boxOf(element), holdersWith(element), false) && ownBoxes(element).some((box) => partOfText(element, cssOf(element), box));
  return isPart ? cased(words, style) : '';
};
// Whether what is put there is moved out of the page, or of what the element itself cuts.
const isOff = (element, style, turn) => {
  if (!/absolute|fixed|relative/.test(style.position) && !turn) return false;
  const px = (name) => parseFloat(style[name]) || 0;
  const [dx, dy] = [turn ? turn.m41 : 0, turn ? turn.m42 : 0];
  const own = boxOf(element);
  const from = /absolute|fixed/.test(style.position) ? [px('left'), px('top')] : [0, 0];
  const by = style.position === 'relative' ? [px('left'), px('top')] : [0, 0];
  const [left, top] = [own.left + from[0] + by[0] + dx, own.top + from[1] + by[1] + dy];
  const [width, height] = [px('width') || 1, px('height') || 1];
  const page = scrollerOf(documentOf(element));
  const [sx, sy] = isElement(page) ? [leftOf(page), topOf(page)] : [0, 0];
  return left + width + sx <= 0 || top + height + sy <= 0;
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
// Whether what stands in a field is read there.
const isReadIn = (field) => {
  const style = matches(field, 'input:placeholder-shown, textarea:placeholder-shown') ? styleOf(field, '::placeholder') : cssOf(field);
  const box = largestOf(ownBoxes(field));
  return Boolean(box) && Math.abs(parseFloat(cssOf(field).textIndent)) < 99 && parseFloat(style.opacity) >= FAINT && isInkIn(field, style, box, false);
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
    if (!matches(node, UNTOLD) && isSeen(node) && isReadIn(node)) { part(); addLines(writtenIn(node)); part(); }
    return;
  }
  add(addedTo(node, '::before'));
  const shadow = shadowOf(node);
  const inside = shadow ? null : insideOf(node);
  const slotted = nameIs(node) === 'slot' && rootOf(node).host ? node.assignedNodes() : [];
  const parts = inside ? [rootElementOf(inside)] : slotted.length ? slotted : partsOf(node, style, shadow);
  if (inside) part();
  for (const child of parts) if (child) read(child, into);
  if (inside) part();
  add(addedTo(node, '::after'));
  if (isBox) into.push(EDGE);
  if (isApart) part();
};
// What of an element is laid out inside of it.
const partsOf = (node, style, shadow) => {
  if (style.contentVisibility === 'hidden') return [];
  const children = [...childrenOf(shadow || node)];
  if (nameIs(node) === 'svg' || nameIs(node) === 'g') return children.filter((child) => !isElement(child) || !/^(defs|symbol|clipPath|mask|pattern|marker|title|desc|metadata)$/.test(nameIs(child)));
  if (nameIs(node) !== 'details' || node.open) return children;
  return children.filter((child) => isElement(child) && nameIs(child) === 'summary').slice(0, 1);
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

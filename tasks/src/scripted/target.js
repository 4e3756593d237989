// Finds an element for a place and says which part of it can be clicked: a box in CSS pixels of the viewport, or why there
// is none, and whether it may help to wait (`wait`, `uncover`) or to scroll (`scroll`). Needs reach.js, names.js
// and narrow.js.
const found = ({ selector, name, names, role, exact }) => {
  if (selector !== undefined) return all(selector);
  if (names !== undefined) return calledOneOf(names, role);
  if (name === undefined) return ofRole(role);
  return exact === false ? calledAbout(name, role) : called(name, role);
};
// What has a label on view can be clicked there, and transparent boxes under what is drawn instead of them.
const isShown = (element) => isSeen(element) || labelsOf(element).some(isSeen) || (matches(element, STANDS_IN) && !reachOf(element, '').reason);
// The elements that fit, and those of them that are shown where they are meant: in the order of the page, at most so many.
const fitting = (wanted, isTaken, most = Infinity) => {
  lookAfresh();
  let candidates;
  try {
    candidates = inOrder(found(wanted));
  } catch (error) {
    if (error.name !== 'SyntaxError') throw error;
    return { reason: `\`${wanted.selector}\` is no CSS selector` };
  }
  if (wanted.in !== undefined) return { candidates, shown: inside(candidates.filter(isTaken), wanted.in).slice(0, most) };
  const shown = [];
  for (const element of candidates) {
    if (shown.length >= most) break;
    if (isTaken(element)) shown.push(element);
  }
  return { candidates, shown };
};
// Of several that fit, this many are described.
const MOST_TOLD = 5;
const toldOf = (element) => {
  const { left, top, right, bottom } = inTop(element, boxOf(element));
  return { role: roleOf(element), name: nameOf(element).slice(0, 80), row: rowOf(element), left, top, right, bottom };
};
// The one element that is meant and shown, or why there is none; and how many there are.
const pick = (wanted, isTaken = isShown) => {
  const { what, nth, selector } = wanted;
  const isFirst = selector !== undefined && nth === undefined;
  const { candidates, shown, reason } = fitting(wanted, isTaken, isFirst ? 1 : nth);
  if (reason) return { reason, n: 0 };
  const n = shown.length;
  if (!n) {
    const isHidden = candidates.length > 0 && (wanted.in === undefined || !candidates.some(isTaken));
    return { reason: isHidden ? `${what} is hidden` : `the page has no ${what}`, cure: 'wait', is_missing: !isHidden, n };
  }
  if (nth !== undefined && n < nth) return { reason: `the page has ${what} ${n === 1 ? 'once' : `${n} times`}, and no number ${nth}`, cure: 'wait', n };
  if (nth === undefined && n > 1) return { reason: `the page has ${n} times ${what}`, candidates: shown.slice(0, MOST_TOLD).map(toldOf), n };
  return { element: shown[(nth || 1) - 1], what, n };
};
// How many there are, at most so many.
const countOf = (wanted, isTaken, most) => {
  const { shown, reason } = fitting(wanted, isTaken, most);
  return reason ? { reason } : { n: shown.length };
};
const locate = (wanted) => {
  const { element, what, n, ...absence } = pick(wanted);
  return element ? { ...reachOf(element, what), n } : { ...absence, n };
};
// As `locate`, for somebody who is about to act there: what moves is not there yet, and what is disabled takes nothing.
const aimAt = async (wanted) => {
  const { element, what, n, ...absence } = pick(wanted);
  if (!element) return { ...absence, n };
  if (wanted.acts && isDisabled(element)) return { reason: `${what} is disabled`, cure: 'wait', n };
  const frames = [];
  for (let at = element; at; at = aroundOf(at)) frames.push(...runningOn(at));
  const before = inTop(element, boxOf(element));
  await frameOf(frames.length ? 2 : 1);
  const after = inTop(element, boxOf(element));
  const isSame = (side) => Math.abs(before[side] - after[side]) < 0.5;
  if (!['left', 'top', 'right', 'bottom'].every(isSame)) return { reason: `${what} moves`, cure: 'wait', n };
  return locate(wanted);
};
const runningOn = (element) => (element.getAnimations instanceof Function ? methodOf(elements, 'getAnimations')(element) : []).filter((animation) => animation.playState === 'running');
// After so many frames. A page that is not shown draws none, and a busy machine draws them late.
const FRAMES_MS = { hidden: 100, visible: 1000 };
const frameOf = (n) => new Promise((done) => {
  const timer = setTimeout(done, FRAMES_MS[document.visibilityState] || FRAMES_MS.hidden);
  const next = (left) => (left ? requestAnimationFrame(() => next(left - 1)) : (clearTimeout(timer), done()));
  next(n);
});
// Whether a click on `inner` comes to an element, or to what labels it.
const comesTo = (element, inner) => [element, ...labelsOf(element)].some((one) => receives(one, inner));
// Whether a click at a point comes to an element.
const isReceived = (wanted, x, y) => {
  const { element } = pick(wanted);
  const { element: inner } = deepest(x, y);
  return Boolean(element) && comesTo(element, inner);
};
// Scrolls to an element as far as a person could; whether anything moved.
const bringIntoView = (wanted) => {
  const { element } = pick(wanted);
  if (!element) return false;
  // Only the browser can scroll the page around a frame of another origin.
  const isOut = typeof frameView !== 'undefined' && !isThere(frameView);
  if (isOut) methodOf(elements, 'scrollIntoView')(element, { block: 'center', behavior: 'instant' });
  return scrollTo(isSeen(element) ? element : labelsOf(element).find(isSeen) || element) || isOut;
};
const UNREAD = 'input[type=password]';
const isUnread = (what) => ({ reason: `${what} is a password field, which is never read` });
// What stands in a field, with even white space; null of what is none.
const NO_FIELDS = 'input[type=checkbox], input[type=radio], input[type=button], input[type=submit], input[type=reset], input[type=image]';
const standingIn = (element) => {
  if (nameIs(element) === 'select') return even([...element.selectedOptions].map((option) => option.label).join(' '));
  if (matches(element, 'input[type=file]')) return [...element.files].map((file) => file.name).join(' ');
  if (matches(element, FIELDS)) return matches(element, NO_FIELDS) ? null : even(element.value);
  return element.isContentEditable ? even(drawnText(element)) : null;
};
// The text of an element, or what stands in a field; why there is none otherwise.
const textOf = (wanted) => {
  const { element, what, n, ...absence } = pick(wanted);
  if (!element) return { ...absence, n };
  if (matches(element, UNREAD)) return { ...isUnread(what), n };
  return { text: standingIn(element) ?? even(matches(element, FIELDS) ? element.value : drawnText(element)), n };
};
// Whether a box, an option or a switch is on; undefined of what is none. A label has the state of its box.
const isOn = (element) => {
  const box = nameIs(element) === 'label' ? element.control : element;
  if (!isElement(box)) return undefined;
  if (matches(box, 'input[type=checkbox], input[type=radio]')) return box.checked;
  if (matches(box, 'option')) return box.selected;
  return { true: true, false: false }[attributeOf(box, 'aria-checked') || attributeOf(box, 'aria-selected')];
};
// What is asked of the one element that is meant: `{ fact }`, null if that means nothing here, or why nobody can tell; and how
// many there are. A box that is drawn otherwise has its state.
const factOf = (wanted, about) => {
  const isLabelled = (element) => labelsOf(element).some(isSeen) || matches(element, STANDS_IN);
  const picked = (isTaken) => { const seen = pick(wanted, (one) => isSeen(one) && isTaken(one)); return seen.n ? seen : pick(wanted, (one) => isLabelled(one) && isTaken(one)); };
  let one = picked((element) => about.fact !== 'checked' || isOn(element) !== undefined);
  if (!one.n) one = picked(() => true);
  const { element, what, n, ...absence } = one;
  if (!element) return { ...absence, n };
  const isSecret = matches(element, UNREAD) && (/^(value|text)$/.test(about.fact) || (about.fact === 'attribute' && about.name.toLowerCase() === 'value'));
  if (isSecret) return { ...isUnread(what), n };
  const facts = {
    checked: () => isOn(element) ?? null,
    enabled: () => !isDisabled(element),
    focused: () => matches(element, ':focus'),
    value: () => standingIn(element),
    text: () => { const pairs = []; read(element, pairs); return together(pairs); },
    attribute: () => ({ is: attributeOf(element, about.name) }),
  };
  return { fact: facts[about.fact](), n };
};
// All that has a role on view, and can be clicked: by a name of its own, or by its name, if it has one, and the text that its
// row begins with.
const things = () => {
  lookAfresh();
  const named = all(`${ACTS}, ${TYPED}`)
    .filter((element) => isDrawn(element) && !isDisabled(element))
    .map((element) => ({ role: kindOf(element), name: calledOf(element), element }))
    .filter(({ role, name, element }) => role && (name || rowOf(element)));
  // How often something is called so; a table may have hundreds of controls of one name.
  const counts = new Map();
  const count = (...words) => {
    const key = JSON.stringify(words);
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return () => counts.get(key);
  };
  const each = named.map((thing) => ({ ...thing, n: count(thing.role, thing.name) }));
  const placed = each.map((thing) => {
    if (thing.name && thing.n() === 1) return { ...thing, row: null };
    const row = rowOf(thing.element);
    return { ...thing, row, n: row ? count(thing.role, thing.name, row) : () => 0 };
  });
  return placed.filter(({ n }) => n() === 1)
    .map(({ role, name, row, element }) => ({ role, name, row, ...reachOf(element, name) }))
    .filter(({ reason }) => !reason);
};
const SHOW_TEXT = 4;
// What the row of a list or a table begins with, if it is short.
const rowOf = (element) => {
  const row = closestOf(element, ROWS);
  if (!row) return null;
  const texts = methodOf(pages, 'createTreeWalker')(document, row, SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.replace(/\s+/g, ' ').trim();
    if (/[\p{L}\p{N}]{2}/u.test(text) && isDrawn(texts.currentNode.parentElement)) {
      return text.length <= 40 ? text : null;
    }
  }
  return null;
};
// What one types into.
const TYPED = 'textarea, select, input:not([type=submit], [type=button], [type=reset], [type=image], [type=checkbox], [type=radio])';

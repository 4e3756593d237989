// Finds an element for a place and says which part of it can be clicked: a box in CSS pixels of the viewport, or why there
// is none, and whether it may help to wait (`wait`, `uncover`) or to scroll (`scroll`). Needs reach.js and names.js.
const found = ({ selector, name, role }) => (name === undefined ? all(selector) : called(name, role));
// The one element that is meant and shown, or why there is none.
const pick = (wanted) => {
  lookAfresh();
  const { selector, name, role } = wanted;
  let candidates;
  try {
    candidates = found(wanted);
  } catch (error) {
    if (error.name !== 'SyntaxError') throw error;
    return { reason: `\`${selector}\` is no CSS selector` };
  }
  const what = selector ? `\`${selector}\`` : `${role || 'element'} named \`${name}\``;
  // What has a label on view can be clicked there, and transparent boxes under what is drawn instead of them.
  const isShown = (element) => isSeen(element) || labelsOf(element).some(isSeen) || (matches(element, STANDS_IN) && !reachOf(element, '').reason);
  const shown = name === undefined ? [candidates.find(isShown)].filter(Boolean) : candidates.filter(isShown);
  if (!shown.length) return { reason: candidates.length ? `${what} is hidden` : `the page has no ${what}`, cure: 'wait', is_missing: !candidates.length };
  if (name !== undefined && shown.length > 1) return { reason: `the page has ${shown.length} times ${what}` };
  return { element: shown[0], what };
};
const locate = (wanted) => {
  const { element, what, ...absence } = pick(wanted);
  return element ? reachOf(element, what) : absence;
};
// As `locate`, for somebody who is about to act there: what moves is not there yet, and what is disabled takes nothing.
const aimAt = async (wanted) => {
  const { element, what, ...absence } = pick(wanted);
  if (!element) return absence;
  if (wanted.acts && isDisabled(element)) return { reason: `${what} is disabled`, cure: 'wait' };
  const frames = [];
  for (let at = element; at; at = aroundOf(at)) frames.push(...runningOn(at));
  const before = inTop(element, boxOf(element));
  await frameOf(frames.length ? 2 : 1);
  const after = inTop(element, boxOf(element));
  const isSame = (side) => Math.abs(before[side] - after[side]) < 0.5;
  if (!['left', 'top', 'right', 'bottom'].every(isSame)) return { reason: `${what} moves`, cure: 'wait' };
  return locate(wanted);
};
const runningOn = (element) => (element.getAnimations instanceof Function ? methodOf(elements, 'getAnimations')(element) : []).filter((animation) => animation.playState === 'running');
// After so many frames; a page that is not shown draws none.
const frameOf = (n) => new Promise((done) => {
  const timer = setTimeout(done, 100);
  const next = (left) => (left ? requestAnimationFrame(() => next(left - 1)) : (clearTimeout(timer), done()));
  next(n);
});
// Whether a click at a point comes to an element.
const isReceived = (wanted, x, y) => {
  const { element } = pick(wanted);
  const { element: inner } = deepest(x, y);
  return Boolean(element) && [element, ...labelsOf(element)].some((one) => receives(one, inner));
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
// The text of an element, or what stands in a field; why there is none otherwise.
const textOf = (wanted) => {
  const { element, what, ...absence } = pick(wanted);
  if (!element) return absence;
  if (matches(element, 'input[type=password]')) return { reason: `${what} is a password field, which is never read` };
  return { text: even(matches(element, FIELDS) ? element.value : drawnText(element)) };
};
// Whether an element is in a state, null if the selector is none or the state means nothing here; and how many there are.
const hasState = (wanted) => {
  lookAfresh();
  const { is } = wanted;
  let candidates;
  try {
    candidates = found(wanted);
  } catch (error) {
    if (error.name !== 'SyntaxError') throw error;
    return { n: 1, holds: null };
  }
  const shown = candidates.filter(isSeen);
  const n = shown.length;
  if (is === 'visible' || is === 'hidden') return { n, holds: n > 0 === (is === 'visible') };
  // A box that is drawn otherwise has its state.
  const told = shown.length ? shown : candidates.filter((element) => labelsOf(element).some(isSeen) || matches(element, STANDS_IN));
  const holding = (holds) => ({ n: told.length, holds });
  if (!told.length) return holding(false);
  const isOn = (element) => (matches(element, 'input[type=checkbox], input[type=radio]') ? element.checked
    : matches(element, 'option') ? element.selected
      : { true: true, false: false }[attributeOf(element, 'aria-checked') || attributeOf(element, 'aria-selected')]);
  if (is === 'checked' || is === 'unchecked') {
    // A label has the name of its box.
    const box = told.find((element) => isOn(element) !== undefined);
    return holding(box ? isOn(box) === (is === 'checked') : null);
  }
  if (is === 'enabled' || is === 'disabled') return holding(isDisabled(told[0]) === (is === 'disabled'));
  return holding(matches(told[0], ':focus'));
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
// What the row of a list or a table begins with, if it is short.
const rowOf = (element) => {
  const row = closestOf(element, 'tr, li, [role=row], [role=listitem], [role=treeitem]');
  if (!row) return null;
  const texts = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
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

// Finds an element for a place and says which part of it can be clicked: a box in CSS pixels of the viewport, or why
// there is none. Where the browser does not tell accessible names, they are worked out from the usual sources.
const nameOf = (element) => {
  if (element.computedName !== undefined) return element.computedName.trim();
  const even = (text) => (text || '').replace(/\s+/g, ' ').trim();
  const labelled = (element.getAttribute('aria-labelledby') || '')
    .split(/\s+/).map((id) => id && document.getElementById(id)).filter((label) => label);
  const labels = [...(element.labels || [])];
  const ownText = element.matches('input, textarea, select') ? '' : element.innerText;
  const ofButton = element.matches('input[type=submit], input[type=button], input[type=reset]') ? element.value : '';
  const sources = [
    labelled.map((label) => label.textContent).join(' '), element.getAttribute('aria-label'),
    labels.map((label) => label.innerText).join(' '), ofButton, element.alt, ownText, element.title, element.placeholder,
  ];
  return even(sources.find((source) => even(source)));
};
const roleOf = (element) => {
  if (element.computedRole !== undefined) return element.computedRole;
  const given = element.getAttribute('role');
  if (given) return given;
  const kinds = {
    button: 'button, summary, input[type=submit], input[type=button], input[type=reset]', link: 'a[href], area[href]',
    checkbox: 'input[type=checkbox]', radio: 'input[type=radio]', combobox: 'select', slider: 'input[type=range]',
    searchbox: 'input[type=search]', heading: 'h1, h2, h3, h4, h5, h6', img: 'img', listitem: 'li',
    textbox: 'textarea, input:not([type]), input[type=text], input[type=email], input[type=password], input[type=url]',
  };
  return Object.keys(kinds).find((role) => element.matches(kinds[role])) || '';
};
// The one element that is meant and shown, or why there is none.
const pick = ({ selector, name, role }) => {
  let candidates;
  try {
    candidates = [...document.querySelectorAll(selector || 'body *')];
  } catch (error) {
    return { reason: `\`${selector}\` is no CSS selector` };
  }
  if (name !== undefined) {
    candidates = candidates.filter((element) => (!role || roleOf(element) === role) && nameOf(element) === name);
    // Where a name is found twice, inside each other, the inner one carries it.
    candidates = candidates.filter((element) => !candidates.some((other) => other !== element && element.contains(other)));
  }
  const what = selector ? `\`${selector}\`` : `${role || 'element'} named \`${name}\``;
  const shown = candidates.filter((element) => element.checkVisibility({ visibilityProperty: true }));
  if (!shown.length) return { reason: candidates.length ? `${what} is hidden` : `the page has no ${what}` };
  if (name !== undefined && shown.length > 1) return { reason: `the page has ${shown.length} times ${what}` };
  return { element: shown[0], what };
};
const locate = (wanted) => {
  const { element, what, reason } = pick(wanted);
  return reason ? { reason } : partOf(element, what);
};
// The part of an element that can be clicked.
const partOf = (element, what) => {
  // Of text that is broken into lines, the largest piece.
  const area = (box) => box.width * box.height;
  const box = [...element.getClientRects()].reduce((a, b) => (area(b) > area(a) ? b : a), element.getClientRects()[0]);
  if (!box) return { reason: `${what} takes no room` };
  const part = {
    left: Math.max(0, box.left), top: Math.max(0, box.top),
    right: Math.min(innerWidth, box.right), bottom: Math.min(innerHeight, box.bottom),
  };
  if (part.right - part.left < 1 || part.bottom - part.top < 1) {
    return { reason: `${what} is outside of what the page shows: scroll to it first` };
  }
  const top = document.elementFromPoint((part.left + part.right) / 2, (part.top + part.bottom) / 2);
  const same = top && (element.contains(top) || top.contains(element) || [...(element.labels || [])].includes(top));
  if (!same) return { reason: `${what} is covered by ${top ? `a <${top.localName}>` : 'something'}` };
  return part;
};
// The text of an element, or what stands in a field; why there is none otherwise.
const textOf = (wanted) => {
  const { element, what, reason } = pick(wanted);
  if (reason) return { reason };
  if (element.matches('input[type=password]')) return { reason: `${what} is a password field, which is never read` };
  const isField = element.matches('input, textarea, select');
  return { text: (isField ? element.value : element.innerText || '').replace(/\s+/g, ' ').trim() };
};
// Whether an element is in a state; null if the selector is none, or the state means nothing here.
const hasState = ({ selector, name, role, is }) => {
  let found;
  try {
    found = [...document.querySelectorAll(selector || 'body *')];
  } catch (error) {
    return null;
  }
  if (name !== undefined) found = found.filter((element) => (!role || roleOf(element) === role) && nameOf(element) === name);
  const shown = found.filter((element) => element.checkVisibility({ visibilityProperty: true }));
  if (is === 'visible') return shown.length > 0;
  if (is === 'hidden') return shown.length === 0;
  if (!shown.length) return false;
  const isOn = (element) => (element.matches('input[type=checkbox], input[type=radio]') ? element.checked
    : element.matches('option') ? element.selected
      : { true: true, false: false }[element.getAttribute('aria-checked') || element.getAttribute('aria-selected')]);
  if (is === 'checked' || is === 'unchecked') {
    // A label has the name of its box.
    const box = shown.find((element) => isOn(element) !== undefined);
    return box ? isOn(box) === (is === 'checked') : null;
  }
  const element = shown[0];
  const isOff = element.matches(':disabled') || element.getAttribute('aria-disabled') === 'true';
  if (is === 'enabled' || is === 'disabled') return isOff === (is === 'disabled');
  return element.matches(':focus');
};
// All that has a role on view, and can be clicked: by a name of its own, or by its name, if it has one, and the text that its
// row begins with.
const things = () => {
  const named = [...document.querySelectorAll(`${ACTS}, ${TYPED}`)]
    .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.matches(':disabled'))
    .map((element) => ({ role: roleOf(element), name: nameOf(element), element }))
    .filter(({ role, name, element }) => role && (name || rowOf(element)));
  // How often something is called so; a table may have hundreds of controls of one name.
  const counts = new Map();
  const count = (...words) => {
    const key = JSON.stringify(words);
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return () => counts.get(key);
  };
  const called = named.map((thing) => ({ ...thing, n: count(thing.role, thing.name) }));
  const placed = called.map((thing) => {
    if (thing.name && thing.n() === 1) return { ...thing, row: null };
    const row = rowOf(thing.element);
    return { ...thing, row, n: row ? count(thing.role, thing.name, row) : () => 0 };
  });
  return placed.filter(({ n }) => n() === 1)
    .map(({ role, name, row, element }) => ({ role, name, row, ...partOf(element, name) }))
    .filter(({ reason }) => !reason);
};
// What the row of a list or a table begins with, if it is short.
const rowOf = (element) => {
  const row = closestOf(element, 'tr, li, [role=row], [role=listitem], [role=treeitem]');
  if (!row) return null;
  const texts = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.replace(/\s+/g, ' ').trim();
    if (/[\p{L}\p{N}]{2}/u.test(text) && texts.currentNode.parentElement.checkVisibility({ visibilityProperty: true })) {
      return text.length <= 40 ? text : null;
    }
  }
  return null;
};
// What acts, what one types into, and words without signs.
const ACTS = 'a[href], button, input, select, textarea, summary, [role=button], [role=link], [role=tab], [role=menuitem], '
  + '[role=checkbox], [role=radio], [role=option], [role=switch], [onclick]';
const TYPED = 'textarea, select, input:not([type=submit], [type=button], [type=reset], [type=image], [type=checkbox], [type=radio])';
const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ').trim();
// What reacts to clicks, as words call it.
const CONTROL = /\b(button|link|tab|menu|menu item|dropdown)\b/i;
// Controls that are no larger than what is written on them.
const TIGHT = 'a[href], button, input, select, textarea, summary, [role=button], [role=link], [role=tab], [role=menuitem], '
  + '[role=checkbox], [role=radio], [role=option], [role=switch]';
// Elements that hardly anybody makes a button of.
const NO_BUTTONS = {
  'a heading': 'h1, h2, h3, h4, h5, h6',
  'a picture': 'img:not([usemap])',
  'a text': 'p, td, th, dt, dd, li, s, del, blockquote, figcaption, caption, pre',
};
// A word that has letters of two alphabets, which look alike.
const isTwofold = (word) => word.length > 3 && /\p{Script=Latin}/u.test(word) && /[\p{Script=Cyrillic}\p{Script=Greek}]/u.test(word);
const QUOTED = /["“„«‘'`].*?["”»’'`]/g;
// What words name, if they say nothing else of it.
const nameIn = (words) => plain(words).replace(/^(click|press|tap|open|choose|select)( on)? /, '').replace(/^(the|a|an) /, '');
// Words by how their letters are drawn.
const skeleton = (text) => plain(text.replace(/[Il|1!]/g, 'l').replace(/[O0]/g, 'o').replace(/rn/g, 'm').replace(/vv/g, 'w'));
// Why a click on an element is not what words ask for: it is disabled, or written in letters of two alphabets that look
// alike; or it is no button or link, which the words name. Only elements count that hardly anybody makes a button of, and
// that look like none to the pointer.
const idle = (inner, acting, words) => {
  if (closestOf(inner, ':disabled, [aria-disabled=true]')) return 'is disabled';
  const shown = (acting || inner).textContent.slice(0, 200).split(/[^\p{L}]+/u);
  if (shown.some(isTwofold)) return 'is written in letters of two alphabets';
  const isOther = (text) => /[\p{Script=Cyrillic}\p{Script=Greek}]/u.test(text) && !/\p{Script=Latin}/u.test(text);
  if (isOther(shown.join('')) && /\p{Script=Latin}/u.test(words) && !/[\p{Script=Cyrillic}\p{Script=Greek}]/u.test(words)) {
    return 'is written in letters of another alphabet';
  }
  const unquoted = words.replace(QUOTED, '');
  const control = (unquoted.match(CONTROL) || [''])[0].toLowerCase();
  const isControl = Boolean(control);
  const named = nameIn(words).replace(/ (button|link|tab|menu|menu item|dropdown)$/, '');
  const countOf = (text) => text.split(' ').filter((word) => word).length;
  // A word in a longer text, which something large around it makes clickable: a card, a row, an advertisement.
  const around = acting ? (acting.matches(TIGHT) ? null : acting) : pointed(inner);
  const [own, whole] = [inner, around || inner].map((e) => plain(e.textContent.slice(0, 2000)));
  const isPart = countOf(named) <= 2 && own !== named && ` ${own} `.includes(` ${named} `);
  if (around && isPart && countOf(own) >= countOf(named) + 2 && countOf(whole) >= countOf(named) + 4) return 'only mentions it';
  if (acting) {
    const label = plain(nameOf(acting));
    const more = countOf(label) - countOf(named);
    const saysMore = /button/.test(control) ? more >= 4 : !control && countOf(named) === 1 && more >= 6;
    // What is drawn in a picture is nobody's name, and a link may lead anywhere.
    const isDrawn = inner.matches('img') && acting.matches('a') && !` ${label} `.includes(` ${named} `);
    if (isDrawn && !/\b(icon|image|picture|photo|logo|banner|link)\b/i.test(unquoted)) return 'is a picture that a link is around';
    if (acting.matches('a') && saysMore && ` ${label} `.includes(` ${named} `)) return 'is a link that says more';
    if (/button|link|tab/.test(control) && acting.matches(TYPED)) return `is a field, and no ${control}`;
    const called = acting.matches('button, a, [role=button], [role=link]') ? nameOf(acting) : '';
    const [is, said] = [plain(called), ` ${plain(words)} `];
    // Drawn alike, and spelled otherwise.
    if (is && !said.includes(` ${is} `) && ` ${skeleton(words)} `.includes(` ${skeleton(called)} `)) return `is spelled \`${called.slice(0, 80)}\``;
    // `Save` is not what `Do not save` does.
    const isDenied = (text) => /(^| )(not|don t|never|no|without)( |$)/.test(text);
    if (is && isDenied(is) && !isDenied(said)) return 'says the opposite';
    const isStruck = [acting, inner].some((e) => getComputedStyle(e).textDecorationLine.includes('line-through'));
    return isStruck && isControl ? 'is struck out' : null;
  }
  if (/\blink\b/i.test(unquoted) && inner.closest('label')) return 'is a label, and no link';
  if (['pointer', 'grab'].includes(getComputedStyle(inner).cursor)) return null;
  const isPlain = (element) => {
    const { display, backgroundColor, borderStyle, boxShadow } = getComputedStyle(element);
    return display === 'inline' && /, 0\)$/.test(backgroundColor) && borderStyle === 'none' && boxShadow === 'none';
  };
  let element = inner;
  let isStruck = false;
  while (element && !Object.values(NO_BUTTONS).some((kind) => element.matches(kind))) {
    isStruck = isStruck || getComputedStyle(element).textDecorationLine.includes('line-through');
    if (!isPlain(element)) break;
    element = element.parentElement;
  }
  if (isStruck && isControl) return `is struck out, and no ${control}`;
  const kind = element && Object.keys(NO_BUTTONS).find((one) => element.matches(NO_BUTTONS[one]));
  if (!kind || element.closest('label, [tabindex], [contenteditable]')) return null;
  if (isControl) return `is ${kind}, and no ${control}`;
  // A sentence that mentions a name is not what has the name.
  const sentence = plain(element.textContent);
  const isMentioned = ` ${sentence} `.includes(` ${named} `) && sentence.split(' ').length >= named.split(' ').length + 4;
  return kind === 'a text' && isMentioned ? 'only mentions it in a sentence' : null;
};
// As `closest`, out of shadow roots as well.
const closestOf = (element, selector) => {
  for (let from = element; from; from = from.getRootNode().host) {
    const found = from.closest(selector);
    if (found) return found;
  }
  return null;
};
// The outermost element around one that looks clickable to the pointer, if it does.
const pointed = (inner) => {
  const isPointed = (e) => ['pointer', 'grab'].includes(getComputedStyle(e).cursor);
  let element = isPointed(inner) ? inner : null;
  while (element && element.parentElement && isPointed(element.parentElement)) element = element.parentElement;
  return element;
};
// What is at a point, and, if it does something else than the words say, the one element on view that they name.
const elementAt = ({ x, y, words }) => {
  const said = ` ${plain(words)} `;
  const isSaid = (element) => { const name = plain(nameOf(element)); return name.length > 1 && said.includes(` ${name} `); };
  const { element: inner, left: dx, top: dy } = deepest(document, x, y);
  if (!inner) return null;
  const acting = closestOf(inner, ACTS);
  const element = acting || inner;
  const box = element.getBoundingClientRect();
  const [left, top, right, bottom] = [box.left + dx, box.top + dy, box.right + dx, box.bottom + dy];
  const found = { role: roleOf(element), name: nameOf(element).slice(0, 200), left, top, right, bottom, meant: null, acts: Boolean(acting) };
  const named = nameIn(words);
  found.is_named = (inner.matches('img') && (!found.name || ` ${plain(found.name)} `.includes(` ${named} `))) || CONTROL.test(words.replace(QUOTED, '')) || ` ${plain(inner.textContent.slice(0, 400))} `.includes(` ${named} `);
  const isNothing = inner.matches('html, body');
  // A click into a field does nothing by itself, and fields are often called otherwise than they are labelled.
  const isField = acting && acting.matches(TYPED);
  if (isNothing || (acting && !isField && found.name && !isSaid(acting))) {
    const onView = (e) => { const b = e.getBoundingClientRect(); return b.width && b.bottom > 0 && b.right > 0 && b.top < innerHeight && b.left < innerWidth; };
    const named = [...document.querySelectorAll(ACTS)].filter((e) => onView(e) && e.checkVisibility() && isSaid(e));
    const longest = Math.max(0, ...named.map((e) => plain(nameOf(e)).length));
    const meant = named.filter((e) => plain(nameOf(e)).length === longest);
    if (meant.length === 1 && !meant[0].contains(inner)) found.meant = { role: roleOf(meant[0]), name: nameOf(meant[0]).slice(0, 200) };
  }
  found.idle = isNothing ? null : idle(inner, acting, words);
  // What lies over a control takes its clicks, also if it is a link without a name.
  const under = acting && (isField || isSaid(acting)) ? null : document.elementsFromPoint(x, y).find((e) => e.matches(ACTS) && isSaid(e));
  if (under && under !== inner && !under.contains(inner) && !inner.contains(under) && !inner.closest('label')) {
    found.idle = `covers ${nameOf(under).slice(0, 80)}`;
  }
  if (isNothing) found.name = '';
  return found;
};

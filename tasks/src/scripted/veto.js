// What is at a point, and whether a click there does what words ask for. Needs reach.js, names.js and target.js.
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
  if (isDisabled(inner)) return 'is disabled';
  const shown = textIn(acting || inner).slice(0, 200).split(/[^\p{L}]+/u);
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
  const around = acting ? (matches(acting, TIGHT) ? null : acting) : pointed(inner);
  const [own, whole] = [inner, around || inner].map((e) => plain(textIn(e).slice(0, 2000)));
  const isPart = countOf(named) <= 2 && own !== named && ` ${own} `.includes(` ${named} `);
  if (around && isPart && countOf(own) >= countOf(named) + 2 && countOf(whole) >= countOf(named) + 4) return 'only mentions it';
  if (acting) {
    const label = plain(nameOf(acting));
    const more = countOf(label) - countOf(named);
    const saysMore = /button/.test(control) ? more >= 4 : !control && countOf(named) === 1 && more >= 6;
    // What is drawn in a picture is nobody's name, and a link may lead anywhere.
    const isDrawn = matches(inner, 'img') && matches(acting, 'a') && !` ${label} `.includes(` ${named} `);
    if (isDrawn && !/\b(icon|image|picture|photo|logo|banner|link)\b/i.test(unquoted)) return 'is a picture that a link is around';
    if (matches(acting, 'a') && saysMore && ` ${label} `.includes(` ${named} `)) return 'is a link that says more';
    if (/button|link|tab/.test(control) && matches(acting, TYPED)) return `is a field, and no ${control}`;
    const called = matches(acting, 'button, a, [role=button], [role=link]') ? nameOf(acting) : '';
    const [is, said] = [plain(called), ` ${plain(words)} `];
    // Drawn alike, and spelled otherwise.
    if (is && !said.includes(` ${is} `) && ` ${skeleton(words)} `.includes(` ${skeleton(called)} `)) return `is spelled \`${called.slice(0, 80)}\``;
    // `Save` is not what `Do not save` does.
    const isDenied = (text) => /(^| )(not|don t|never|no|without)( |$)/.test(text);
    if (is && isDenied(is) && !isDenied(said)) return 'says the opposite';
    const isStruck = [acting, inner].some((e) => cssOf(e).textDecorationLine.includes('line-through'));
    return isStruck && isControl ? 'is struck out' : null;
  }
  if (/\blink\b/i.test(unquoted) && closestIn(inner, 'label')) return 'is a label, and no link';
  if (['pointer', 'grab'].includes(cssOf(inner).cursor)) return null;
  const isPlain = (element) => {
    const { display, backgroundColor, borderStyle, boxShadow } = cssOf(element);
    return display === 'inline' && /, 0\)$/.test(backgroundColor) && borderStyle === 'none' && boxShadow === 'none';
  };
  let element = inner;
  let isStruck = false;
  while (element && !Object.values(NO_BUTTONS).some((kind) => matches(element, kind))) {
    isStruck = isStruck || cssOf(element).textDecorationLine.includes('line-through');
    if (!isPlain(element)) break;
    element = element.parentElement;
  }
  if (isStruck && isControl) return `is struck out, and no ${control}`;
  const kind = element && Object.keys(NO_BUTTONS).find((one) => matches(element, NO_BUTTONS[one]));
  if (!kind || closestIn(element, 'label, [tabindex], [contenteditable]')) return null;
  if (isControl) return `is ${kind}, and no ${control}`;
  // A sentence that mentions a name is not what has the name.
  const sentence = plain(textIn(element));
  const isMentioned = ` ${sentence} `.includes(` ${named} `) && sentence.split(' ').length >= named.split(' ').length + 4;
  return kind === 'a text' && isMentioned ? 'only mentions it in a sentence' : null;
};
// The outermost element around one that looks clickable to the pointer, if it does.
const pointed = (inner) => {
  const isPointed = (e) => ['pointer', 'grab'].includes(cssOf(e).cursor);
  let element = isPointed(inner) ? inner : null;
  while (element && element.parentElement && isPointed(element.parentElement)) element = element.parentElement;
  return element;
};
// What is at a point, and, if it does something else than the words say, the one element on view that they name.
const elementAt = ({ x, y, words }) => {
  const said = ` ${plain(words)} `;
  const isSaid = (element) => { const name = plain(calledOf(element)); return name.length > 1 && said.includes(` ${name} `); };
  lookAfresh();
  const { element: inner, x: innerX, y: innerY } = deepest(x, y);
  if (!inner) return null;
  const acting = closestOf(inner, ACTS);
  const element = acting || inner;
  const { left, top, right, bottom } = inTop(element, boxOf(element));
  const found = { role: roleOf(element), name: nameOf(element).slice(0, 200), left, top, right, bottom, meant: null, acts: Boolean(acting) };
  const named = nameIn(words);
  found.is_named = (matches(inner, 'img') && (!found.name || ` ${plain(found.name)} `.includes(` ${named} `))) || CONTROL.test(words.replace(QUOTED, '')) || ` ${plain(textIn(inner).slice(0, 400))} `.includes(` ${named} `);
  const isNothing = matches(inner, 'html, body');
  // A click into a field does nothing by itself, and fields are often called otherwise than they are labelled.
  const isField = acting && matches(acting, TYPED);
  if (isNothing || (acting && !isField && found.name && !isSaid(acting))) {
    const onView = (e) => isDrawn(e) && ownBoxes(e).some((one) => isThere(partOn(e, one, false)));
    const named = all(ACTS).filter((e) => isSaid(e) && onView(e));
    const longest = Math.max(0, ...named.map((e) => plain(calledOf(e)).length));
    const meant = named.filter((e) => plain(calledOf(e)).length === longest);
    if (meant.length === 1 && !isWithin(inner, meant[0])) found.meant = { role: roleOf(meant[0]), name: nameOf(meant[0]).slice(0, 200) };
  }
  found.idle = isNothing ? null : idle(inner, acting, words);
  // What lies over a control takes its clicks, also if it is a link without a name.
  const under = acting && (isField || isSaid(acting)) ? null
    : pageOf(inner).elementsFromPoint(innerX, innerY).find((e) => matches(e, ACTS) && isSaid(e));
  if (under && !isWithin(inner, under) && !isWithin(under, inner) && !closestIn(inner, 'label')) {
    found.idle = `covers ${calledOf(under).slice(0, 80)}`;
  }
  // What takes no pointer is drawn over what gets the click.
  const isHere = (e) => { const b = inTop(e, boxOf(e)); return b.left <= x && x < b.right && b.top <= y && y < b.bottom; };
  const dead = all(ACTS).find((e) => isSaid(e) && cssOf(e).pointerEvents === 'none' && isHere(e) && isSeen(e) && !isWithin(inner, e));
  if (dead && !found.idle) found.idle = `gets what ${calledOf(dead).slice(0, 80)} does not take`;
  if (isNothing) found.name = '';
  return found;
};

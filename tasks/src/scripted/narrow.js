// Which of several elements is meant: their order, and those that stand in the row or the box of a text. Needs reach.js and
// names.js, and shown.js for texts.
const compareIn = methodOf(nodes, 'compareDocumentPosition');
// What an element is drawn in, inner ones first, out of shadow roots and frames.
const holdersOf = (element) => {
  const found = [];
  for (let at = aroundOf(element); at; at = aroundOf(at)) found.push(at);
  return found;
};
// In the order of the page, with what is in shadow roots and frames where these stand.
const inOrder = (found) => {
  if (found.length < 2) return found;
  const paths = new Map(found.map((element) => [element, [element, ...holdersOf(element)].reverse()]));
  const isBefore = (one, other) => Boolean(compareIn(one, other) & nodes.DOCUMENT_POSITION_FOLLOWING);
  return [...found].sort((one, other) => {
    const [left, right] = [paths.get(one), paths.get(other)];
    const at = left.findIndex((element, nth) => element !== right[nth]);
    if (at < 0 || at >= right.length) return left.length - right.length;
    return isBefore(left[at], right[at]) ? -1 : 1;
  });
};
const ROWS = 'tr, li, [role=row], [role=listitem], [role=treeitem]';
const BOXES = 'fieldset, dialog, section, article, aside, nav, main, form, search, [role=dialog], [role=alertdialog], [role=group], '
  + '[role=region], [role=article], [role=complementary], [role=navigation], [role=main], [role=form], [role=search], [role=tabpanel], [role=radiogroup]';
// Whether there is a border or a shadow all around it.
const isBoxed = (element) => {
  if (matches(element, ACTS) || matches(element, TYPED)) return false;
  const style = cssOf(element);
  const isDrawnSide = (side) => parseFloat(style[`border${side}Width`]) > 0 && !/none|hidden/.test(style[`border${side}Style`]);
  return style.boxShadow !== 'none' || ['Left', 'Top', 'Right', 'Bottom'].every(isDrawnSide);
};
const isThing = (element) => matches(element, `${ROWS}, ${BOXES}`) || isBoxed(element);
// Whether it is a row that has rows beside it.
const rowsOfSeveral = new Map();
const isRowOfSeveral = (element) => {
  if (!rowsOfSeveral.has(element)) rowsOfSeveral.set(element, hasRowsBeside(element));
  return rowsOfSeveral.get(element);
};
const hasRowsBeside = (element) => {
  if (!matches(element, ROWS)) return false;
  const table = nameIs(element) === 'tr' && closestIn(element, 'table');
  const beside = table ? allIn(table, 'tr') : [...childrenOf(parentNodeOf(element))].filter(isElement);
  return beside.filter((one) => matches(one, ROWS)).length > 1;
};
// Parts of a page that stand beside each other, and are rows or boxes of something that the page does not call so. `one` is the part
// with an element in it, and `other` the part with a text.
const isAbove = (one, other) => boxOf(one).bottom <= boxOf(other).top + 1;
const areStacked = (one, other) => isAbove(one, other) || isAbove(other, one);
const kindIn = (element) => `${nameIs(element)} ${attributeOf(element, 'class')?.trim() || ''}`;
// Written alike, with a text beside the element or with a control beside the text: rows, or cards.
const areRows = (element, one, other) => {
  if (kindIn(one) !== kindIn(other)) return false;
  const isStacked = areStacked(one, other);
  if (isStacked && attributeOf(one, 'class')?.trim()) return true;
  const hasText = one !== element && evened(textIn(one)) !== evened(textIn(element));
  return hasText && (isStacked || allIn(other, ACTS).length > 0);
};
// Lines of a grid, of several cells each.
const areLines = (one, other, { holder, beside }) => {
  const { display, flexWrap } = cssOf(holder);
  if (!/grid$/.test(display) && !(/flex$/.test(display) && flexWrap !== 'nowrap')) return false;
  if (!areStacked(one, other)) return false;
  const hasCells = (cell) => beside.some((next) => next !== cell && !areStacked(cell, next) && boxOf(next).width > 0);
  return hasCells(one) && hasCells(other);
};
// What begins a part that has no element around it: a heading, or the first of a few terms.
const HEADINGS = 'h1, h2, h3, h4, h5, h6, [role=heading]';
const levelOf = (child, at, beside) => {
  if (nameIs(child) === 'dt') return at > 0 && nameIs(beside[at - 1]) === 'dt' ? 0 : 1;
  const found = matches(child, HEADINGS) ? [child] : allIn(child, HEADINGS);
  if (found.length !== 1) return 0;
  return Number(attributeOf(found[0], 'aria-level') || /^h(\d)$/.exec(nameIs(found[0]))?.[1] || 2);
};
const areSections = (one, other, { levels, order }) => {
  const from = (child, most) => {
    for (let at = order.get(child); at >= 0; at -= 1) if (levels[at] > 0 && levels[at] <= most) return at;
    return -1;
  };
  const begin = from(other, Infinity);
  const most = levels[begin];
  return begin >= 0 && levels.filter((level) => level > 0 && level <= most).length > 1 && from(one, most) !== begin;
};
// How many elements are repeated again and again; nothing if none are.
const repeated = (beside) => {
  const kinds = beside.map(kindIn);
  for (let n = 2; n <= 20 && n * 2 <= kinds.length; n += 1) {
    if (kinds.length % n === 0 && new Set(kinds.slice(0, n)).size > 1 && kinds.every((kind, at) => kind === kinds[at % n])) return n;
  }
  return null;
};
const families = new Map();
const familyOf = (holder) => {
  if (!families.has(holder)) {
    const beside = [...childrenOf(holder)].filter((child) => isElement(child) && !matches(child, 'script, style, template'));
    families.set(holder, { holder, beside, order: new Map(beside.map((child, at) => [child, at])), levels: beside.map(levelOf), n: repeated(beside) });
  }
  return families.get(holder);
};
const areParts = (element, one, other) => {
  if (areRows(element, one, other)) return true;
  const holder = parentNodeOf(one);
  if (one === other || holder !== parentNodeOf(other) || !isElement(holder)) return false;
  const family = familyOf(holder);
  const lineOf = (child) => Math.floor(family.order.get(child) / family.n);
  return (family.n !== null && lineOf(one) !== lineOf(other)) || areSections(one, other, family) || areLines(one, other, family);
};
// Whether a text, in `others`, stands in another row or box than an element, in `own`; both in the same part of the page.
const isApart = (element, own, others) => others.some(isRowOfSeveral) || (others.some(isThing) && own.some(isThing))
  || (others.length > 0 && areParts(element, own.at(-1) || element, others.at(-1)));
// For each place where a text is read, in any letter case, what it stands in, inner ones first.
const MOST_PLACES = 200;
const chainsOf = (text) => {
  const pairs = readAll();
  const phrase = phraseOf(text);
  const found = new Map();
  for (const which of [0, 1]) {
    const ends = [];
    let whole = '';
    for (const pair of pairs) {
      whole += pair === EDGE ? ' ' : pair[which].replace(/[\u00ad\u200b-\u200d\u2060\ufeff]/g, '');
      ends.push(whole.length);
    }
    const pairAt = (at) => ends.findIndex((end) => at < end);
    for (const { 0: words, index } of whole.matchAll(new RegExp(phrase.source, 'giu'))) {
      if (found.size >= MOST_PLACES) break;
      const [from, to] = [pairAt(index), pairAt(index + words.length - 1)];
      found.set(`${from} ${to}`, [from, to]);
    }
  }
  const holds = ([from, to]) => ([, [begin, end]]) => begin <= from && to < end;
  return [...found.values()].map((place) => [...spans].filter(holds(place)).map(([element]) => element));
};
// The smallest part of the page, short of the whole, that an element shares with a text, as a number among what is around it.
const sharedWith = (element, around, chains) => {
  const shared = chains.map((chain) => {
    if (chain.includes(element)) return 0;
    const others = chain.findIndex((one) => around.includes(one));
    const at = around.indexOf(chain[others]);
    const isWhole = at < 0 || [rootElementOf(TOP), bodyOf(TOP)].includes(around[at]);
    return isWhole || isApart(element, around.slice(0, at), chain.slice(0, others)) ? -1 : at;
  });
  return Math.min(...shared.filter((at) => at >= 0));
};
// Those of some elements that stand in the row or the box of a text: of parts of the page that lie inside each other, the
// smallest counts.
const inside = (found, text) => {
  const chains = chainsOf(text);
  const placed = found.map((element) => ({ element, around: holdersOf(element) }))
    .map(({ element, around }) => ({ element, around, at: sharedWith(element, around, chains) }))
    .filter(({ at }) => at < Infinity);
  const isSmallest = ({ around, at }) => !placed.some((other) => other.around.indexOf(around[at]) > other.at);
  return placed.filter(isSmallest).map(({ element }) => element);
};

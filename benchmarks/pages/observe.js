// What a page shows, seen from inside it: every text with its place, and the geometry of the nodes that the
// accessibility tree names. Invariant: nothing is judged here but whether a thing can be seen; rule.py decides what is asked.
(meta) => {
  const width = innerWidth, height = innerHeight, elements = window.__rule_nodes || [];
  const parent = (n) => n.assignedSlot || n.parentElement
    || (n.getRootNode() instanceof ShadowRoot ? n.getRootNode().host : null);
  const holds = (a, b) => { for (let n = b; n; n = parent(n)) if (n === a) return true; return false; };
  const hit = (x, y) => {
    let found = document.elementFromPoint(x, y);
    while (found && found.shadowRoot) {
      const inner = found.shadowRoot.elementFromPoint(x, y);
      if (!inner || inner === found) break;
      found = inner;
    }
    return found;
  };
  const box = (r) => [r.left, r.top, r.right, r.bottom];
  const cut = (a, b) => [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])];
  const united = (boxes) => boxes.reduce((a, b) =>
    [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])]);
  const seen = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true });

  // What of `rect`, drawn by something in `from`, its scrolling ancestors leave to be seen.
  const clipped = (from, rect, own) => {
    let out = cut(rect, [0, 0, width, height]), out_of_flow = null;
    for (let e = from; e; e = parent(e)) {
      const style = getComputedStyle(e);
      const skipped = out_of_flow === 'fixed' ? !(style.transform !== 'none')
        : out_of_flow === 'absolute' ? style.position === 'static' && style.transform === 'none' : false;
      if (!skipped) {
        out_of_flow = null;
        if ((e !== from || own) && style.display !== 'inline' && style.display !== 'contents'
          && e !== document.documentElement && e !== document.body) {
          const r = e.getBoundingClientRect();
          const inner = [r.left + e.clientLeft, r.top + e.clientTop,
            r.left + e.clientLeft + e.clientWidth, r.top + e.clientTop + e.clientHeight];
          if (style.overflowX !== 'visible') out = cut(out, [inner[0], -1e6, inner[2], 1e6]);
          if (style.overflowY !== 'visible') out = cut(out, [-1e6, inner[1], 1e6, inner[3]]);
          if (style.clipPath !== 'none' || (style.clip !== 'auto' && style.position === 'absolute')) out = cut(out, [0, 0, 0, 0]);
        }
        if (style.position === 'fixed' || style.position === 'absolute') out_of_flow = style.position;
      }
    }
    return out;
  };
  const index = new Map(); elements.forEach((e, i) => e && !index.has(e) && index.set(e, i));
  const around = (e) => { const out = []; for (let n = e; n; n = parent(n)) if (index.has(n)) out.push(index.get(n)); return out; };
  const transformed = (text, style) => style.textTransform === 'uppercase' ? text.toUpperCase()
    : style.textTransform === 'lowercase' ? text.toLowerCase()
    : style.textTransform === 'capitalize' ? text.replace(/(^|\s)(\S)/g, (_, a, b) => a + b.toUpperCase()) : text;

  const texts = [], places = [];
  let block = 0;
  const lines_of = (rects) => {
    const lines = [];
    for (const r of rects) {
      if (r.width < 0.5 || r.height < 0.5) continue;
      const last = lines[lines.length - 1];
      if (last && Math.min(last[3], r.bottom) - Math.max(last[1], r.top) > 0.5 * Math.min(last[3] - last[1], r.height)) {
        lines[lines.length - 1] = united([last, box(r)]);
      } else lines.push(box(r));
    }
    return lines;
  };
  const add = (element, text, lines, sort, own) => {
    const style = getComputedStyle(element);
    text = text.replace(/[\s\u00a0\u200b]+/g, ' ');
    if (!text.trim() || !lines.length) return;
    const whole = united(lines), left = clipped(element, whole, own);
    const partly = seen(element) && left[2] - left[0] > 1 && left[3] - left[1] > 1;
    const entire = partly && lines.every((l) => { const c = clipped(element, l, own); return Math.abs(c[0] - l[0]) < 1.5 && Math.abs(c[2] - l[2]) < 1.5 && c[1] - l[1] < 2.5 && l[3] - c[3] < 2.5; });
    texts.push({ text, sort, tag: element.tagName, lines, box: whole, partly, entire, shown: false, block,
      size: parseFloat(style.fontSize), pointer: style.cursor === 'pointer', around: around(element),
      spaced: /\s$/.test(text), family: style.fontFamily.slice(0, 60) });
    places.push(element);
  };
  const content_box = (e) => {
    const r = e.getBoundingClientRect(), s = getComputedStyle(e);
    return [r.left + e.clientLeft + parseFloat(s.paddingLeft), r.top + e.clientTop, r.right - e.clientLeft - parseFloat(s.paddingRight), r.bottom - e.clientTop];
  };
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const element = node.parentElement || (node.getRootNode() instanceof ShadowRoot ? node.getRootNode().host : null);
      if (!element || !node.data.trim()) { if (texts.length && texts[texts.length - 1].block === block) texts[texts.length - 1].spaced = true; return; }
      const range = document.createRange(); range.selectNodeContents(node);
      add(element, transformed(node.data, getComputedStyle(element)), lines_of(range.getClientRects()), 'text', true);
      return;
    }
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    const tag = node.tagName.toUpperCase();
    if (['SCRIPT', 'STYLE', 'NOSCRIPT', 'TEMPLATE', 'HEAD', 'OPTION'].includes(tag) && !(tag === 'OPTION' && node.parentElement.closest('select[multiple],select[size]'))) return;
    const style = getComputedStyle(node);
    if (style.display === 'none') return;
    const inline = style.display === 'inline' || style.display === 'contents';
    if (!inline || tag === 'BR') block += 1;
    if (tag === 'INPUT') {
      const kind = node.type;
      const r = [box(node.getBoundingClientRect())];
      if (['submit', 'button', 'reset'].includes(kind)) add(node, transformed(node.value || (kind === 'submit' ? 'Submit' : ''), style), r, 'text', false);
      else if (!['checkbox', 'radio', 'hidden', 'range', 'color', 'image', 'password', 'file'].includes(kind) || (kind === 'password' && !node.value)) {
        add(node, node.value || node.placeholder || '', [content_box(node)], node.value ? 'value' : 'placeholder', false);
      }
    } else if (tag === 'TEXTAREA') {
      add(node, node.value || node.placeholder || '', [content_box(node)], node.value ? 'value' : 'placeholder', false);
    } else if (tag === 'SELECT' && !node.multiple && node.size < 2) {
      const option = node.options[node.selectedIndex];
      add(node, option ? option.text : '', [content_box(node)], 'value', false);
    } else if (tag === 'IFRAME') {
      const r = node.getBoundingClientRect();
      if (r.width > 20 && r.height > 20) {
        let inner = ''; try { inner = node.contentDocument.body.innerText; } catch { }
        block += 1; add(node, inner || '', [box(r)], 'frame', false);
      }
    } else {
      for (const side of ['::before', '::after']) {
        const content = getComputedStyle(node, side).content;
        if (content && content.startsWith('"') && /[\p{L}\p{N}]/u.test(content)) {
          const was = block; block = -1 - texts.length;
          add(node, content.slice(1, -1), [box(node.getBoundingClientRect())], 'drawn', false);
          block = was;
        }
      }
      const children = tag === 'SLOT' && node.assignedNodes().length ? node.assignedNodes()
        : node.shadowRoot ? node.shadowRoot.childNodes : node.childNodes;
      for (const child of children) walk(child);
    }
    if (!inline) block += 1;
  };
  walk(document.body);

  // Whether a click would land on `e`, or on `other`, wherever in the box it falls.
  const free = ([x0, y0, x1, y1], e, other) => [[0.5, 0.5], [0.12, 0.2], [0.88, 0.2], [0.12, 0.8], [0.88, 0.8]].every(([a, b]) => {
    const found = hit(x0 + (x1 - x0) * a, y0 + (y1 - y0) * b);
    return !!found && (holds(e, found) || (!!other && holds(other, found)));
  });

  const nodes = meta.map(([role, name], i) => {
    const e = elements[i];
    if (!e || e.nodeType !== Node.ELEMENT_NODE || !e.isConnected) return null;
    const rects = [...e.getClientRects()].filter((r) => r.width > 0.5 && r.height > 0.5);
    const style = getComputedStyle(e);
    let whole = box(e.getBoundingClientRect());
    const left = clipped(e, whole, false);
    let lit = seen(e);
    // A mark that is drawn by what lies under it: the input takes the clicks and is itself transparent.
    if (!lit && e.tagName === 'INPUT' && ['checkbox', 'radio'].includes(e.type) && style.opacity === '0'
      && style.visibility === 'visible' && e.parentElement && seen(e.parentElement) && left[2] - left[0] >= 8 && left[3] - left[1] >= 8) {
      lit = true; whole = left;
    }
    const named_by = [];
    const associated = (label, toggles) => {
      if (!label || label === e) return;
      named_by.push({ box: clipped(label, box(label.getBoundingClientRect()), false), toggles, element: label,
        several: label.querySelectorAll ? label.querySelectorAll('input:not([type=hidden]),select,textarea,button,a[href]').length : 0 });
    };
    for (const label of e.labels || []) associated(label, true);
    for (const id of (e.getAttribute('aria-labelledby') || '').split(/\s+/).filter(Boolean)) {
      const label = e.getRootNode().getElementById ? e.getRootNode().getElementById(id) : document.getElementById(id);
      if (label && !named_by.some((n) => n.element === label)) associated(label, label.tagName === 'LABEL' && label.control === e);
    }
    return { role, name, tag: e.tagName, type: e.type || '', box: whole, pieces: rects.length, lit, open: false,
      partly: lit && left[2] - left[0] > 1 && left[3] - left[1] > 1,
      entire: Math.abs(left[0] - whole[0]) + Math.abs(left[1] - whole[1]) + Math.abs(left[2] - whole[2]) + Math.abs(left[3] - whole[3]) < 3,
      around: around(e).filter((j) => j !== i), disabled: !!e.disabled || e.getAttribute('aria-disabled') === 'true', inline: style.display === 'inline',
      filled: !!(e.value || (e.isContentEditable && e.textContent)), placeholder: e.placeholder || '',
      texts: texts.map((t, k) => k).filter((k) => holds(e, places[k])),
      named_by: named_by.map((n) => ({ box: n.box, toggles: n.toggles, several: n.several, open: n.box[2] > n.box[0] && free(n.box, n.element, e),
        texts: texts.map((t, k) => k).filter((k) => holds(n.element, places[k])) })) };
  });

  // A point shows a thing if the browser would hand it a click there. What lets clicks through is asked a second time
  // with every element taking them, for such an element may still be what is drawn.
  const look = () => {
    const at = (x, y, e, above) => {
      const found = hit(x, y);
      return !!found && (holds(e, found) || (above && found.tagName === 'LABEL' && holds(found, e)));
    };
    texts.forEach((t, k) => {
      if (t.shown || !t.entire) return;
      t.shown = t.lines.every(([x0, y0, x1, y1]) => {
        const inset = Math.min(3, (x1 - x0) / 4), y = (y0 + y1) / 2;
        return [x0 + inset, (x0 + x1) / 2, x1 - inset].every((x) => at(x, y, places[k], true));
      });
    });
    nodes.forEach((n, i) => {
      if (n && !n.open) n.open = free(n.box, elements[i], (elements[i].labels || [])[0] || elements[i].closest('label'));
    });
  };
  look();
  const all = document.createElement('style'); all.textContent = '* { pointer-events: auto !important }';
  document.documentElement.append(all); look(); all.remove();
  return { texts, nodes, width, height, ratio: devicePixelRatio };
}

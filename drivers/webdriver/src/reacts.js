// Whether a click at a point reaches something that reacts to clicks: true, false, or null where nobody can tell. Needs
// `getEventListeners`, which DevTools lend to what they evaluate, and reach.js.
((x, y) => {
  const KINDS = ['click', 'mousedown', 'mouseup', 'pointerdown', 'pointerup', 'dblclick', 'touchstart', 'touchend', 'contextmenu'];
  const listens = (node) => { const all = getEventListeners(node); return KINDS.some((kind) => all[kind]); };
  const OWN = 'a[href], area, button, input, select, option, textarea, label, summary, [contenteditable], [tabindex], [onclick], '
    + '[draggable=true], [role=button], [role=link], [role=tab], [role^=menuitem], [role=checkbox], [role=radio], [role=switch], '
    + '[role=option], [role=treeitem], [role=gridcell], [role=row], [role=slider], [role=textbox], [role=searchbox], [role=combobox]';
  // What draws or plays by itself tells nothing of its inside.
  const OPAQUE = 'canvas, svg, svg *, video, audio, iframe, frame, object, embed, map';
  // Listeners of so large a part of the page may be meant for anything in it.
  const LARGE = 0.4;
  const inner = deepest(x, y).element;
  if (!inner || inner.matches(OPAQUE)) return null;
  const page = inner.ownerDocument;
  const view = page.defaultView;
  if (/pointer|grab/.test(getComputedStyle(inner).cursor)) return true;
  let isReact = false;
  let isDelegated = [page.body, page.documentElement, page, view].some((node) => node && listens(node));
  // Out of shadow roots as well.
  for (let node = inner, from = null; node && !node.matches('html, body'); from = node, node = node.parentElement || node.getRootNode().host) {
    // A label of nothing does nothing.
    if (node.matches(OWN) && (node.localName !== 'label' || node.control)) return true;
    // A component may listen inside of itself, where nobody came from.
    const isFromInside = from && from.getRootNode() === node.shadowRoot;
    if ((node.localName.includes('-') || node.shadowRoot) && !isFromInside) return null;
    const props = Object.keys(node).find((key) => /^__react(Props|EventHandlers)\$/.test(key));
    isReact = isReact || Boolean(props);
    if (props && Object.keys(node[props] || {}).some((key) => /^on(Click|DoubleClick|Mouse(Down|Up)|Pointer(Down|Up)|Touch)/.test(key))) return true;
    if (!listens(node)) continue;
    const { width, height } = node.getBoundingClientRect();
    if (width * height < LARGE * view.innerWidth * view.innerHeight) return true;
    isDelegated = true;
  }
  return isDelegated && !isReact ? null : false;
})

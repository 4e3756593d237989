// The innermost element at a point, through open shadow roots and frames of the same origin, and where its page begins.
const deepest = (root, x, y, left = 0, top = 0) => {
  const element = root.elementFromPoint(x, y);
  if (!element) return { element, left, top };
  const inShadow = element.shadowRoot && element.shadowRoot.elementFromPoint(x, y);
  if (inShadow && inShadow !== element) return deepest(element.shadowRoot, x, y, left, top);
  if (element.localName === 'iframe' && element.contentDocument) {
    const box = element.getBoundingClientRect();
    const [dx, dy] = [box.left + element.clientLeft, box.top + element.clientTop];
    const inside = deepest(element.contentDocument, x - dx, y - dy, left + dx, top + dy);
    return inside.element ? inside : { element, left, top };
  }
  return { element, left, top };
};

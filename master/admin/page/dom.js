// Making and changing elements. Text only ever gets in as text: nothing here reads markup.

const SVG = 'http://www.w3.org/2000/svg';

const byId = (id) => document.getElementById(id);

// el('td', {class: 'number'}, 'text', child, …); an absent attribute is null.
function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

// Writes only what has changed, so that nothing is laid out, or read out, for nothing.
function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Makes `parent` have one child for each item, in their order. A child lives as long as an item has
// its key, so that focus and selection stay where they are.
function reconcile(parent, items, keyOf, make, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = old.get(key);
    if (child) {
      old.delete(key);
    } else {
      child = make(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
  for (const child of old.values()) child.remove();
}

// A state's shape, in its colour; the word stands beside it.
function stateIcon(state) {
  const icon = svg('svg', {class: `icon ${state}`, 'aria-hidden': 'true', focusable: 'false'},
                   svg('use', {href: `#icon-${state}`}));
  return icon;
}

function setStateIcon(icon, state) {
  setAttribute(icon, 'class', `icon ${state}`);
  setAttribute(icon.firstElementChild, 'href', `#icon-${state}`);
}

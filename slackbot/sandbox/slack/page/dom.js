// Builds DOM nodes. Text always becomes a text node, so message data can never turn into markup.

const SVG = "http://www.w3.org/2000/svg";

/** h("button", {class: "x", onclick: f, dataset: {a: 1}}, "text", node, [nodes], null) -> Element */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") element.className = value;
    else if (key === "dataset") Object.assign(element.dataset, value);
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked" || key === "disabled" || key === "hidden") element[key] = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

export function append(parent, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return parent;
}

export function fragment(...children) {
  return append(document.createDocumentFragment(), children);
}

export function replace(parent, ...children) {
  parent.replaceChildren();
  return append(parent, children);
}

const ICONS = {
  attach: ["M20.5 11.5 12 20a5.5 5.5 0 0 1-7.8-7.8l8.5-8.5a3.7 3.7 0 0 1 5.2 5.2l-8.4 8.5a1.8 1.8 0 0 1-2.6-2.6l7.8-7.8"],
  bolt: ["M13 3 5 13.5h6L10 21l9-11h-6.5z"],
  check: ["m5 12.5 4.5 4.5L19.5 7"],
  chevron: ["m6 9 6 6 6-6"],
  close: ["M6 6l12 12", "M18 6 6 18"],
  code: ["m8 8-4 4 4 4", "m16 8 4 4-4 4"],
  copy: ["M9 9h11v11H9z", "M15 9V4H4v11h5"],
  down: ["M12 5v14", "m6 13 6 6 6-6"],
  edit: ["m4 20 1-4L16.5 4.5a2.1 2.1 0 0 1 3 3L8 19z"],
  external: ["M14 4h6v6", "M20 4 10.5 13.5", "M18 14v6H4V6h6"],
  eye: ["M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z", "M12 9.3a2.7 2.7 0 1 0 0 5.4 2.7 2.7 0 0 0 0-5.4z"],
  file: ["M6 3h8l5 5v13H6z", "M14 3v5h5"],
  hash: ["M9.5 4 7.5 20", "M16.5 4l-2 16", "M4.5 9h16", "M3.5 15h16"],
  link: ["M10 14a4.5 4.5 0 0 0 6.4 0l3-3A4.5 4.5 0 0 0 13 4.600l-1 1", "M14 10a4.5 4.5 0 0 0-6.4 0l-3 3a4.5 4.5 0 0 0 6.4 6.400l1-1"],
  lock: ["M6 11h12v9H6z", "M8.5 11V8a3.5 3.5 0 0 1 7 0v3"],
  menu: ["M4 7h16", "M4 12h16", "M4 17h16"],
  more: ["M5 12h.01", "M12 12h.01", "M19 12h.01"],
  pulse: ["M3 12h4l3-7 4 14 3-7h4"],
  reply: ["M20 5H4v11h4v4l5-4h7z"],
  search: ["M11 4.500a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z", "m16 16 4.5 4.5"],
  send: ["M4 12 4.5 4.5 21 12 4.5 19.500z", "M4 12h8"],
  smile: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "M8.5 14.500c1.8 2.4 5.2 2.4 7 0", "M9 9.500h.01", "M15 9.500h.01"],
  trash: ["M5 7h14", "M9.5 7V4h5v3", "m7 7 .8 13h8.400L17 7"],
  warning: ["M12 4 2.5 20h19z", "M12 10v4.5", "M12 17.300h.01"],
  home: ["m4 11 8-7 8 7v9h-5.500v-6h-5v6H4z"],
};

/** A line icon, drawn in the current text colour; hidden from screen readers. */
export function icon(name, size = 18) {
  const svg = document.createElementNS(SVG, "svg");
  const attributes = {
    viewBox: "0 0 24 24", width: size, height: size, fill: "none", stroke: "currentColor", "stroke-width": name === "more" ? 2.8 : 1.7,
    "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true", class: "icon",
  };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  for (const d of ICONS[name] || ICONS.more) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/** The drawn glyph of the bot: a branch that leaves a line and comes back. */
export function botGlyph() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  svg.setAttribute("aria-hidden", "true");
  const shapes = [
    ["path", { d: "M11 11.600v8.800M11 20c0-5 10-3 10-8.2", fill: "none", stroke: "currentColor", "stroke-width": 2.4, "stroke-linecap": "round" }],
    ["circle", { cx: 11, cy: 9.5, r: 2.7, fill: "currentColor" }],
    ["circle", { cx: 11, cy: 22.5, r: 2.7, fill: "currentColor" }],
    ["circle", { cx: 21, cy: 9.5, r: 2.7, fill: "currentColor" }],
  ];
  for (const [tag, attributes] of shapes) {
    const shape = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    svg.append(shape);
  }
  return svg;
}

/** A link that may leave the page, or null when the address is not one we open. */
export function safeUrl(url) {
  if (typeof url !== "string") return null;
  try {
    const parsed = new URL(url, location.href);
    if (parsed.protocol === "mailto:") return url;
    return (parsed.protocol === "http:" || parsed.protocol === "https:") && /^(https?:\/\/|\/)/i.test(url) ? parsed.href : null;
  } catch {
    return null;
  }
}

export function link(url, ...children) {
  const href = safeUrl(url);
  if (!href) return h("span", { class: "dead-link" }, children);
  return h("a", { href, target: "_blank", rel: "noopener noreferrer" }, children);
}

export function toast(text, action) {
  const close = () => element.remove();
  const element = h("div", { class: "toast" }, h("span", null, text),
    action && h("button", { class: "text-button", onclick: () => { close(); action.run(); } }, action.label),
    h("button", { class: "icon-button small", "aria-label": "Dismiss", onclick: close }, icon("close", 14)));
  document.getElementById("toasts").append(element);
  setTimeout(close, 9000);
}

export function announce(text) {
  const line = h("div", null, text);
  document.getElementById("announcer").append(line);
  setTimeout(() => line.remove(), 4000);
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "visually-hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

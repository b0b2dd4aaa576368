// The emoji picker: a search field above a grid that the arrow keys walk.

import { h } from "./dom.js";
import { FREQUENT, GLYPHS, glyph } from "./emoji.js";
import { arrowKeys, openPopup } from "./popup.js";

const COLUMNS = 8;

export function pickEmoji(anchor, onPick, { align = "end" } = {}) {
  const grid = h("div", { class: "emoji-grid", role: "group", "aria-label": "Emoji" });
  const name = h("div", { class: "emoji-caption", "aria-hidden": "true" });
  const search = h("input", { type: "search", class: "text-field", placeholder: "Search emoji", "aria-label": "Search emoji", autocomplete: "off" });
  const close = openPopup(anchor, h("div", { class: "emoji-picker", role: "dialog", "aria-label": "Choose an emoji" }, search, grid, name), { align });

  function show() {
    const wanted = search.value.trim().toLowerCase().replaceAll(":", "").replaceAll(" ", "_");
    const seen = new Set();
    const names = wanted ? [...GLYPHS.keys()].filter((key) => key.includes(wanted)) : [...FREQUENT, ...GLYPHS.keys()];
    grid.replaceChildren(...names.filter((key) => !seen.has(GLYPHS.get(key)) && seen.add(GLYPHS.get(key))).map((key) => h("button", {
      type: "button", class: "emoji-cell", "aria-label": key.replaceAll("_", " "), dataset: { name: key },
      onclick: () => {
        close();
        onPick(key);
      },
      onfocus: () => (name.textContent = `:${key}:`),
      onpointerenter: () => (name.textContent = `:${key}:`),
    }, glyph(key) || key)));
    if (!grid.children.length) grid.append(h("p", { class: "options-note" }, "No emoji by that name."));
    grid.scrollTop = 0;
  }

  search.addEventListener("input", show);
  search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      event.stopPropagation();
      grid.querySelector("button")?.focus();
    } else if (event.key === "Enter") {
      event.preventDefault();
      grid.querySelector("button")?.click();
    }
  });
  arrowKeys(grid, ".emoji-cell", COLUMNS);
  show();
  search.focus();
}

// The picture beside a name: initials on the person's colour, or the bot's drawn glyph.

import { botGlyph, h } from "./dom.js";
import { isBot, personName, state } from "./state.js";

const FALLBACK = ["#9a5b13", "#2f6f9f", "#7a4fa3", "#a8435f", "#3f7a3a", "#3d6d77"];

function color(userId) {
  const given = state.people.get(userId)?.color;
  if (given) return given.startsWith("#") ? given : `#${given}`;
  return FALLBACK[[...String(userId)].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % FALLBACK.length];
}

/** Black or white, whichever can be read on the colour. */
function inkOn(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.3 ? "#15201d" : "#ffffff";
}

export function avatar(userId, { bot = isBot(userId), name = personName(userId), className = "" } = {}) {
  if (bot) return h("span", { class: `avatar bot ${className}`, "aria-hidden": "true" }, botGlyph());
  const words = name.replace(/[^\p{L}\p{N}\s]/gu, "").split(/\s+/).filter(Boolean);
  const initials = (words.length > 1 ? words[0][0] + words.at(-1)[0] : (words[0] || "?").slice(0, 1)).toUpperCase();
  const node = h("span", { class: `avatar ${className}`, "aria-hidden": "true" }, initials);
  node.style.backgroundColor = color(userId);
  node.style.color = inkOn(color(userId));
  return node;
}

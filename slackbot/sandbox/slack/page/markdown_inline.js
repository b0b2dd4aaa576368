// Inline marks of standard Markdown -> DOM nodes: code, bold, italic, strike, links, mentions, emoji. Linear in practice.

import { h, link } from "./dom.js";
import { emojiNode, isEmoji } from "./emoji.js";
import { channelMention, mention } from "./mrkdwn.js";
import { formatDateToken } from "./time.js";

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", apos: "'", nbsp: "\u00a0" };
const ENTITY = /&(amp|lt|gt|quot|#39|apos|nbsp);/y;
const EMOJI = /:([a-z0-9_+'-]+):/y;
const URL_AT = /https?:\/\/[^\s<>"`|]+/y;
const ANGLE = /<([^<>\n]+)>/y;
const LABEL_TARGET = /\(\s*<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)>?(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/y;
const WORD = /[\p{L}\p{N}]/u;

export function inlineMarkdown(text) {
  const out = [];
  walk(text, 0, text.length, 0, out);
  return out;
}

function at(pattern, text, index) {
  pattern.lastIndex = index;
  return pattern.exec(text);
}

function angle(inside) {
  const [target, label] = inside.split("|");
  if (/^@[UWB][A-Z0-9]+$/.test(target)) return mention(target.slice(1), label);
  if (/^#[CGD][A-Z0-9]+$/.test(target)) return channelMention(target.slice(1), label);
  if (target.startsWith("!date^")) {
    const [, seconds, format] = target.split("^");
    return h("time", null, /^\d+$/.test(seconds) && format ? formatDateToken(seconds, format) : label || "");
  }
  if (/^(https?:\/\/|mailto:)/i.test(target)) return link(target, label || target.replace(/^mailto:/i, ""));
  return /^br\s*\/?$/i.test(inside) ? h("br") : null;
}

/** Finds the end of `marker` opened before `from`; the character before it must not be a space. */
function closing(text, from, to, marker) {
  for (let index = text.indexOf(marker, from); index >= 0 && index + marker.length <= to; index = text.indexOf(marker, index + 1)) {
    if (text[index - 1] === "\\" || /\s/.test(text[index - 1])) continue;
    if (marker.length === 1 && ((index + 1 < to && text[index + 1] === marker) || text[index - 1] === marker)) continue;
    if (marker[0] === "_" && WORD.test(text[index + marker.length] || " ")) continue;
    if (marker.length === 2 && text[index + 2] === marker[0]) index += 1; // ***both***: the outer pair ends last
    return index;
  }
  return -1;
}

function bracketEnd(text, from, to) {
  let depth = 1;
  for (let index = from; index < to && index - from < 2000; index += 1) {
    if (text[index] === "\\") index += 1;
    else if (text[index] === "[") depth += 1;
    else if (text[index] === "]" && (depth -= 1) === 0) return index;
  }
  return -1;
}

const MARKS = [["**", "strong"], ["__", "strong"], ["~~", "s"], ["*", "em"], ["_", "em"]];

function walk(text, from, to, depth, out) {
  let plain = "";
  let index = from;
  const hopeless = {};
  const put = (node, next) => {
    if (plain) out.push(plain);
    plain = "";
    if (node !== null) out.push(node);
    index = next;
  };
  while (index < to) {
    const character = text[index];
    let match;
    if (character === "\\" && /[!-/:-@[-`{-~]/.test(text[index + 1] || "")) {
      plain += text[index + 1];
      index += 2;
    } else if (character === "\n") {
      plain = plain.replace(/ +$/, "");
      put(h("br"), index + 1);
    } else if (character === "`") {
      const ticks = /`+/y;
      const run = at(ticks, text, index)[0];
      let end = hopeless[run] ? -1 : text.indexOf(run, index + run.length);
      while (end >= 0 && (text[end + run.length] === "`" || text[end - 1] === "`")) end = text.indexOf(run, end + run.length + 1);
      if (end > 0 && end + run.length <= to) {
        const code = text.slice(index + run.length, end).replace(/\n/g, " ");
        put(h("code", null, /^ .*\S.* $/.test(code) ? code.slice(1, -1) : code), end + run.length);
      } else {
        hopeless[run] = true;
        plain += run;
        index += run.length;
      }
    } else if (character === "&" && (match = at(ENTITY, text, index))) {
      plain += ENTITIES[match[1]];
      index += match[0].length;
    } else if (character === "<" && (match = at(ANGLE, text, index)) && (match.node = angle(match[1]))) {
      put(match.node, index + match[0].length);
    } else if ((character === "[" || (character === "!" && text[index + 1] === "[")) && (match = labelled(text, index, to, depth))) {
      put(match.node, match.end);
    } else if (character === ":" && (match = at(EMOJI, text, index)) && isEmoji(match[1], text[index - 1])) {
      put(emojiNode(match[1]), index + match[0].length);
    } else if (character === "h" && !WORD.test(text[index - 1] || " ") && (match = at(URL_AT, text, index)) && match[0].length > 10) {
      const url = match[0].replace(/[.,;:!?*_~'\])}]+$/, "");
      put(link(url, url), index + url.length);
    } else {
      const mark = "*_~".includes(character) && depth < 8 ? emphasis(text, index, to, depth, hopeless) : null;
      if (mark) put(mark.node, mark.end);
      else {
        plain += character;
        index += 1;
      }
    }
  }
  put(null, to);
}

function labelled(text, index, to, depth) {
  const image = text[index] === "!";
  const start = index + (image ? 2 : 1);
  const end = bracketEnd(text, start, to);
  const target = end < 0 ? null : at(LABEL_TARGET, text, end + 1);
  if (!target) return null;
  const children = [];
  walk(text, start, end, depth + 1, children);
  // Images from elsewhere are not loaded by this page; their link is shown instead.
  return { node: link(target[1], children.length ? children : target[1]), end: end + 1 + target[0].length };
}

function emphasis(text, index, to, depth, hopeless) {
  for (const [marker, tag] of MARKS) {
    if (!text.startsWith(marker, index) || hopeless[marker]) continue;
    const start = index + marker.length;
    if (/\s/.test(text[start] || " ") || (marker[0] === "_" && WORD.test(text[index - 1] || " "))) continue;
    const end = closing(text, start + 1, to, marker);
    if (end < 0) {
      hopeless[marker] = true;
      continue;
    }
    const children = [];
    walk(text, start, end, depth + 1, children);
    return { node: h(tag, null, children), end: end + marker.length };
  }
  return null;
}

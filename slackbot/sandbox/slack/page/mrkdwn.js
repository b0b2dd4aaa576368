// Slack's own markup (mrkdwn, with &amp; &lt; &gt; escaped) -> DOM nodes. One pass, linear in the length of the text.

import { fragment, h, link } from "./dom.js";
import { emojiNode, isEmoji } from "./emoji.js";
import { personName, state } from "./state.js";
import { formatDateToken } from "./time.js";

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
const EMOJI = /:([a-z0-9_+'-]+(?:::skin-tone-[2-6])?):/y;
const URL_AT = /https?:\/\/[^\s<>"'`*|]+/y;
const STYLES = { "*": "strong", _: "em", "~": "s" };
const WORD = /[\p{L}\p{N}]/u;

export function unescape(text) {
  return String(text).replace(/&(amp|lt|gt);/g, (entity) => ENTITIES[entity]);
}

export function escape(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

export function mention(userId, label) {
  const me = userId === state.userId;
  return h("span", { class: me ? "mention me" : "mention", dataset: { userId } }, `@${label || personName(userId)}`);
}

export function channelMention(channelId, label) {
  const channel = state.channels.get(channelId);
  const name = `#${label || channel?.name || channelId}`;
  return channel ? h("a", { class: "mention", href: `#${channelId}` }, name) : h("span", { class: "mention" }, name);
}

/** The inside of <...>: mention, channel, broadcast, date or link. Null when it is none of them. */
function token(inside) {
  const bar = inside.indexOf("|");
  const target = bar < 0 ? inside : inside.slice(0, bar);
  const label = bar < 0 ? "" : unescape(inside.slice(bar + 1));
  if (/^@[UWB]/.test(target)) return mention(target.slice(1), label.replace(/^@/, ""));
  if (/^#[CGD]/.test(target)) return channelMention(target.slice(1), label);
  if (/^!(here|channel|everyone)$/.test(target)) return h("span", { class: "mention me" }, `@${target.slice(1)}`);
  if (target.startsWith("!subteam^")) return h("span", { class: "mention" }, label || "@group");
  if (target.startsWith("!date^")) {
    const [, seconds, format, url] = target.split("^");
    const text = /^\d+$/.test(seconds) && format ? unescape(formatDateToken(seconds, format)) : label;
    const node = h("time", { title: label || undefined }, text);
    return url ? link(url, node) : node;
  }
  if (/^(https?:\/\/|mailto:)/i.test(target)) {
    const url = unescape(target);
    return link(url, label || url.replace(/^mailto:/i, ""));
  }
  return null;
}

function boundary(text, index) {
  return index < 0 || index >= text.length || !WORD.test(text[index]);
}

function closer(text, start, marker, end) {
  for (let at = text.indexOf(marker, start); at >= 0 && at < end; at = text.indexOf(marker, at + 1)) {
    if (at > start && !/\s/.test(text[at - 1]) && boundary(text, at + 1) && text[at + 1] !== marker) return at;
  }
  return -1;
}

/** Inline nodes of text[from, to); `used` holds the markers we are already inside of. */
function inline(text, from, to, used, out) {
  let plain = "";
  let index = from;
  const hopeless = {}; // marker -> no closer exists before this index, so do not look again
  const flush = () => {
    if (plain) out.push(unescape(plain));
    plain = "";
  };
  while (index < to) {
    const character = text[index];
    if (character === "\n") {
      flush();
      out.push(h("br"));
      index += 1;
      continue;
    }
    if (character === "<") {
      const end = text.indexOf(">", index);
      const node = end > 0 && end < to ? token(text.slice(index + 1, end)) : null;
      if (node) {
        flush();
        out.push(node);
        index = end + 1;
        continue;
      }
    } else if (character === "`" || STYLES[character]) {
      const ok = character === "`" || (!used.includes(character) && boundary(text, index - 1) && text[index + 1] !== character && /\S/.test(text[index + 1] || " "));
      if (ok && !(hopeless[character] > index)) {
        const newline = text.indexOf("\n", index);
        const lineEnd = newline < 0 || newline > to ? to : newline;
        const close = character === "`" ? text.indexOf("`", index + 1) : closer(text, index + 1, character, lineEnd);
        if (close > index + 1 && close < lineEnd) {
          flush();
          if (character === "`") out.push(h("code", null, codeText(text.slice(index + 1, close))));
          else {
            const children = [];
            inline(text, index + 1, close, used + character, children);
            out.push(h(STYLES[character], null, children));
          }
          index = close + 1;
          continue;
        }
        if (close < 0 || close >= lineEnd) hopeless[character] = lineEnd;
      }
    } else if (character === ":") {
      EMOJI.lastIndex = index;
      const match = EMOJI.exec(text);
      if (match && EMOJI.lastIndex <= to && isEmoji(match[1], text[index - 1])) {
        flush();
        out.push(emojiNode(match[1]));
        index += match[0].length;
        continue;
      }
    } else if (character === "h" && boundary(text, index - 1)) {
      URL_AT.lastIndex = index;
      const match = URL_AT.exec(text);
      if (match && index + match[0].length <= to) {
        const url = match[0].replace(/(&gt;|&lt;)[^]*$/, "").replace(/[.,;:!?)\]}]+$/, "");
        if (url.length > 10) {
          flush();
          out.push(link(unescape(url), unescape(url)));
          index += url.length;
          continue;
        }
      }
    }
    plain += character;
    index += 1;
  }
  flush();
}

/** Code keeps its text as it is, but Slack wraps addresses and mentions inside of it too. */
function codeText(text) {
  return unescape(text.replace(/<([^<>|\n]+)(?:\|([^<>\n]*))?>/g, (whole, target, label) => label || target));
}

export function codeBlock(text, language) {
  return h("pre", { class: "code", tabindex: "0" }, h("code", language ? { dataset: { language } } : null, text));
}

function inlineNodes(text) {
  const out = [];
  inline(text, 0, text.length, "", out);
  return out;
}

function paragraphs(text, out) {
  const lines = text.split("\n");
  let quote = null;
  let plain = [];
  const flushPlain = () => {
    if (plain.length) out.push(h("div", { class: "line" }, inlineNodes(plain.join("\n"))));
    plain = [];
  };
  const flushQuote = () => {
    if (quote) out.push(h("blockquote", null, inlineNodes(quote.join("\n"))));
    quote = null;
  };
  for (const line of lines) {
    const match = /^(?:&gt;|>) ?/.exec(line);
    if (match) {
      flushPlain();
      (quote ||= []).push(line.slice(match[0].length));
    } else {
      flushQuote();
      plain.push(line);
    }
  }
  flushPlain();
  flushQuote();
}

/** Full message text: code fences, quotes, inline marks. */
export function mrkdwn(text) {
  const out = [];
  const source = String(text ?? "");
  let index = 0;
  while (index <= source.length) {
    const open = source.indexOf("```", index);
    const close = open < 0 ? -1 : source.indexOf("```", open + 3);
    if (close < 0) {
      if (index < source.length) paragraphs(source.slice(index), out);
      break;
    }
    const before = source.slice(index, open).replace(/\n$/, "");
    if (before) paragraphs(before, out);
    out.push(codeBlock(codeText(source.slice(open + 3, close)).replace(/^\n|\n$/g, "")));
    index = close + 3;
    if (source[index] === "\n") index += 1;
  }
  return h("div", { class: "mrkdwn" }, out);
}

/** A text object of Block Kit ({type: plain_text|mrkdwn, text}) as nodes. */
export function textObject(object) {
  if (!object) return null;
  if (typeof object === "string") return object;
  if (object.type === "mrkdwn") return mrkdwn(object.text);
  return plainText(object.text, object.emoji !== false);
}

export function plainText(text, withEmoji = true) {
  const parts = String(text ?? "").split(/(:[a-z0-9_+'-]+:)/);
  return fragment(parts.map((part) => (withEmoji && /^:.+:$/.test(part) ? emojiNode(part.slice(1, -1)) : unescape(part))));
}

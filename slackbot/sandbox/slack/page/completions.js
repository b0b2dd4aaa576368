// What the composer offers while one types: slash commands and their subcommands, people after "@", emoji after ":".

import { GLYPHS, glyph } from "./emoji.js";
import { state } from "./state.js";

/** Splits at `|` outside of brackets. */
function alternatives(hint) {
  const parts = [];
  let depth = 0;
  let part = "";
  for (const character of hint) {
    if ("[(<{".includes(character)) depth += 1;
    if ("])>}".includes(character)) depth -= 1;
    if (character === "|" && depth === 0) {
      parts.push(part);
      part = "";
    } else part += character;
  }
  return [...parts, part].map((text) => text.trim()).filter(Boolean);
}

/** "start [owner/repo] PROMPT | list" or "[start|list]" -> [{word, rest}]; words are lower case, the rest is what they take. */
export function subcommands(hint) {
  let text = (hint || "").trim();
  if (/^\[[^[\]]*\|[^[\]]*\]$/.test(text)) text = text.slice(1, -1);
  let parts = alternatives(text);
  if (parts.length === 1 && text.includes(",")) parts = text.split(",").map((part) => part.trim());
  return parts.map((part) => /^([a-z][a-z-]*)(?:\s+(.*))?$/.exec(part)).filter(Boolean).map(([, word, rest]) => ({ word, rest: rest || "" }));
}

export function commandOf(text) {
  const word = /^\/\S+/.exec(text)?.[0];
  return word && state.commands.find((entry) => entry.command === word);
}

function slash(before) {
  const name = /^\/(\S*)$/.exec(before);
  if (name) {
    const items = state.commands.filter((entry) => entry.command.startsWith(before)).map((entry) => ({
      insert: `${entry.command} `, title: entry.command, args: entry.usage_hint, note: entry.description,
    }));
    return items.length ? { from: 0, items, eager: !commandOf(before) } : null;
  }
  const command = commandOf(before);
  if (!command) return null;
  const rest = before.slice(command.command.length).replace(/^\s+/, "");
  const start = before.length - rest.length;
  const known = subcommands(command.usage_hint);
  const exact = known.find((entry) => rest === entry.word || rest.startsWith(`${entry.word} `));
  if (exact) return exact.rest ? { hint: { title: `${command.command} ${exact.word}`, args: exact.rest } } : null;
  const items = known.filter((entry) => entry.word.startsWith(rest) && !rest.includes(" ")).map((entry) => ({
    insert: entry.rest ? `${entry.word} ` : entry.word, title: `${command.command} ${entry.word}`, args: entry.rest,
  }));
  if (items.length) return { from: start, items, eager: false };
  return command.usage_hint ? { hint: { title: command.command, args: command.usage_hint, note: command.description } } : null;
}

/** For the text before the caret: {from, items: [{insert, title, note?}], eager} to choose from, {hint} to read, or null. */
export function complete(before, { commands }) {
  if (commands && before.startsWith("/") && !before.includes("\n")) return slash(before);
  const person = /(?:^|[\s(])@([\p{L}\p{N}._-]{0,20})$/u.exec(before);
  if (person) {
    const wanted = person[1].toLowerCase();
    const items = [...state.people.values()]
      .filter((one) => one.user_id !== state.userId && [one.name, one.real_name].some((name) => name?.toLowerCase().startsWith(wanted)))
      .slice(0, 8)
      .map((one) => ({ insert: `@${one.name} `, title: `@${one.name}`, note: one.real_name }));
    return items.length ? { from: before.length - person[1].length - 1, items, eager: true } : null;
  }
  const emoji = /(?:^|\s):([a-z0-9_+-]{2,20})$/.exec(before);
  if (emoji) {
    const names = [...GLYPHS.keys()].filter((name) => name.includes(emoji[1])).sort((a, b) => a.indexOf(emoji[1]) - b.indexOf(emoji[1]));
    const items = names.slice(0, 8).map((name) => ({ insert: `:${name}: `, title: `${glyph(name) || ""} :${name}:` }));
    return items.length ? { from: before.length - emoji[1].length - 1, items, eager: true } : null;
  }
  return null;
}

// Tells screen readers of messages that came while one was elsewhere on the page.

import { announce } from "./dom.js";
import { editable } from "./message_tools.js";
import { replaceEmoji } from "./emoji.js";

const SPOKEN_CHARACTERS = 160;

export function arrived(message, personName) {
  const text = replaceEmoji(editable(message.text || "")).replace(/\s+/g, " ").trim();
  const where = message.thread_ts && message.thread_ts !== message.ts ? " in a thread" : "";
  announce(`${message.name || personName(message.user_id)}${where}: ${text.slice(0, SPOKEN_CHARACTERS) || "sent something"}`);
}

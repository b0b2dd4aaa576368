// One message on the page. `update` redraws only what changed, so that focus, choices and busy buttons survive an edit.

import { avatar } from "./avatar.js";
import { messageText, renderBlock } from "./blocks.js";
import { h, icon, replace } from "./dom.js";
import { emojiNode } from "./emoji.js";
import { renderFiles } from "./files.js";
import { editMessage, fillToolbar, react } from "./message_tools.js";
import { personName, state } from "./state.js";
import { ago, clockTime, fullTime } from "./time.js";

const LONG_CHARACTERS = 4000;

export class MessageView {
  /** place: "channel" or "thread"; hooks: {openThread(ts), notice(text)} */
  constructor(message, place, hooks) {
    this.place = place;
    this.hooks = hooks;
    this.drawn = {};
    this.blocks = [];
    this.content = h("div", { class: "content" });
    this.head = h("div", { class: "message-head" });
    this.gutter = h("div", { class: "gutter" });
    this.notes = h("div", { class: "notes" });
    this.files = h("div");
    this.reactions = h("div", { class: "reactions" });
    this.replies = h("div");
    this.toolbar = h("div", { class: "message-tools", role: "toolbar", "aria-label": "Message" });
    this.element = h("article", { class: "message", tabindex: "-1", dataset: { testid: "message", ts: message.ts } },
      this.gutter,
      h("div", { class: "message-main" }, this.notes, this.head, this.content, this.files, this.reactions, this.replies),
      this.toolbar);
    const tools = () => fillToolbar(this);
    this.element.addEventListener("pointerenter", tools);
    this.element.addEventListener("focusin", tools);
    this.update(message);
  }

  get isMine() {
    return this.message.user_id === state.userId && !this.message.bot && !this.message.is_ephemeral;
  }

  get isRoot() {
    return !this.message.thread_ts || this.message.thread_ts === this.message.ts;
  }

  update(message) {
    this.message = message;
    this.element.dataset.user = message.user_id || "";
    this.element.classList.toggle("ephemeral", Boolean(message.is_ephemeral));
    this.element.setAttribute("aria-label", `${this.authorName}, ${clockTime(message.ts)}`);
    this.toolbar.dataset.stale = "1";
    this.part("head", [message.user_id, message.name, message.ts, this.grouped], () => this.drawHead());
    this.part("notes", [message.is_ephemeral, this.place, message.thread_ts, message.broadcast], () => this.drawNotes());
    if (!this.editing) this.drawContent();
    this.part("files", message.files, () => replace(this.files, message.files?.length ? renderFiles(message.files) : null));
    this.part("reactions", [message.reactions, state.userId], () => this.drawReactions());
    this.part("replies", [message.reply_count, message.latest_reply, message.reply_users, this.place, this.fresh], () => this.drawReplies());
  }

  /** Runs `draw` when the data of that part differ from what is shown. */
  part(name, data, draw) {
    const key = JSON.stringify(data ?? null);
    if (this.drawn[name] === key) return;
    this.drawn[name] = key;
    draw();
  }

  get authorName() {
    const { message } = this;
    return (message.bot && message.name) || personName(message.user_id) || message.name;
  }

  setGrouped(grouped) {
    if (this.grouped === grouped) return;
    this.grouped = grouped;
    this.element.classList.toggle("grouped", grouped);
    this.part("head", [this.message.user_id, this.message.name, this.message.ts, grouped], () => this.drawHead());
  }

  drawHead() {
    const { message } = this;
    const time = h("a", { class: "time", href: `#${message.channel_id}/${message.thread_ts || message.ts}`, title: fullTime(message.ts) },
      h("time", { datetime: new Date(Number(message.ts) * 1000).toISOString() }, clockTime(message.ts)));
    if (this.grouped) {
      replace(this.gutter, time);
      replace(this.head, h("span", { class: "visually-hidden" }, this.authorName));
      return;
    }
    replace(this.gutter, avatar(message.user_id, { bot: message.bot, name: this.authorName }));
    replace(this.head, h("span", { class: "author" }, this.authorName), message.bot && h("span", { class: "badge" }, "app"), time);
  }

  drawNotes() {
    const { message } = this;
    const notes = [];
    if (message.is_ephemeral) notes.push(h("div", { class: "note" }, icon("eye", 14), "Only visible to you"));
    if (this.place === "channel" && !this.isRoot) {
      notes.push(h("button", { type: "button", class: "note text-button", onclick: () => this.hooks.openThread(message.thread_ts) }, icon("reply", 14), "replied to a thread"));
    }
    replace(this.notes, notes);
  }

  drawContent() {
    const { message } = this;
    this.part("kind", [message.deleted, Boolean(this.editing)], () => {
      this.blocks = [];
      this.drawn.text = undefined;
      this.content.replaceChildren();
    });
    if (message.deleted) {
      this.part("text", "deleted", () => replace(this.content, h("p", { class: "deleted" }, "This message was deleted.")));
      return;
    }
    // People write mrkdwn; the rich_text that Slack keeps beside it says no more than the text does.
    const blocks = message.bot ? message.blocks : null;
    if (blocks?.length) this.drawBlocks(blocks);
    else {
      this.part("text", [message.text, message.edited], () => {
        this.blocks = [];
        const body = message.text ? messageText(message.text) : null;
        const edited = message.edited && h("span", { class: "edited" }, "(edited)");
        const last = body?.lastElementChild;
        if (edited && last?.matches(".line")) last.append(edited);
        replace(this.content, body && message.text.length > LONG_CHARACTERS ? folded(body) : body, edited && !edited.parentNode && edited);
      });
    }
  }

  /** Keeps the nodes of blocks that did not change. */
  drawBlocks(blocks) {
    this.drawn.text = undefined;
    const spare = new Map();
    for (const entry of this.blocks) spare.set(entry.key, [...(spare.get(entry.key) || []), entry]);
    const context = { surface: "message", source: { channel_id: this.message.channel_id, message_ts: this.message.ts } };
    this.blocks = blocks.map((block, index) => {
      const key = `${block.block_id || index}:${JSON.stringify(block)}`;
      return spare.get(key)?.shift() || { key, node: renderBlock(block, context, index) };
    });
    const wanted = this.blocks.map((entry) => entry.node);
    for (const node of [...this.content.childNodes]) if (!wanted.includes(node)) node.remove();
    wanted.forEach((node, index) => {
      if (this.content.childNodes[index] !== node) this.content.insertBefore(node, this.content.childNodes[index] || null);
    });
  }

  drawReactions() {
    const list = this.message.reactions || [];
    const focused = this.reactions.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    replace(this.reactions, list.filter((reaction) => reaction.users?.length).map((reaction) => {
      const mine = reaction.users.includes(state.userId);
      const who = reaction.users.map((user) => (user === state.userId ? "you" : personName(user))).join(", ");
      return h("button", {
        type: "button", class: mine ? "reaction mine" : "reaction", "aria-pressed": String(mine), title: `${who} reacted with :${reaction.name}:`,
        "aria-label": `${reaction.name.replaceAll("_", " ")}, ${who}`, dataset: { testid: "reaction", name: reaction.name },
        onclick: () => react(this, reaction.name, mine),
      }, emojiNode(reaction.name), h("span", null, reaction.users.length));
    }));
    if (focused) this.reactions.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus();
  }

  drawReplies() {
    const { message } = this;
    const count = message.reply_count || 0;
    if (this.place !== "channel" || !count) return void this.replies.replaceChildren();
    replace(this.replies, h("button", { type: "button", class: this.fresh ? "replies fresh" : "replies", dataset: { testid: "replies" }, onclick: () => this.hooks.openThread(message.ts) },
      h("span", { class: "faces" }, (message.reply_users || []).slice(0, 4).map((user) => avatar(user, { className: "tiny" }))),
      h("strong", null, count === 1 ? "1 reply" : `${count} replies`),
      message.latest_reply && h("span", { class: "muted", dataset: { ago: message.latest_reply, before: "Last reply " } }, `Last reply ${ago(message.latest_reply)}`),
      h("span", { class: "replies-open" }, "Open thread", icon("chevron", 14))));
  }

  setFresh(flag) {
    this.fresh = flag;
    this.update(this.message);
  }

  edit() {
    if (this.isMine && !this.message.deleted) editMessage(this);
  }
}

function folded(body) {
  const more = h("button", { type: "button", class: "text-button", "aria-expanded": "false" }, "Show all of it");
  const box = h("div", { class: "folded" }, body);
  more.addEventListener("click", () => {
    const open = box.classList.toggle("open");
    more.textContent = open ? "Show less" : "Show all of it";
    more.setAttribute("aria-expanded", String(open));
  });
  return h("div", null, box, more);
}

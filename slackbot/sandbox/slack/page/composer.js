// The field one writes in, under a channel or a thread: text that grows, completion, emoji, files by button, drop or paste.

import { upload } from "./api.js";
import { complete } from "./completions.js";
import { h, icon, replace } from "./dom.js";
import { pickEmoji } from "./emoji_picker.js";
import { size } from "./files.js";
import { openMenu } from "./popup.js";
import { state } from "./state.js";

const drafts = new Map();
let counter = 0;

/**
 * options: {testid, label, commands: bool, target() -> {channelId, threadTs}, send({text, fileIds}) -> {ok, error},
 * editLast() -> bool, escape?() , extra?: node, shortcut?(callback_id)}
 */
export class Composer {
  constructor(options) {
    this.options = options;
    this.files = [];
    this.queue = Promise.resolve();
    const id = `composer-${(counter += 1)}`;
    this.field = h("textarea", {
      rows: 1, id, "aria-label": options.label, autocomplete: "off", spellcheck: "true",
      "aria-autocomplete": "list", "aria-haspopup": "listbox", "aria-controls": `${id}-hints`, dataset: { testid: `${options.testid}-input` },
    });
    this.hints = h("div", { class: "hints", role: "listbox", id: `${id}-hints`, "aria-label": "Suggestions", hidden: true });
    this.chips = h("div", { class: "attachments", hidden: true });
    this.error = h("div", { class: "composer-error", role: "alert", hidden: true });
    this.picker = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to send", tabindex: "-1", onchange: () => this.attach(this.picker.files) });
    this.sendButton = h("button", { type: "submit", class: "icon-button send", "aria-label": "Send", title: "Send (Enter)", dataset: { testid: "send" } }, icon("send", 18));
    const emoji = h("button", { type: "button", class: "icon-button", "aria-label": "Emoji", title: "Emoji", onclick: () => pickEmoji(emoji, (name) => this.insert(`:${name}: `), { align: "start" }) }, icon("smile", 18));
    const slash = options.commands && h("button", { type: "button", class: "icon-button slash", "aria-label": "Commands and shortcuts", title: "Commands and shortcuts", onclick: () => this.menu(slash) }, icon("bolt", 18));
    this.element = h("form", { class: "composer", dataset: { testid: options.testid }, onsubmit: (event) => { event.preventDefault(); this.submit(); } },
      this.hints, this.error,
      h("div", { class: "composer-box" }, this.field, this.chips,
        h("div", { class: "composer-bar" },
          h("button", { type: "button", class: "icon-button", "aria-label": "Attach files", title: "Attach files", onclick: () => this.picker.click() }, icon("attach", 18)),
          emoji, slash, options.extra, h("span", { class: "composer-keys", "aria-hidden": "true" }, h("kbd", null, "Enter"), " to send"),
          this.sendButton)),
      this.picker);
    this.field.addEventListener("input", () => this.changed());
    this.field.addEventListener("keydown", (event) => this.key(event));
    this.field.addEventListener("blur", () => setTimeout(() => document.activeElement !== this.field && this.hideHints(), 120));
    this.field.addEventListener("click", () => this.suggest());
    this.field.addEventListener("paste", (event) => {
      if (!event.clipboardData?.files.length) return;
      event.preventDefault();
      this.attach(event.clipboardData.files);
    });
    this.changed();
  }

  get key_() {
    const { channelId, threadTs } = this.options.target();
    return `${state.userId}/${channelId}/${threadTs || ""}`;
  }

  /** Puts back what was being written for this person, channel and thread. */
  restore(placeholder) {
    this.field.placeholder = placeholder;
    this.field.value = drafts.get(this.key_) || "";
    this.files = [];
    this.drawFiles();
    this.fail(null);
    this.hideHints();
    this.grow();
  }

  /** Takes files dropped on `area`. */
  acceptDrops(area) {
    let depth = 0;
    const has = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
    const over = (step) => (event) => {
      if (!has(event)) return;
      event.preventDefault();
      depth = Math.max(0, depth + step);
      area.classList.toggle("dropping", depth > 0);
    };
    area.addEventListener("dragenter", over(1));
    area.addEventListener("dragleave", over(-1));
    area.addEventListener("dragover", (event) => has(event) && event.preventDefault());
    area.addEventListener("drop", (event) => {
      if (!has(event)) return;
      event.preventDefault();
      depth = 0;
      area.classList.remove("dropping");
      this.attach(event.dataTransfer.files);
      this.field.focus();
    });
  }

  focus() {
    this.field.focus();
    this.field.setSelectionRange(this.field.value.length, this.field.value.length);
  }

  /** Replaces the text, for "try this" buttons: focused, caret at the end, a short highlight. */
  put(text) {
    this.field.value = text;
    this.fail(null);
    this.changed({ quiet: true });
    this.focus();
    this.element.classList.remove("lit");
    requestAnimationFrame(() => this.element.classList.add("lit"));
    setTimeout(() => this.element.classList.remove("lit"), 1400);
  }

  insert(text) {
    this.field.focus();
    this.field.setRangeText(text, this.field.selectionStart, this.field.selectionEnd, "end");
    this.changed();
  }

  grow() {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, Math.round(window.innerHeight * 0.4))}px`;
  }

  changed({ quiet = false } = {}) {
    if (this.field.value) drafts.set(this.key_, this.field.value);
    else drafts.delete(this.key_);
    this.grow();
    this.ready();
    if (quiet) this.hideHints();
    else {
      // What was wrong was wrong with the text of before.
      this.fail(null);
      this.suggest();
    }
  }

  ready() {
    this.sendButton.classList.toggle("ready", Boolean(this.field.value.trim() || this.files.length));
  }

  fail(text, action) {
    this.error.hidden = !text;
    replace(this.error, text && [icon("warning", 15), h("span", null, text),
      action && h("button", { type: "button", class: "text-button", onclick: () => { this.fail(null); action.run(); } }, action.label),
      h("button", { type: "button", class: "icon-button small", "aria-label": "Dismiss", onclick: () => this.fail(null) }, icon("close", 14))]);
  }

  async submit() {
    const text = this.field.value.trim();
    const files = this.files;
    if (!text && !files.length) return;
    this.field.value = "";
    this.files = [];
    this.fail(null);
    this.drawFiles();
    this.changed();
    const giveBack = (error, action) => {
      if (!this.field.value) this.field.value = text;
      this.files = [...files.filter((file) => file.id), ...this.files];
      this.drawFiles();
      this.changed({ quiet: true });
      this.fail(error, action);
    };
    // One after the other, so that quick messages keep their order.
    const { send } = this.options;
    const to = this.options.target();
    this.queue = this.queue.then(async () => {
      await Promise.all(files.map((file) => file.done));
      const lost = files.find((file) => !file.id);
      if (lost) return giveBack(`${lost.name} was not uploaded: ${lost.error}`);
      const answer = await send({ text, fileIds: files.map((file) => file.id), to });
      if (answer.ok === false) giveBack(answer.error, answer.action);
    });
    await this.queue;
  }

  attach(list) {
    for (const file of list) {
      const entry = { name: file.name || "pasted image", size: file.size };
      entry.done = upload(file, { user_id: state.userId, channel_id: this.options.target().channelId }).then((answer) => {
        entry.id = answer.file_id;
        entry.error = answer.file_id ? null : answer.error || "the sandbox refused it";
        this.drawFiles();
      });
      this.files.push(entry);
    }
    this.picker.value = "";
    this.drawFiles();
  }

  drawFiles() {
    this.chips.hidden = !this.files.length;
    replace(this.chips, this.files.map((file) => h("span", { class: file.error ? "attachment failed" : "attachment", title: file.error || undefined }, icon("file", 15),
      h("span", { class: "attachment-name" }, file.name), h("small", null, file.error ? "not uploaded" : file.id ? size(file.size) : "uploading…"),
      h("button", { type: "button", "aria-label": `Remove ${file.name}`, onclick: () => { this.files = this.files.filter((other) => other !== file); this.drawFiles(); } }, icon("close", 13)))));
    this.ready();
  }

  menu(anchor) {
    const globals = state.shortcuts.filter((shortcut) => shortcut.type !== "message");
    openMenu(anchor, [
      ...state.commands.map((command) => ({ label: command.command, note: command.description, icon: "code", run: () => { this.field.value = `${command.command} `; this.focus(); this.changed(); } })),
      ...globals.map((shortcut) => ({ label: shortcut.name, note: shortcut.description, icon: "bolt", run: () => this.options.shortcut?.(shortcut.callback_id) })),
    ]);
  }

  // Suggestions

  suggest() {
    const before = this.field.value.slice(0, this.field.selectionStart);
    const found = document.activeElement === this.field ? complete(before, { commands: this.options.commands }) : null;
    this.found = found?.items ? found : null;
    this.active = found?.eager ? 0 : -1;
    if (!found) return this.hideHints();
    const line = (item) => [h("span", { class: "hint-title" }, item.title), item.args && h("code", { class: "hint-args" }, item.args), item.note && h("span", { class: "hint-note" }, item.note)];
    this.hints.hidden = false;
    replace(this.hints, found.hint
      ? h("div", { class: "hint-line reading" }, line(found.hint))
      : found.items.map((item, index) => h("div", {
        class: "hint-line", role: "option", id: `${this.hints.id}-${index}`, onpointerdown: (event) => event.preventDefault(), onclick: () => this.accept(index),
      }, line(item))));
    this.mark();
  }

  mark() {
    [...this.hints.children].forEach((node, index) => {
      node.classList.toggle("active", index === this.active);
      if (this.found) node.setAttribute("aria-selected", String(index === this.active));
    });
    const node = this.active >= 0 ? this.hints.children[this.active] : null;
    if (node) {
      this.field.setAttribute("aria-activedescendant", node.id);
      node.scrollIntoView({ block: "nearest" });
    } else this.field.removeAttribute("aria-activedescendant");
  }

  hideHints() {
    this.found = null;
    this.hints.hidden = true;
    this.field.removeAttribute("aria-activedescendant");
  }

  accept(index) {
    const { from, items } = this.found;
    this.field.setRangeText(items[index].insert, from, this.field.selectionStart, "end");
    this.changed();
  }

  key(event) {
    if (event.isComposing) return;
    const { key } = event;
    const take = () => event.preventDefault();
    if (this.found && (key === "ArrowDown" || key === "ArrowUp")) {
      take();
      const { length } = this.found.items;
      this.active = key === "ArrowDown" ? (this.active + 1) % length : (this.active <= 0 ? length : this.active) - 1;
      this.mark();
    } else if (this.found && key === "Tab" && !event.shiftKey) {
      take();
      this.accept(Math.max(this.active, 0));
    } else if (this.found && key === "Enter" && this.active >= 0) {
      take();
      this.accept(this.active);
    } else if (key === "Enter" && !event.shiftKey) {
      take();
      this.submit();
    } else if (key === "Escape") {
      event.stopPropagation();
      if (!this.hints.hidden) this.hideHints();
      else this.options.escape?.();
    } else if (key === "ArrowUp" && !this.field.value && this.options.editLast()) take();
  }
}

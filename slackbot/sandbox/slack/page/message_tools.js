// What one can do with a message: react, reply, edit, delete, copy its link, run the app's message shortcuts.

import { post } from "./api.js";
import { copyText, h, icon, replace, toast } from "./dom.js";
import { pickEmoji } from "./emoji_picker.js";
import { unescape } from "./mrkdwn.js";
import { ask, openMenu } from "./popup.js";
import { state } from "./state.js";

async function send(path, body) {
  const answer = await post(path, { user_id: state.userId, ...body });
  if (answer.ok === false) toast(answer.error || "That did not work.");
  return answer.ok !== false;
}

export function react(view, name, remove) {
  const { channel_id, ts } = view.message;
  return send("react", { channel_id, ts, name, remove: Boolean(remove) });
}

/** Drawn on the first hover or focus, and again after a change. */
export function fillToolbar(view) {
  if (!view.toolbar.dataset.stale) return;
  delete view.toolbar.dataset.stale;
  const { message } = view;
  const tool = (label, symbol, run, extra = {}) => {
    const node = h("button", { type: "button", class: "icon-button small", "aria-label": label, title: label, onclick: () => run(node), ...extra }, icon(symbol, 16));
    return node;
  };
  if (message.is_ephemeral) {
    replace(view.toolbar, tool("Dismiss", "close", async () => {
      view.hooks.removed(message.ts);
      await send("delete", { channel_id: message.channel_id, ts: message.ts });
    }));
    return;
  }
  if (message.deleted) return void view.toolbar.replaceChildren();
  replace(view.toolbar,
    tool("Add a reaction", "smile", (node) => pickEmoji(node, (name) => react(view, name, false)), { "aria-haspopup": "dialog" }),
    view.place === "channel" && tool("Reply in thread", "reply", () => view.hooks.openThread(message.thread_ts || message.ts, true)),
    view.isMine && tool("Edit", "edit", () => view.edit()),
    tool("More", "more", (node) => openMenu(node, entries(view), { align: "end" }), { "aria-haspopup": "menu" }));
}

function entries(view) {
  const { message } = view;
  const address = `${location.origin}/#${message.channel_id}/${message.thread_ts || message.ts}`;
  return [
    { label: "Copy link", icon: "link", run: async () => toast((await copyText(address)) ? "The link is copied." : address) },
    { label: "Copy text", icon: "copy", run: async () => toast((await copyText(editable(message.text || ""))) ? "The text is copied." : "The text could not be copied.") },
    ...state.shortcuts.filter((shortcut) => shortcut.type === "message").map((shortcut) => ({
      label: shortcut.name, note: shortcut.description, icon: "bolt", dataset: { callbackId: shortcut.callback_id },
      run: () => send("shortcut", { callback_id: shortcut.callback_id, channel_id: message.channel_id, message_ts: message.ts }),
    })),
    view.isMine && {
      label: "Delete", icon: "trash", danger: true,
      run: async () => {
        if (await ask({ title: "Delete this message?", text: "It goes away for everyone.", confirm: "Delete", danger: true })) {
          await send("delete", { channel_id: message.channel_id, ts: message.ts });
        }
      },
    },
  ].filter(Boolean);
}

/** Stored text back to what a person would type. */
export function editable(text) {
  return unescape(text
    .replace(/<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>/g, (whole, id) => (state.people.has(id) ? `@${state.people.get(id).name}` : whole))
    .replace(/<#(C[A-Z0-9]+)(?:\|[^<>]*)?>/g, (whole) => whole)
    .replace(/<(https?:[^<>|]+)(?:\|[^<>]*)?>/g, "$1")
    .replace(/<(mailto:[^<>|]+)\|([^<>]*)>/g, "$2"));
}

export function editMessage(view) {
  if (view.editing) return;
  const { message } = view;
  const field = h("textarea", { rows: 2, class: "text-field", "aria-label": "Edit the message", value: editable(message.text || "") });
  const error = h("p", { class: "action-error", role: "alert", hidden: true });
  const finish = () => {
    view.editing = false;
    view.drawn.kind = undefined;
    view.element.classList.remove("editing");
    view.update(view.message);
  };
  const save = async () => {
    const text = field.value.trim();
    if (!text || text === editable(message.text || "")) return finish();
    const answer = await post("edit", { user_id: state.userId, channel_id: message.channel_id, ts: message.ts, text });
    if (answer.ok !== false) return finish();
    error.hidden = false;
    error.textContent = answer.error || "The change was not saved.";
  };
  const grow = () => {
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight + 2, 320)}px`;
  };
  field.addEventListener("input", grow);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      finish();
      view.element.focus();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      save();
    }
  });
  view.editing = true;
  view.drawn.kind = undefined;
  view.element.classList.add("editing");
  replace(view.content, h("div", { class: "edit-box" }, field, error,
    h("div", { class: "edit-actions" }, h("small", null, "Enter saves, Escape cancels"),
      h("button", { type: "button", class: "button", onclick: finish }, "Cancel"),
      h("button", { type: "button", class: "button primary", onclick: save }, "Save"))));
  grow();
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
}

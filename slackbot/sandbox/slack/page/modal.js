// Modals of the app: a stack of views, with their fields, errors and updates. Values survive an update of the same field.

import { post } from "./api.js";
import { renderBlock } from "./blocks.js";
import { h, icon, replace, toast } from "./dom.js";
import { plainText } from "./mrkdwn.js";
import { closePopup, openDialog } from "./popup.js";
import { state } from "./state.js";

/** [{view, dialog, readers: {block: {action: read}}}] from the first opened to the one on top */
const stack = [];

const titleOf = (view) => view.title?.text || "Dialog";

export function openView(view) {
  if (stack.some((entry) => entry.view.id === view.id)) return updateView(view);
  // A view that was not pushed onto another takes the place of all that are open.
  if (!view.previous_view_id) closeView();
  const entry = { view, readers: {} };
  entry.body = h("div", { class: "modal-body" });
  entry.head = h("div", { class: "modal-head" });
  entry.foot = h("div", { class: "dialog-actions" });
  entry.error = h("p", { class: "action-error", role: "alert", hidden: true });
  const form = h("form", { class: "modal-form", novalidate: true, onsubmit: (event) => { event.preventDefault(); submit(entry); } }, entry.head, entry.body, entry.error, entry.foot);
  entry.dialog = openDialog({ label: titleOf(view), className: "modal", testid: "modal", onDismiss: () => dismiss(entry), content: form });
  stack.push(entry);
  draw(entry);
  const focusable = entry.body.querySelector("[data-focus] input, [data-focus] textarea") || entry.body.querySelector("input, textarea, select, button");
  (focusable || entry.foot.querySelector("button"))?.focus();
}

export function updateView(view) {
  const entry = stack.find((candidate) => candidate.view.id === view.id);
  if (!entry) return void (view.type === "modal" && openView(view));
  entry.kept = values(entry);
  entry.view = view;
  draw(entry);
}

/** Closes one view; the one beneath it shows again. Without an id all close. */
export function closeView(viewId) {
  for (const entry of [...stack].reverse()) {
    if (viewId && entry.view.id !== viewId) continue;
    closePopup();
    stack.splice(stack.indexOf(entry), 1);
    entry.dialog.close();
  }
}

/** Shows the views the server knows of, no more and no fewer (after a reload or a lost connection). */
export function syncViews(views) {
  for (const entry of [...stack]) if (!views.some((view) => view.id === entry.view.id)) closeView(entry.view.id);
  for (const view of views) openView(view);
}

function values(entry) {
  const out = {};
  for (const [blockId, actions] of Object.entries(entry.readers)) {
    out[blockId] = Object.fromEntries(Object.entries(actions).map(([actionId, read]) => [actionId, read()]));
  }
  return out;
}

function draw(entry) {
  const { view } = entry;
  const focused = entry.body.contains(document.activeElement) ? document.activeElement.closest("[data-action-id]")?.dataset.actionId : null;
  const scroll = entry.body.scrollTop;
  entry.readers = {};
  const context = {
    surface: "modal",
    source: { view_id: view.id },
    register: (blockId, actionId, read) => ((entry.readers[blockId] ||= {})[actionId] = read),
    keep: (blockId, actionId) => entry.kept?.[blockId]?.[actionId],
    values: () => values(entry),
  };
  const nodes = (view.blocks || []).map((block, index) => {
    const node = renderBlock(block, context, index);
    if (block.element?.focus_on_load) node.dataset.focus = "1";
    return node;
  });
  replace(entry.body, nodes);
  entry.body.scrollTop = scroll;
  if (focused) {
    const node = entry.body.querySelector(`[data-action-id="${CSS.escape(focused)}"]`);
    (node?.matches("input, textarea, button") ? node : node?.querySelector("input, textarea, button"))?.focus();
  }
  const close = () => dismiss(entry);
  replace(entry.head, h("h2", null, plainText(titleOf(view))), h("span", { class: "spacer" }),
    h("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: close }, icon("close", 18)));
  const needsSubmit = view.submit || (view.blocks || []).some((block) => block.type === "input");
  entry.submit = needsSubmit && h("button", { type: "submit", class: "button primary", dataset: { testid: "modal-submit" } }, h("span", { class: "button-label" }, plainText(view.submit?.text || "Submit")));
  replace(entry.foot, h("button", { type: "button", class: "button", dataset: { testid: "modal-close" }, onclick: close }, plainText(view.close?.text || (needsSubmit ? "Cancel" : "Close"))), entry.submit);
  entry.dialog.element.setAttribute("aria-label", titleOf(view));
}

async function dismiss(entry) {
  closePopup();
  closeView(entry.view.id);
  await post("view_close", { user_id: state.userId, view_id: entry.view.id });
}

/** What the page can say itself before the app is asked, per block id. */
function missing(entry, read) {
  const errors = {};
  for (const [index, block] of (entry.view.blocks || []).entries()) {
    if (block.type !== "input") continue;
    const blockId = block.block_id || `block-${index}`;
    const value = read[blockId]?.[block.element.action_id];
    const content = Object.entries(value || {}).find(([key]) => key !== "type")?.[1];
    const empty = content === null || content === undefined || content === "" || (Array.isArray(content) && !content.length);
    if (empty && !block.optional) errors[blockId] = "Please fill in this field.";
    else if (!empty && typeof content === "string") {
      const { min_length: least, max_length: most, type } = block.element;
      if (least && content.length < least) errors[blockId] = `Please write at least ${least} characters.`;
      else if (most && content.length > most) errors[blockId] = `Please write at most ${most} characters.`;
      else if (type === "number_input" && !Number.isFinite(Number(content))) errors[blockId] = "Please write a number.";
    }
  }
  return errors;
}

function showErrors(entry, errors) {
  for (const old of entry.body.querySelectorAll(".field-error")) old.remove();
  for (const field of entry.body.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  entry.error.hidden = true;
  let first = null;
  for (const [blockId, text] of Object.entries(errors)) {
    const block = [...entry.body.children].find((node) => node.dataset.blockId === blockId);
    if (!block) {
      entry.error.textContent = text;
      entry.error.hidden = false;
      continue;
    }
    block.append(h("p", { class: "field-error", role: "alert" }, text));
    const field = block.querySelector("input, textarea");
    field?.setAttribute("aria-invalid", "true");
    first ||= field || block;
  }
  first?.focus();
}

async function submit(entry) {
  if (!entry.submit || entry.submit.getAttribute("aria-busy")) return;
  const read = values(entry);
  const errors = missing(entry, read);
  showErrors(entry, errors);
  if (Object.keys(errors).length) return;
  const { view, submit: button } = entry;
  button.setAttribute("aria-busy", "true");
  button.classList.add("busy");
  const answer = await post("view_submit", { user_id: state.userId, view_id: view.id, values: read });
  entry.submit?.removeAttribute("aria-busy");
  button.removeAttribute("aria-busy");
  button.classList.remove("busy");
  if (answer.errors && Object.keys(answer.errors).length) return showErrors(entry, answer.errors);
  if (answer.ok === false) {
    entry.error.textContent = answer.error || "The app did not answer; please try again.";
    entry.error.hidden = false;
    return;
  }
  document.dispatchEvent(new Event("form-sent"));
  if (answer.response_action === "clear") closeView();
  else if (answer.view) (answer.response_action === "push" ? openView : updateView)(answer.view);
  else if (!answer.response_action && stack.includes(entry)) closeView(view.id);
}

export function viewEvent(event) {
  const view = event.view;
  if (event.type === "view_close") return closeView(event.view_id || view?.id);
  if (!view) return toast("The app opened a view that could not be read.");
  if (view.type === "home") return;
  if (event.type === "view_open") openView(view);
  else updateView(view);
}

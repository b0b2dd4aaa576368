// A person presses or chooses something in a message, a modal or the Home tab: confirm, send, show it is under way, show its error.

import { post } from "./api.js";
import { h, icon } from "./dom.js";
import { plainText, textObject } from "./mrkdwn.js";
import { ask } from "./popup.js";
import { state } from "./state.js";

let putCommand = () => {};

/** What "sandbox_try" buttons call: put a command into the channel's composer. */
export function onTry(handler) {
  putCommand = handler;
}

/**
 * context: {source: {channel_id, message_ts} | {view_id}, blockId, values?: () -> state of a view}
 * payload: what the element adds (value, selected_option, ...). `node`: where busy and error are shown.
 */
export async function act(context, element, payload, node) {
  if (String(element.action_id).startsWith("sandbox_try")) {
    putCommand(element.value || "");
    return true;
  }
  if (element.confirm && !(await confirmed(element.confirm))) return false;
  if (node.getAttribute("aria-busy") === "true") return false;
  busy(node, true);
  showError(node, null);
  const answer = await post("action", {
    user_id: state.userId,
    ...context.source,
    block_id: context.blockId,
    action_id: element.action_id,
    type: element.type,
    ...payload,
    ...(context.values ? { values: context.values() } : {}),
  });
  busy(node, false);
  if (answer.ok === false) showError(node, answer.error || "That did not work; please try again.");
  return answer.ok !== false;
}

function confirmed(confirm) {
  return ask({
    title: plainText(confirm.title?.text ?? "Are you sure?"),
    text: textObject(confirm.text),
    confirm: plainText(confirm.confirm?.text ?? "Yes"),
    deny: plainText(confirm.deny?.text ?? "Cancel"),
    danger: confirm.style === "danger",
  });
}

function busy(node, flag) {
  if (flag) node.setAttribute("aria-busy", "true");
  else node.removeAttribute("aria-busy");
  node.classList.toggle("busy", flag);
}

function showError(node, text) {
  const host = node.closest(".block") || node.parentElement;
  if (!host) return;
  host.querySelector(":scope > .action-error")?.remove();
  if (text) host.append(h("p", { class: "action-error", role: "alert" }, icon("warning", 15), h("span", null, text)));
}

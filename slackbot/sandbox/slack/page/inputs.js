// Form fields of Block Kit: text, choice, date and file. Each registers how its state is read, in the shape of view.state.values.

import { act } from "./actions.js";
import { upload } from "./api.js";
import { h } from "./dom.js";
import { textObject } from "./mrkdwn.js";
import { state } from "./state.js";

let counter = 0;

export function renderInput(element, context) {
  switch (element?.type) {
    case "plain_text_input":
    case "rich_text_input":
      return text(element, context);
    case "email_text_input":
      return text(element, context, "email");
    case "url_text_input":
      return text(element, context, "url");
    case "number_input":
      return text(element, context, "number");
    case "radio_buttons":
      return choices(element, context, false);
    case "checkboxes":
      return choices(element, context, true);
    case "datepicker":
      return moment(element, context, "date", "date");
    case "timepicker":
      return moment(element, context, "time", "time");
    case "datetimepicker":
      return moment(element, context, "datetime-local", "date_time");
    case "file_input":
      return file(element, context);
    default:
      return null;
  }
}

function richValue(value) {
  return { type: "rich_text", elements: [{ type: "rich_text_section", elements: [{ type: "text", text: value }] }] };
}

function plainOf(rich) {
  if (typeof rich === "string") return rich;
  return (rich?.elements || []).flatMap((part) => part.elements || []).map((part) => part.text || part.url || "").join("");
}

function text(element, context, kind = "text") {
  const rich = element.type === "rich_text_input";
  const multiline = element.multiline || rich;
  const kept = context.keep?.(element.action_id);
  const initial = kept ? (rich ? plainOf(kept.rich_text_value) : kept.value) : rich ? plainOf(element.initial_value) : element.initial_value;
  const properties = {
    class: "text-field",
    id: context.fieldId,
    "aria-label": context.fieldId ? undefined : context.label || element.placeholder?.text || "Text",
    placeholder: element.placeholder?.text,
    maxlength: element.max_length,
    minlength: element.min_length,
    value: initial ?? "",
    dataset: { actionId: element.action_id || "" },
  };
  const node = multiline
    ? h("textarea", { ...properties, rows: 4 })
    : h("input", { ...properties, type: kind === "number" ? "text" : kind, inputmode: kind === "number" ? (element.is_decimal_allowed ? "decimal" : "numeric") : undefined, autocomplete: "off" });
  const read = () => {
    const value = node.value === "" ? null : node.value;
    return rich ? { type: element.type, rich_text_value: value === null ? null : richValue(value) } : { type: element.type, value };
  };
  context.register?.(element.action_id, read);
  const when = element.dispatch_action_config?.trigger_actions_on || ["on_enter_pressed"];
  if (context.immediate) {
    node.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || !when.includes("on_enter_pressed")) return;
      event.preventDefault();
      act(context, element, { value: node.value }, node);
    });
    if (when.includes("on_character_entered")) node.addEventListener("input", () => act(context, element, { value: node.value }, node));
  }
  if (!element.max_length || element.max_length > 3000) return node;
  const count = h("span", { class: "count", "aria-hidden": "true" });
  const update = () => {
    const left = element.max_length - node.value.length;
    count.textContent = left <= Math.max(20, element.max_length / 5) ? String(left) : "";
  };
  node.addEventListener("input", update);
  update();
  return h("div", { class: "counted" }, node, count);
}

function choices(element, context, many) {
  const name = `choice-${(counter += 1)}`;
  const kept = context.keep?.(element.action_id);
  const initial = many ? (kept?.selected_options ?? element.initial_options ?? []) : [kept ? kept.selected_option : element.initial_option].filter(Boolean);
  const options = element.options || [];
  const boxes = options.map((option) => h("input", {
    type: many ? "checkbox" : "radio", name, value: option.value, checked: initial.some((chosen) => chosen.value === option.value),
  }));
  const read = () => {
    const chosen = options.filter((_, index) => boxes[index].checked);
    return many ? { type: element.type, selected_options: chosen } : { type: element.type, selected_option: chosen[0] ?? null };
  };
  const node = h("div", { class: "choices", role: many ? "group" : "radiogroup", "aria-label": context.label, dataset: { actionId: element.action_id || "" } },
    options.map((option, index) => h("label", { class: "choice" }, boxes[index],
      h("span", null, textObject(option.text), option.description && h("small", null, textObject(option.description))))));
  if (context.immediate) {
    node.addEventListener("change", () => {
      const { type, ...answer } = read();
      act(context, element, answer, node);
    });
  }
  context.register?.(element.action_id, read);
  return node;
}

function moment(element, context, kind, key) {
  const stored = context.keep?.(element.action_id)?.[`selected_${key}`] ?? element[`initial_${key}`];
  const local = kind === "datetime-local" && stored ? new Date(stored * 1000 - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 16) : stored;
  const node = h("input", { type: kind, class: "text-field short", id: context.fieldId, value: local ?? "", "aria-label": context.label || kind, dataset: { actionId: element.action_id || "" } });
  const value = () => (node.value === "" ? null : kind === "datetime-local" ? Math.floor(new Date(node.value).getTime() / 1000) : node.value);
  if (context.immediate) node.addEventListener("change", () => act(context, element, { [`selected_${key}`]: value() }, node));
  context.register?.(element.action_id, () => ({ type: element.type, [`selected_${key}`]: value() }));
  return node;
}

function file(element, context) {
  let files = [];
  const note = h("small", { role: "status" });
  const node = h("input", {
    type: "file", id: context.fieldId, multiple: (element.max_files ?? 10) > 1, class: "text-field", dataset: { actionId: element.action_id || "" },
    accept: (element.filetypes || []).map((type) => `.${type}`).join(",") || undefined,
    onchange: async () => {
      note.textContent = "Uploading…";
      const answers = await Promise.all([...node.files].slice(0, element.max_files ?? 10).map((one) => upload(one, { user_id: state.userId, channel_id: state.channelId })));
      files = answers.filter((answer) => answer.file_id).map((answer) => ({ id: answer.file_id }));
      note.textContent = answers.find((answer) => !answer.file_id)?.error || "";
    },
  });
  context.register?.(element.action_id, () => ({ type: element.type, files }));
  return h("div", null, node, note);
}

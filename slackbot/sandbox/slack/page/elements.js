// The interactive elements of Block Kit that act at once: buttons, menus and selects. Form fields are in inputs.js.

import { act } from "./actions.js";
import { post } from "./api.js";
import { h, icon, safeUrl } from "./dom.js";
import { renderInput } from "./inputs.js";
import { plainText } from "./mrkdwn.js";
import { openMenu } from "./popup.js";
import { createSelect, fixed, grouped } from "./select.js";
import { channelTitle, humans, state } from "./state.js";

/** Element -> node; `context.register(actionId, read)` is called for what a form reads on submit. */
export function renderElement(element, context) {
  switch (element?.type) {
    case "button":
    case "workflow_button":
      return button(element, context);
    case "icon_button":
      return iconButton(element, context);
    case "feedback_buttons":
      return feedback(element, context);
    case "overflow":
      return overflow(element, context);
    case "image":
      return picture(element);
    default:
      break;
  }
  if (SELECTS[element?.type]) return select(element, context);
  const input = renderInput(element, context);
  return input || h("span", { class: "unsupported" }, `unsupported element: ${element?.type || "unknown"}`);
}

function button(element, context) {
  const style = { primary: "button primary", danger: "button danger" }[element.style] || "button";
  const properties = {
    class: style,
    dataset: { actionId: element.action_id || "", testid: "action" },
    "aria-label": element.accessibility_label,
    disabled: element.type === "workflow_button",
  };
  const label = h("span", { class: "button-label" }, plainText(element.text?.text ?? "", true));
  const href = element.url && safeUrl(element.url);
  const node = href
    ? h("a", { ...properties, href, target: "_blank", rel: "noopener noreferrer" }, label, icon("external", 14))
    : h("button", { ...properties, type: "button" }, label);
  node.addEventListener("click", () => act(context, element, { value: element.value }, node));
  return node;
}

function iconButton(element, context) {
  const names = { trash: "trash" };
  const node = h("button", {
    type: "button", class: "icon-button bordered", "aria-label": element.accessibility_label || element.text?.text, title: element.text?.text,
    dataset: { actionId: element.action_id || "" },
    onclick: () => act(context, element, { value: element.value }, node),
  }, icon(names[element.icon] || "more", 16));
  return node;
}

function feedback(element, context) {
  const one = (choice, emoji) => {
    const node = h("button", {
      type: "button", class: "icon-button bordered", title: choice.text?.text, "aria-label": choice.accessibility_label || choice.text?.text, "aria-pressed": "false",
      dataset: { actionId: element.action_id || "" },
      onclick: async () => {
        if (!(await act(context, element, { value: choice.value }, node))) return;
        for (const sibling of node.parentElement.children) sibling.setAttribute("aria-pressed", String(sibling === node));
      },
    }, emoji);
    return node;
  };
  return h("span", { class: "feedback", role: "group" }, element.positive_button && one(element.positive_button, "👍"), element.negative_button && one(element.negative_button, "👎"));
}

function overflow(element, context) {
  const node = h("button", {
    type: "button", class: "icon-button bordered", "aria-label": "More choices", "aria-haspopup": "menu", "aria-expanded": "false",
    dataset: { actionId: element.action_id || "" },
    onclick: () => openMenu(node, (element.options || []).map((option) => ({
      label: plainText(option.text?.text ?? option.value),
      note: option.description?.text,
      href: option.url && safeUrl(option.url),
      dataset: { value: option.value },
      run: () => act(context, element, { selected_option: option }, node),
    })), { align: "end" }),
  }, icon("more", 18));
  return node;
}

export function picture(image) {
  const url = image.image_url || image.slack_file?.url || (image.slack_file?.id ? `/sandbox/files/${image.slack_file.id}/image` : "");
  const href = safeUrl(url);
  const local = url.startsWith("data:image/") || url.startsWith("blob:") || (href && new URL(href).origin === location.origin);
  const alt = image.alt_text || "image";
  // The page loads nothing from elsewhere, so such an image is offered as a link.
  const fallback = () => (href ? h("a", { class: "image-link", href, target: "_blank", rel: "noopener noreferrer" }, icon("eye", 14), alt) : h("span", { class: "image-link" }, alt));
  if (!local) return fallback();
  const node = h("img", { src: url, alt, loading: "lazy" });
  node.addEventListener("error", () => node.replaceWith(fallback()));
  return node;
}

const peopleOptions = () => [{ options: [...humans(), ...[...state.people.values()].filter((person) => person.is_bot)].map((person) => ({ text: { text: person.real_name || person.name }, value: person.user_id })) }];
const channelOptions = (element) => [{
  options: [...state.channels.values()]
    .filter((channel) => !(element.type.includes("channels_select") && (channel.is_im || channel.is_private)))
    .map((channel) => ({ text: { text: `${channel.is_im ? "@" : "#"}${channelTitle(channel)}` }, value: channel.channel_id })),
}];

// type -> [key of the answer, key of the initial value, source of ids or null for options]
const SELECTS = {
  static_select: ["selected_option", "initial_option", null],
  external_select: ["selected_option", "initial_option", null],
  users_select: ["selected_user", "initial_user", peopleOptions],
  conversations_select: ["selected_conversation", "initial_conversation", channelOptions],
  channels_select: ["selected_channel", "initial_channel", channelOptions],
  multi_static_select: ["selected_options", "initial_options", null],
  multi_external_select: ["selected_options", "initial_options", null],
  multi_users_select: ["selected_users", "initial_users", peopleOptions],
  multi_conversations_select: ["selected_conversations", "initial_conversations", channelOptions],
  multi_channels_select: ["selected_channels", "initial_channels", channelOptions],
};

function select(element, context) {
  const [answerKey, initialKey, source] = SELECTS[element.type];
  const multiple = element.type.startsWith("multi_");
  const external = element.type.endsWith("external_select");
  const groups = source ? source(element) : external ? [] : grouped(element);
  const known = (id) => groups[0].options.find((option) => option.value === id) || { text: { text: id }, value: id };
  const kept = context.keep?.(element.action_id)?.[answerKey];
  let initial = kept !== undefined && kept !== null ? kept : element[initialKey];
  if (source === channelOptions && initial === undefined && element.default_to_current_conversation) initial = multiple ? [state.channelId] : state.channelId;
  const selected = [initial ?? []].flat().map((entry) => (source ? known(entry) : entry));
  const answer = (options) => {
    const values = source ? options.map((option) => option.value) : options.map(({ description, ...option }) => option);
    return { [answerKey]: multiple ? values : (values[0] ?? null) };
  };
  const widget = createSelect({
    label: context.label,
    placeholder: element.placeholder?.text,
    multiple,
    selected,
    maxItems: element.max_selected_items,
    minQuery: external ? (element.min_query_length ?? 3) : 0,
    actionId: element.action_id,
    compact: context.compact,
    load: external ? (query) => externalOptions(element, context, query) : fixed(groups),
    onChange: (options) => context.immediate && act(context, element, answer(options), widget.element),
  });
  context.register?.(element.action_id, () => ({ type: element.type, ...answer(widget.read()) }));
  return widget.element;
}

async function externalOptions(element, context, query) {
  const answer = await post("options", { user_id: state.userId, ...context.source, block_id: context.blockId, action_id: element.action_id, value: query });
  if (answer.ok === false) throw new Error(answer.error || "The options could not be read.");
  return grouped(answer);
}

// Block Kit blocks -> DOM nodes, for messages, modals and the Home tab. A block of an unknown type becomes a small grey note.

import { h, icon, link } from "./dom.js";
import { picture, renderElement } from "./elements.js";
import { emojiNode } from "./emoji.js";
import { markdown } from "./markdown.js";
import { mrkdwn, plainText, textObject } from "./mrkdwn.js";
import { richText } from "./richtext.js";

/** context: {source, surface: "message"|"modal"|"home", register?(blockId, actionId, read), keep?(blockId, actionId), values?} */
export function renderBlock(block, context, index = 0) {
  const blockId = block?.block_id || `block-${index}`;
  const render = RENDERERS[block?.type];
  const inner = {
    ...context,
    blockId,
    immediate: true,
    register: context.register && ((actionId, read) => context.register(blockId, actionId, read)),
    keep: context.keep && ((actionId) => context.keep(blockId, actionId)),
  };
  let content;
  try {
    content = render ? render(block, inner) : unsupported(block?.type);
  } catch (error) {
    console.error("block could not be drawn", block, error);
    content = unsupported(`${block?.type}, which is malformed`);
  }
  return h("div", { class: `block block-${render ? block.type : "unknown"}`, dataset: { blockId } }, content);
}

export function renderBlocks(blocks, context) {
  return (blocks || []).map((block, index) => renderBlock(block, context, index));
}

const unsupported = (type) => h("span", { class: "unsupported" }, `unsupported block: ${type || "unknown"}`);

const RENDERERS = {
  section(block, context) {
    return [
      h("div", { class: "section-main" },
        block.text && h("div", { class: "section-text" }, textObject(block.text)),
        block.fields && h("div", { class: "fields" }, block.fields.map((field) => h("div", { class: "field" }, textObject(field))))),
      block.accessory && h("div", { class: "accessory" }, renderElement(block.accessory, { ...context, compact: true })),
    ];
  },
  divider: () => h("hr"),
  header: (block) => h("h3", null, plainText(block.text?.text)),
  context(block, context) {
    return (block.elements || []).map((element) => (element.type === "image" ? picture(element) : h("span", { class: "context-text" }, textObject(element, context))));
  },
  actions: (block, context) => (block.elements || []).map((element) => renderElement(element, { ...context, compact: true })),
  context_actions: (block, context) => (block.elements || []).map((element) => renderElement(element, { ...context, compact: true })),
  image(block) {
    return h("figure", null, block.title && h("figcaption", null, plainText(block.title.text)), picture(block));
  },
  markdown: (block) => markdown(block.text),
  rich_text: (block) => richText(block),
  input,
  table,
  video(block) {
    return h("div", { class: "file-card" }, h("span", { class: "file-icon" }, icon("eye")),
      h("span", { class: "file-text" }, link(block.title_url || block.video_url, plainText(block.title?.text || "Video")), block.description && h("small", null, plainText(block.description.text))));
  },
  file: (block) => h("div", { class: "file-card" }, h("span", { class: "file-icon" }, icon("file")), h("span", { class: "file-text" }, `Remote file ${block.external_id || ""}`)),
  alert: (block) => h("div", { class: `alert ${["info", "warning", "error", "success"].includes(block.level) ? block.level : "info"}`, role: "note" }, icon("warning", 16), h("div", null, textObject(block.text))),
  task_card: (block) => taskCard(block),
  plan: (block) => h("div", { class: "plan" }, h("strong", null, plainText(block.title)), (block.tasks || []).map(taskCard)),
  card: (block, context) => h("div", { class: "card" }, card(block, context)),
  carousel: (block, context) => h("div", { class: "carousel", tabindex: "0" }, (block.elements || []).map((element) => h("div", { class: "card" }, card(element, context)))),
  container(block, context) {
    const heading = [block.title && h("strong", null, textObject(block.title)), block.rich_text_title && richText(block.rich_text_title), block.subtitle && h("small", null, textObject(block.subtitle))];
    const children = (block.child_blocks || []).map((child, index) => renderBlock(child, { source: context.source, surface: context.surface }, index));
    if (!block.is_collapsible) return h("div", { class: "card" }, heading, children);
    return h("details", { class: "card", open: !block.default_collapsed }, h("summary", null, heading), children);
  },
};

function card(block, context) {
  return [
    block.hero_image && picture(block.hero_image),
    block.title && h("strong", null, textObject(block.title)),
    block.subtitle && h("small", null, textObject(block.subtitle)),
    block.body && h("div", null, textObject(block.body)),
    block.actions && h("div", { class: "block-actions" }, block.actions.map((element) => renderElement(element, context))),
  ];
}

function taskCard(task) {
  const mark = { complete: "white_check_mark", error: "x", in_progress: "hourglass_flowing_sand" }[task.status] || "white_circle";
  const more = [task.details && richText(task.details), task.output && richText(task.output), (task.sources || []).map((source) => link(source.url, source.text || source.url))].flat().filter(Boolean);
  const head = [emojiNode(mark), h("span", null, plainText(task.title))];
  return more.length
    ? h("details", { class: `task-card ${task.status}` }, h("summary", null, head), h("div", { class: "task-more" }, more))
    : h("div", { class: `task-card ${task.status}` }, head);
}

let fields = 0;

function input(block, context) {
  const label = block.label?.text || "";
  const fieldId = `field-${(fields += 1)}`;
  const direct = /_input$|picker$/.test(block.element?.type || "");
  const element = renderElement(block.element, { ...context, label, fieldId: direct ? fieldId : undefined, immediate: Boolean(block.dispatch_action) });
  return [
    h(direct ? "label" : "div", { class: "input-label", for: direct ? fieldId : undefined }, plainText(label), block.optional && h("span", { class: "optional" }, "optional")),
    element,
    block.hint && h("p", { class: "hint" }, plainText(block.hint.text)),
  ];
}

function table(block) {
  const settings = block.column_settings || [];
  const cell = (content, tag, column) => {
    const { align, is_wrapped: wrapped } = settings[column] || {};
    const classes = [align, wrapped && "wrapped"].filter(Boolean).join(" ");
    const inside = content?.type === "rich_text" ? richText(content) : content?.text?.text ?? content?.text ?? content?.value ?? "";
    return h(tag, { class: classes || undefined, scope: tag === "th" ? "col" : undefined }, inside);
  };
  const [head, ...rows] = block.rows || [];
  return h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Table" }, h("table", null,
    head && h("thead", null, h("tr", null, head.map((content, column) => cell(content, "th", column)))),
    h("tbody", null, rows.map((row) => h("tr", null, row.map((content, column) => cell(content, "td", column)))))));
}

/** What a message shows when it has no blocks. */
export const messageText = (text) => mrkdwn(text);

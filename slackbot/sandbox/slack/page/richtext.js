// Block Kit's rich_text -> DOM nodes: sections, lists, preformatted text and quotes.

import { h, link } from "./dom.js";
import { emojiNode } from "./emoji.js";
import { channelMention, codeBlock, mention } from "./mrkdwn.js";
import { formatDateToken } from "./time.js";

export function richText(block) {
  return h("div", { class: "rich-text" }, (block.elements || []).map(part));
}

function part(element) {
  switch (element.type) {
    case "rich_text_section":
      return h("div", { class: "rich-section" }, inlineAll(element.elements));
    case "rich_text_list":
      return h(element.style === "ordered" ? "ol" : "ul", {
        class: `indent-${Math.min(element.indent || 0, 8)}${element.border ? " bordered" : ""}`,
        start: element.style === "ordered" && element.offset ? element.offset + 1 : undefined,
      }, (element.elements || []).map((item) => h("li", null, inlineAll(item.elements))));
    case "rich_text_preformatted":
      return codeBlock((element.elements || []).map((item) => item.text || item.url || "").join(""), element.language);
    case "rich_text_quote":
      return h("blockquote", null, inlineAll(element.elements));
    default:
      return h("span", { class: "unsupported" }, `unsupported block: ${element.type}`);
  }
}

function inlineAll(elements) {
  return (elements || []).map((element) => styled(inlineNode(element), element.style));
}

function inlineNode(element) {
  switch (element.type) {
    case "text":
      return lines(element.text);
    case "link":
      return link(element.url, element.text || element.url);
    case "emoji":
      return emojiNode(element.name);
    case "user":
      return mention(element.user_id);
    case "channel":
      return channelMention(element.channel_id);
    case "usergroup":
      return h("span", { class: "mention" }, "@group");
    case "broadcast":
      return h("span", { class: "mention me" }, `@${element.range}`);
    case "date":
      return h("time", null, formatDateToken(element.timestamp, element.format || "{date_short} {time}"));
    case "color":
      return h("code", null, element.value);
    default:
      return element.text || "";
  }
}

function lines(text) {
  return String(text ?? "").split("\n").flatMap((line, index) => (index ? [h("br"), line] : [line]));
}

function styled(node, style) {
  let result = node;
  for (const [key, tag] of [["code", "code"], ["strike", "s"], ["italic", "em"], ["bold", "strong"], ["underline", "u"]]) {
    if (style?.[key]) result = h(tag, null, result);
  }
  return result;
}

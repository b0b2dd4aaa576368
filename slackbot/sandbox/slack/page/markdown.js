// Standard Markdown (Slack's `markdown` block) -> DOM nodes: the blocks. Inline marks are in markdown_inline.js.

import { copyText, h, icon } from "./dom.js";
import { inlineMarkdown } from "./markdown_inline.js";

const FENCE = /^( {0,3})(`{3,}|~{3,})\s*([^`\s]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(\s+|$)(.*)$/;
const TASK = /^\[([ xX])\]\s+/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

const indentOf = (line) => /^\s*/.exec(line)[0].replace(/\t/g, "    ").length;

export function markdown(text) {
  const lines = String(text ?? "").replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n");
  return h("div", { class: "markdown" }, blocks(lines, 0));
}

function blocks(lines, depth) {
  const out = [];
  let index = 0;
  let paragraph = [];
  const flush = () => {
    if (paragraph.length) out.push(h("p", null, inlineMarkdown(paragraph.join("\n").trim())));
    paragraph = [];
  };
  while (index < lines.length) {
    const line = lines[index];
    let match;
    if (!line.trim()) {
      flush();
      index += 1;
    } else if ((match = FENCE.exec(line))) {
      flush();
      index = fence(lines, index, match, out);
    } else if ((match = HEADING.exec(line))) {
      flush();
      out.push(h(`h${Math.min(6, match[1].length + 2)}`, { class: `md-h${match[1].length}` }, inlineMarkdown(match[2])));
      index += 1;
    } else if (RULE.test(line)) {
      flush();
      out.push(h("hr"));
      index += 1;
    } else if (/^ {0,3}>/.test(line)) {
      flush();
      const inner = [];
      while (index < lines.length && (/^ {0,3}>/.test(lines[index]) || (lines[index].trim() && inner.length && !startsBlock(lines[index])))) {
        inner.push(lines[index].replace(/^ {0,3}> ?/, ""));
        index += 1;
      }
      out.push(h("blockquote", null, depth < 8 ? blocks(inner, depth + 1) : inner.join("\n")));
    } else if (ITEM.test(line) && (!paragraph.length || !/^\s*\d/.test(line) || /^\s*1[.)]/.test(line))) {
      flush();
      index = list(lines, index, out, depth);
    } else if (line.includes("|") && TABLE_RULE.test(lines[index + 1] || "") && lines[index + 1].includes("-") && cells(line).length === cells(lines[index + 1]).length) {
      flush();
      index = table(lines, index, out);
    } else {
      paragraph.push(line);
      index += 1;
    }
  }
  flush();
  return out;
}

function startsBlock(line) {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || ITEM.test(line);
}

function fence(lines, start, [, indent, marker, language], out) {
  const body = [];
  let index = start + 1;
  const end = new RegExp(`^ {0,3}${marker[0] === "~" ? "~" : "`"}{${marker.length},}\\s*$`);
  while (index < lines.length && !end.test(lines[index])) {
    body.push(lines[index].replace(new RegExp(`^ {0,${indent.length}}`), ""));
    index += 1;
  }
  out.push(copyableCode(body.join("\n"), language));
  return index + 1;
}

/** A code block with its language and a button that copies it; diffs get coloured lines. */
export function copyableCode(text, language) {
  const isDiff = language === "diff" || language === "patch";
  const content = isDiff
    ? text.split("\n").map((line) => h("span", { class: diffClass(line) }, `${line}\n`))
    : text;
  const label = h("span", null, "Copy");
  const button = h("button", {
    type: "button",
    class: "copy",
    "aria-label": "Copy the code",
    onclick: async () => {
      label.textContent = (await copyText(text)) ? "Copied" : "Not copied";
      setTimeout(() => (label.textContent = "Copy"), 1500);
    },
  }, icon("copy", 14), label);
  return h("div", { class: "code-box" },
    h("div", { class: "code-bar" }, h("span", { class: "code-language" }, language || ""), button),
    h("pre", { class: "code", tabindex: "0" }, h("code", null, content)));
}

function diffClass(line) {
  if (/^(\+\+\+|---|diff |index )/.test(line)) return "diff-meta";
  if (line.startsWith("@@")) return "diff-hunk";
  if (line.startsWith("+")) return "diff-add";
  return line.startsWith("-") ? "diff-remove" : "diff-same";
}

function list(lines, start, out, depth) {
  const [, , firstMarker] = ITEM.exec(lines[start]);
  const ordered = /\d/.test(firstMarker);
  const baseIndent = indentOf(lines[start]);
  const element = h(ordered ? "ol" : "ul", ordered && parseInt(firstMarker, 10) !== 1 ? { start: parseInt(firstMarker, 10) } : null);
  let index = start;
  while (index < lines.length) {
    const match = ITEM.exec(lines[index]);
    if (!match || indentOf(lines[index]) > baseIndent + 3 || indentOf(lines[index]) < baseIndent || /\d/.test(match[2]) !== ordered || RULE.test(lines[index])) break;
    const width = match[1].length + match[2].length + Math.min(match[3].length || 1, 4);
    const inner = [match[4]];
    index += 1;
    let blank = false;
    while (index < lines.length) {
      const line = lines[index];
      if (!line.trim()) {
        blank = true;
        inner.push("");
        index += 1;
        continue;
      }
      const indent = indentOf(line);
      const nested = indent >= Math.min(width, baseIndent + 2);
      if (!nested && (blank || startsBlock(line) || /^ {0,3}>/.test(line))) break;
      inner.push(nested ? line.slice(Math.min(indent, width)) : line.trimStart());
      blank = false;
      index += 1;
    }
    element.append(item(inner, depth));
    if (blank && index < lines.length && !ITEM.test(lines[index])) break;
  }
  out.push(element);
  return index > start ? index : start + 1;
}

function item(inner, depth) {
  const task = TASK.exec(inner[0]);
  if (task) inner[0] = inner[0].slice(task[0].length);
  let children = depth < 8 ? blocks(inner, depth + 1) : [inner.join("\n")];
  // A tight item: its first paragraph needs no box of its own.
  if (children[0]?.nodeName === "P") children = [...children[0].childNodes, ...children.slice(1)];
  if (!task) return h("li", null, children);
  const done = task[1] !== " ";
  const box = h("input", { type: "checkbox", checked: done, disabled: true, "aria-label": done ? "done" : "not done" });
  return h("li", { class: done ? "task done" : "task" }, box, h("div", null, children));
}

function cells(line) {
  const trimmed = line.trim().replace(/^\|/, "").replace(/([^\\]|^)\|$/, "$1");
  const out = [];
  let cell = "";
  let code = false;
  for (let i = 0; i < trimmed.length; i += 1) {
    if (trimmed[i] === "\\" && trimmed[i + 1] === "|") {
      cell += "|";
      i += 1;
    } else if (trimmed[i] === "|" && !code) {
      out.push(cell.trim());
      cell = "";
    } else {
      if (trimmed[i] === "`") code = !code;
      cell += trimmed[i];
    }
  }
  out.push(cell.trim());
  return out;
}

function table(lines, start, out) {
  const head = cells(lines[start]);
  const align = cells(lines[start + 1]).map((rule) => (/^:.*:$/.test(rule) ? "center" : /:$/.test(rule) ? "right" : ""));
  const body = [];
  let index = start + 2;
  while (index < lines.length && lines[index].trim() && lines[index].includes("|")) {
    const row = cells(lines[index]);
    body.push(h("tr", null, head.map((_, column) => h("td", { class: align[column] || undefined }, inlineMarkdown(row[column] || "")))));
    index += 1;
  }
  out.push(h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Table" },
    h("table", null,
      h("thead", null, h("tr", null, head.map((cell, column) => h("th", { scope: "col", class: align[column] || undefined }, inlineMarkdown(cell))))),
      h("tbody", null, body))));
  return index;
}

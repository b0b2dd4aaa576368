// Files of a message: images inline, texts as a card with a preview, everything else as a card to open.

import { h, icon, link, safeUrl } from "./dom.js";
import { codeBlock } from "./mrkdwn.js";

const PREVIEW_CHARACTERS = 20000;
const PREVIEW_BYTES = 2_000_000;

export function size(bytes) {
  if (!Number.isFinite(bytes)) return "";
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(bytes < 10000 ? 1 : 0)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

export function renderFiles(files) {
  return h("div", { class: "files" }, files.map((file) => (/^image\//.test(file.mimetype || "") ? image(file) : card(file))));
}

const titleOf = (file) => file.title || file.name || "file";

function image(file) {
  const href = safeUrl(file.url);
  const node = h("img", { src: href || "", alt: titleOf(file), loading: "lazy" });
  const box = h("figure", { class: "file-image" }, h("figcaption", null, titleOf(file)), h("a", { href, target: "_blank", rel: "noopener noreferrer" }, node));
  node.addEventListener("error", () => box.replaceWith(card(file)));
  return box;
}

function card(file) {
  const readable = /^(text\/|application\/(json|xml|x-sh|javascript|x-yaml|x-patch))/.test(file.mimetype || "") && (file.size ?? 0) < PREVIEW_BYTES;
  const preview = h("div", { class: "file-preview", hidden: true });
  const toggle = readable && h("button", { type: "button", class: "text-button", "aria-expanded": "false", onclick: () => show() }, "Preview");
  let loaded = false;
  async function show() {
    preview.hidden = !preview.hidden;
    toggle.setAttribute("aria-expanded", String(!preview.hidden));
    toggle.textContent = preview.hidden ? "Preview" : "Hide";
    if (loaded) return;
    loaded = true;
    try {
      const response = await fetch(safeUrl(file.url));
      if (!response.ok) throw new Error(`The file could not be read (${response.status}).`);
      const text = await response.text();
      preview.replaceChildren(codeBlock(text.slice(0, PREVIEW_CHARACTERS)));
      if (text.length > PREVIEW_CHARACTERS) preview.append(h("small", null, "The beginning of the file; open it to see the rest."));
    } catch (error) {
      loaded = false;
      preview.replaceChildren(h("p", { class: "action-error", role: "alert" }, error.message));
    }
  }
  return h("div", { class: "file" },
    h("div", { class: "file-card" },
      h("span", { class: "file-icon" }, icon("file")),
      h("span", { class: "file-text" }, link(file.url, titleOf(file)), h("small", null, [file.mimetype, size(file.size)].filter(Boolean).join(" · "))),
      toggle),
    preview);
}

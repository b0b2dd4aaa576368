// A combobox for every select of Block Kit: one or many, with fixed options or type-ahead. Arrow keys, Enter, Escape, Backspace.

import { h, icon } from "./dom.js";
import { plainText } from "./mrkdwn.js";
import { closePopup, openPopup } from "./popup.js";

let counter = 0;

const optionText = (option) => option.text?.text ?? String(option.text ?? option.value);

/** options or groups of an element -> [{label?, options}] */
export function grouped({ options, option_groups: groups }) {
  if (groups) return groups.map((group) => ({ label: group.label?.text ?? group.label, options: group.options || [] }));
  return [{ options: options || [] }];
}

/**
 * `load(query)` -> promise of groups; `selected`: options chosen at first; `onChange(options)`.
 * Returns {element, read() -> options, disable(flag)}.
 */
export function createSelect({ label, placeholder, load, multiple = false, selected = [], maxItems, onChange, minQuery = 0, actionId, compact = false }) {
  const id = `select-${(counter += 1)}`;
  let chosen = [...selected];
  let shown = [];
  let active = -1;
  let close = null;
  let asked = 0;
  let timer = 0;

  const input = h("input", {
    type: "text", role: "combobox", id, autocomplete: "off", spellcheck: "false", "aria-expanded": "false", "aria-autocomplete": "list",
    "aria-controls": `${id}-list`, "aria-label": label || placeholder || "Choose", placeholder: placeholder || "Choose…",
  });
  const chips = h("span", { class: "chips" });
  const field = h("div", { class: compact ? "select compact" : "select", dataset: actionId ? { actionId } : {} }, chips, input, icon("chevron", 16));
  const list = h("div", { class: "options", role: "listbox", id: `${id}-list`, "aria-label": label || placeholder || "Options", "aria-multiselectable": multiple ? "true" : undefined });

  const isChosen = (option) => chosen.some((other) => other.value === option.value);

  function paint() {
    chips.replaceChildren();
    if (multiple) {
      for (const option of chosen) {
        chips.append(h("span", { class: "chip" }, optionText(option),
          h("button", { type: "button", "aria-label": `Remove ${optionText(option)}`, onclick: () => set(chosen.filter((other) => other !== option)) }, icon("close", 12))));
      }
      input.placeholder = chosen.length ? "" : placeholder || "Choose…";
    }
    if (!close || multiple) input.value = multiple ? "" : chosen[0] ? optionText(chosen[0]) : "";
  }

  function set(options) {
    chosen = options;
    paint();
    onChange?.(chosen);
  }

  function pick(option) {
    if (multiple) {
      if (!isChosen(option) && maxItems && chosen.length >= maxItems) return;
      set(isChosen(option) ? chosen.filter((other) => other.value !== option.value) : [...chosen, option]);
      input.value = "";
      search("");
      return;
    }
    hide();
    set([option]);
  }

  function mark(index) {
    active = index;
    shown.forEach(({ node }, at) => node.classList.toggle("active", at === index));
    const entry = shown[index];
    if (entry) {
      input.setAttribute("aria-activedescendant", entry.node.id);
      entry.node.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  function say(text) {
    shown = [];
    list.replaceChildren(h("div", { class: "options-note" }, text));
  }

  function show(groups) {
    shown = [];
    list.replaceChildren();
    for (const group of groups) {
      if (!group.options.length) continue;
      if (group.label) list.append(h("div", { class: "options-group" }, group.label));
      for (const option of group.options) {
        const at = shown.length;
        const node = h("div", {
          class: "option", role: "option", id: `${id}-${at}`, "aria-selected": String(isChosen(option)), dataset: { value: option.value },
          onpointerdown: (event) => event.preventDefault(),
          onclick: () => pick(option),
          onpointermove: () => active !== at && mark(at),
        }, h("span", { class: "option-text" }, plainText(optionText(option)), option.description && h("small", null, plainText(option.description.text ?? option.description))),
        isChosen(option) && icon("check", 16));
        shown.push({ option, node });
        list.append(node);
      }
    }
    if (!shown.length) say("Nothing matches.");
    const current = shown.findIndex(({ option }) => isChosen(option));
    mark(multiple ? Math.min(Math.max(active, 0), shown.length - 1) : Math.max(current, 0));
  }

  async function search(query) {
    const mine = (asked += 1);
    if (query.length < minQuery) return say(`Type ${minQuery === 1 ? "a letter" : `at least ${minQuery} letters`} to search.`);
    const result = load(query);
    if (result instanceof Promise && !shown.length) say("Searching…");
    try {
      const groups = await result;
      if (mine === asked && close) show(groups);
    } catch (error) {
      if (mine === asked) say(error.message || "The options could not be read.");
    }
  }

  function open() {
    if (close || input.disabled) return;
    list.replaceChildren();
    close = openPopup(field, list, { matchWidth: true, keepFocus: true, onClose: closed });
    input.setAttribute("aria-expanded", "true");
    field.classList.add("open");
    search("");
  }

  function closed() {
    close = null;
    asked += 1;
    clearTimeout(timer);
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    field.classList.remove("open");
    paint();
  }

  const hide = () => close && closePopup();

  field.addEventListener("click", (event) => {
    if (event.target.closest(".chip button")) return;
    input.focus();
    if (!multiple) input.select();
    open();
  });
  input.addEventListener("input", () => {
    open();
    clearTimeout(timer);
    timer = setTimeout(() => search(input.value.trim()), 120);
  });
  input.addEventListener("blur", hide);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!close) return open();
      if (shown.length) mark((active + (event.key === "ArrowDown" ? 1 : -1) + shown.length) % shown.length);
    } else if (event.key === "Enter") {
      if (!close) return;
      event.preventDefault();
      if (shown[active]) pick(shown[active].option);
    } else if (event.key === "Backspace" && multiple && !input.value && chosen.length) set(chosen.slice(0, -1));
    else if (event.key === "Tab") hide();
  });

  paint();
  return {
    element: field,
    input,
    read: () => chosen,
    disable(flag) {
      input.disabled = flag;
      field.classList.toggle("disabled", flag);
    },
  };
}

/** A loader over options that are known at once. */
export function fixed(groups) {
  return (query) => {
    const wanted = query.toLowerCase();
    return groups.map((group) => ({ ...group, options: group.options.filter((option) => optionText(option).toLowerCase().includes(wanted)) }));
  };
}

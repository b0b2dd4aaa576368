// Small surfaces above the page: menus, pickers and dialogs. Native <dialog> and popover give the top layer and the focus trap.

import { h, icon } from "./dom.js";

let closeOpen = null;

export function closePopup() {
  closeOpen?.();
}

/** Shows `content` beside `anchor`; closes on Escape, outside press or resize. Returns the function that closes it. */
export function openPopup(anchor, content, { onClose, align = "start", matchWidth = false, keepFocus = false } = {}) {
  closeOpen?.();
  const box = h("div", { class: "popup" }, content);
  const host = anchor.closest("dialog") || document.body;
  host.append(box);
  if (box.showPopover) {
    box.setAttribute("popover", "manual");
    box.showPopover();
  }
  place(box, anchor, align, matchWidth);
  const observer = new ResizeObserver(() => place(box, anchor, align, matchWidth));
  observer.observe(box);
  const outside = (event) => {
    if (!box.contains(event.target) && !anchor.contains(event.target)) close();
  };
  const key = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    close();
  };
  const moved = (event) => {
    if (event.type !== "scroll" || (!box.contains(event.target) && event.target.contains?.(anchor))) close();
  };
  document.addEventListener("pointerdown", outside, true);
  document.addEventListener("keydown", key, true);
  document.addEventListener("scroll", moved, true);
  window.addEventListener("resize", moved);
  function close() {
    if (closeOpen !== close) return;
    closeOpen = null;
    observer.disconnect();
    document.removeEventListener("pointerdown", outside, true);
    document.removeEventListener("keydown", key, true);
    document.removeEventListener("scroll", moved, true);
    window.removeEventListener("resize", moved);
    const hadFocus = box.contains(document.activeElement);
    box.remove();
    if (hadFocus && !keepFocus) anchor.focus();
    onClose?.();
  }
  closeOpen = close;
  return close;
}

function place(box, anchor, align, matchWidth) {
  const at = anchor.getBoundingClientRect();
  if (matchWidth) box.style.width = `${Math.max(at.width, 200)}px`;
  const { offsetWidth: width, offsetHeight: height } = box;
  const wanted = align === "end" ? at.right - width : at.left;
  const below = at.bottom + 4 + height <= window.innerHeight - 8 || at.top < height + 12;
  box.style.left = `${Math.max(8, Math.min(wanted, window.innerWidth - width - 8))}px`;
  box.style.top = `${Math.max(8, below ? Math.min(at.bottom + 4, window.innerHeight - height - 8) : at.top - height - 4)}px`;
}

/** Up, down, Home, End and letters move between the items of a menu or list of buttons. */
export function arrowKeys(container, selector, columns = 1) {
  container.addEventListener("keydown", (event) => {
    const items = [...container.querySelectorAll(selector)];
    const now = items.indexOf(document.activeElement);
    const steps = { ArrowDown: columns, ArrowUp: -columns, ...(columns > 1 ? { ArrowRight: 1, ArrowLeft: -1 } : {}) };
    let next = -1;
    if (event.key in steps) next = now < 0 ? 0 : now + steps[event.key];
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = items.length - 1;
    else return;
    event.preventDefault();
    items[columns > 1 ? Math.max(0, Math.min(items.length - 1, next)) : (next + items.length) % items.length]?.focus();
  });
}

/** entries: [{label, run, icon?, danger?, href?, note?}]; a menu button's list. */
export function openMenu(anchor, entries, options = {}) {
  const menu = h("div", { class: "menu", role: "menu" }, entries.map((entry) => {
    const run = () => {
      close();
      entry.run?.();
    };
    const inside = [entry.icon && icon(entry.icon, 16), h("span", { class: "menu-label" }, entry.label, entry.note && h("small", null, entry.note))];
    const properties = { role: "menuitem", class: entry.danger ? "menu-item danger" : "menu-item", onclick: run, dataset: entry.dataset };
    return entry.href
      ? h("a", { ...properties, href: entry.href, target: "_blank", rel: "noopener noreferrer" }, inside)
      : h("button", { ...properties, type: "button" }, inside);
  }));
  arrowKeys(menu, "[role=menuitem]");
  anchor.setAttribute("aria-expanded", "true");
  const close = openPopup(anchor, menu, { ...options, onClose: () => anchor.setAttribute("aria-expanded", "false") });
  menu.querySelector("[role=menuitem]")?.focus();
  return close;
}

/** A modal dialog. Escape and the backdrop call `onDismiss`; returns {element, close}. */
export function openDialog({ label, className = "", onDismiss, testid, content }) {
  const before = document.activeElement;
  const element = h("dialog", { class: `dialog ${className}`, "aria-label": label, dataset: testid ? { testid } : {} }, content);
  document.body.append(element);
  element.addEventListener("cancel", (event) => {
    event.preventDefault();
    onDismiss?.();
  });
  // A browser may close a dialog by itself on the second Escape; that is a dismissal too.
  element.addEventListener("close", () => element.isConnected && onDismiss?.());
  element.addEventListener("pointerdown", (event) => {
    const box = element.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (event.target === element && !inside) onDismiss?.();
  });
  element.showModal();
  return {
    element,
    close() {
      if (!element.isConnected) return;
      element.remove();
      if (before?.isConnected) before.focus();
    },
  };
}

/** Asks a question. `confirm`: Slack's confirmation object, its texts already nodes or strings. Resolves to true or false. */
export function ask({ title, text, confirm = "Yes", deny = "Cancel", danger = false }) {
  return new Promise((resolve) => {
    const done = (answer) => {
      dialog.close();
      resolve(answer);
    };
    const ok = h("button", { type: "button", class: danger ? "button danger-solid" : "button primary", dataset: { testid: "confirm-ok" }, onclick: () => done(true) }, confirm);
    const dialog = openDialog({
      label: typeof title === "string" ? title : "Please confirm",
      className: "confirm",
      onDismiss: () => done(false),
      content: [
        h("h2", null, title),
        h("div", { class: "confirm-text" }, text),
        h("div", { class: "dialog-actions" },
          h("button", { type: "button", class: "button", dataset: { testid: "confirm-cancel" }, onclick: () => done(false) }, deny),
          ok),
      ],
    });
    dialog.element.setAttribute("role", "alertdialog");
    ok.focus();
  });
}

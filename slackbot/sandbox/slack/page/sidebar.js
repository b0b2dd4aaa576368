// The left side: workspace, channels, direct messages, links, who one acts as, and whether the bot is connected.

import { avatar } from "./avatar.js";
import { botGlyph, h, icon, replace, safeUrl } from "./dom.js";
import { channelTitle, humans, imPartner, personName, state } from "./state.js";

/** hooks: {openChannel(id), openHome(), openCalls(), toggleBackstage(), actAs(userId)} */
export class Sidebar {
  constructor(hooks) {
    this.hooks = hooks;
    this.element = document.getElementById("sidebar");
    this.scrim = document.getElementById("scrim");
    this.scrim.addEventListener("click", () => this.toggle(false));
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle(false));
  }

  /** The drawer of narrow screens. */
  toggle(open = !this.element.classList.contains("open")) {
    this.element.classList.toggle("open", open);
    this.scrim.hidden = !open;
    if (open) this.element.querySelector("[aria-current], button")?.focus();
  }

  draw() {
    const select = h("select", {
      id: "person", dataset: { testid: "person-switch" }, "aria-label": "Act as", onchange: () => this.hooks.actAs(select.value),
    }, humans().map((person) => h("option", { value: person.user_id }, person.real_name || person.name)));
    select.value = state.userId;
    this.dot = h("div", { class: "connection", role: "status", dataset: { testid: "connection" } });
    replace(this.element,
      h("div", { class: "workspace" }, h("span", { class: "workspace-mark" }, botGlyph()), h("span", null, h("strong", null, state.team.name), h("small", null, "on this machine"))),
      (this.lists = h("div", { class: "sidebar-scroll" })),
      h("div", { class: "sidebar-foot" },
        this.dot,
        h("label", { class: "who", for: "person" }, avatar(state.userId), h("span", { class: "who-text" }, h("small", null, "You act as"), select), icon("chevron", 16))));
    this.connection();
    this.drawLists();
  }

  /** Channels and links alone, so that a message elsewhere does not disturb the choice of the person. */
  drawLists() {
    const channels = [...state.channels.values()];
    const links = state.links.map((entry) => h("li", null, h("a", { class: "nav-item", href: safeUrl(entry.url), target: "_blank", rel: "noopener noreferrer" },
      icon("external", 16), h("span", { class: "nav-label" }, entry.title))));
    const calls = h("li", null, h("button", {
      type: "button", class: "nav-item", "aria-current": state.view === "calls" ? "page" : undefined, dataset: { testid: "calls" }, onclick: () => this.hooks.openCalls(),
    }, icon("pulse", 16), h("span", { class: "nav-label" }, "Web API calls")));
    const home = h("li", null, h("button", {
      type: "button", class: "nav-item", "aria-current": state.view === "home" ? "page" : undefined, dataset: { testid: "home" }, onclick: () => this.hooks.openHome(),
    }, icon("home", 16), h("span", { class: "nav-label" }, `${state.bot.name} Home`)));
    const behind = state.hasBackstage && h("li", null, h("button", {
      type: "button", class: "nav-item", dataset: { testid: "backstage-toggle" }, onclick: () => this.hooks.toggleBackstage(),
    }, icon("eye", 16), h("span", { class: "nav-label" }, "Behind the scenes")));
    const focused = this.lists.contains(document.activeElement) ? document.activeElement.dataset.channel : null;
    replace(this.lists,
      section("Channels", channels.filter((channel) => !channel.is_im).map((channel) => this.item(channel))),
      section("Direct messages", channels.filter((channel) => channel.is_im).map((channel) => this.item(channel))),
      section("App", [home, behind, calls].filter(Boolean)),
      section("Links", links));
    if (focused) this.lists.querySelector(`[data-channel="${CSS.escape(focused)}"]`)?.focus();
  }

  item(channel) {
    const unread = state.unread.get(channel.channel_id) || 0;
    const current = channel.channel_id === state.channelId && state.view === "messages";
    const other = imPartner(channel)?.user_id || state.bot.user_id;
    return h("li", null, h("button", {
      type: "button", class: unread ? "nav-item unread" : "nav-item", "aria-current": current ? "page" : undefined, dataset: { channel: channel.channel_id, testid: "channel" },
      onclick: () => {
        this.toggle(false);
        this.hooks.openChannel(channel.channel_id);
      },
    },
    channel.is_im ? avatar(other, { className: "tiny", name: personName(other) }) : icon(channel.is_private ? "lock" : "hash", 16),
    h("span", { class: "nav-label" }, channelTitle(channel)),
    unread ? h("span", { class: "unread-count", "aria-label": `${unread} new` }, unread > 99 ? "99+" : unread) : null));
  }

  connection() {
    const count = state.connections;
    const kind = !state.online ? "lost" : count ? "on" : "off";
    const text = !state.online ? "Page not connected" : count ? `${state.bot.name} is connected` : `${state.bot.name} is not connected`;
    this.dot.dataset.state = kind;
    this.dot.title = count ? `${count} Socket Mode connection${count === 1 ? "" : "s"}` : "No Socket Mode connection: the bot does not hear what is written here.";
    replace(this.dot, h("span", { class: "dot", "aria-hidden": "true" }), text);
  }
}

function section(title, items) {
  return items.length ? h("section", null, h("h2", { class: "nav-title" }, title), h("ul", { class: "nav-list" }, items)) : null;
}

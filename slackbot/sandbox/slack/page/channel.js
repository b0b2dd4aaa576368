// The middle pane: header, then messages with the composer, or the bot's Home, or its Web API calls.

import { get } from "./api.js";
import { avatar } from "./avatar.js";
import { Composer } from "./composer.js";
import { h, icon, replace, toast } from "./dom.js";
import { mrkdwn, plainText } from "./mrkdwn.js";
import { channelTitle, currentChannel, imPartner, state } from "./state.js";
import { Timeline } from "./timeline.js";
import { Calls, Home } from "./views.js";

export class ChannelPane {
  /** hooks: {openThread(ts), send(payload), show(view), shortcut(callback_id), menu(), closeThread()} */
  constructor(hooks) {
    this.hooks = hooks;
    this.header = document.getElementById("channel-header");
    this.body = document.getElementById("channel-body");
    this.home = new Home();
    this.calls = new Calls();
    this.timeline = new Timeline("channel", hooks, { label: "Messages of the channel", empty: () => this.emptyChannel() });
    this.composer = new Composer({
      testid: "channel-composer",
      label: "Message the channel",
      commands: true,
      target: () => ({ channelId: state.channelId, threadTs: null }),
      send: (payload) => hooks.send(payload),
      editLast: () => this.timeline.editLast(),
      escape: () => hooks.closeThread(),
      shortcut: hooks.shortcut,
    });
    this.messages = h("div", { class: "pane-messages" }, this.timeline.element, this.composer.element);
    this.composer.acceptDrops(this.messages);
  }

  async open() {
    this.drawHeader();
    const content = { messages: this.messages, home: this.home.element, calls: this.calls.element }[state.view];
    if (this.body.firstChild !== content) replace(this.body, content);
    if (state.view === "home") return void (await this.home.open());
    if (state.view === "calls") return void (await this.calls.open());
    const channel = currentChannel();
    const name = channel?.is_im ? channelTitle(channel) : `#${channelTitle(channel)}`;
    const place = `${state.userId}/${state.channelId}`;
    if (this.place !== place) {
      this.place = place;
      this.timeline.emptyNode = null;
      this.timeline.clear();
      this.composer.restore(`Message ${name}${state.commands.length ? `, or ${state.commands[0].command}` : ""}`);
    }
    await this.reload();
  }

  async reload() {
    const { channelId, userId } = state;
    const answer = await get("messages", { channel_id: channelId, user_id: userId });
    if (channelId !== state.channelId || userId !== state.userId) return;
    if (answer.messages) this.timeline.set(answer.messages, answer.has_more);
    else if (!answer.offline) toast(answer.error || "The messages could not be read.");
  }

  drawHeader() {
    const channel = currentChannel();
    const menu = h("button", { type: "button", class: "icon-button menu-button", "aria-label": "Channels and people", onclick: () => this.hooks.menu() }, icon("menu", 20));
    if (state.view === "calls") {
      replace(this.header, menu, icon("pulse", 18), h("h1", null, "Web API calls"), h("span", { class: "spacer" }),
        h("button", { type: "button", class: "button", onclick: () => this.hooks.show("messages") }, "Back to the messages"));
      return;
    }
    const partner = imPartner(channel);
    const isBot = channel.is_im && (!partner || partner.user_id === state.bot.user_id);
    const tab = (view, label) => h("button", { type: "button", class: "tab", role: "tab", "aria-selected": String(state.view === view), onclick: () => this.hooks.show(view) }, label);
    replace(this.header, menu,
      channel.is_im ? avatar(isBot ? state.bot.user_id : partner.user_id, { className: "small" }) : icon(channel.is_private ? "lock" : "hash", 18),
      h("h1", null, channelTitle(channel)),
      channel.topic && h("span", { class: "topic" }, plainText(channel.topic)),
      !channel.is_im && !channel.is_member_bot && h("span", { class: "tag", title: `${state.bot.name} is not in this channel and hears nothing written here.` }, `without ${state.bot.name}`),
      channel.is_archived && h("span", { class: "tag" }, "archived"),
      channel.is_ext_shared && h("span", { class: "tag" }, "shared outside"),
      h("span", { class: "spacer" }),
      isBot && h("div", { class: "tabs", role: "tablist", "aria-label": state.bot.name }, tab("messages", "Messages"), tab("home", "Home")));
  }

  emptyChannel() {
    const channel = currentChannel();
    const command = state.commands[0];
    return h("div", { class: "empty" },
      h("h2", null, channel?.is_im ? channelTitle(channel) : `#${channelTitle(channel)}`),
      h("p", null, "Nothing has been said here yet."),
      command && h("p", null, "Type ", h("code", null, command.command), " in the box below to see what ", state.bot.name, " can do."),
      channel?.topic && mrkdwn(channel.topic));
  }
}

// The page: reads who and where, draws the panes, sends what people do, and applies the server's events as they come.

import { onTry } from "./actions.js";
import { follow, get, post } from "./api.js";
import { Backstage } from "./backstage.js";
import { ChannelPane } from "./channel.js";
import { h, replace, toast } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";
import { closeView, syncViews, viewEvent } from "./modal.js";
import { Sidebar } from "./sidebar.js";
import { applyBootstrap, channelTitle, currentChannel, humans, imPartner, personName, readHash, recall, state, writeHash } from "./state.js";
import { ThreadPane } from "./thread.js";
import { ago } from "./time.js";
import { arrived } from "./notices.js";

/** How long after a command a new root of the bot counts as its answer. */
const ANSWER_SECONDS = 20;

const banner = document.getElementById("banner");
let stopFollowing = () => {};
let expected = null;
let bannerTimer = 0;

const hooks = { openThread: (ts, focus) => openThread(ts, { focus }), send, backstage: () => backstage.toggle(), closed: () => {} };
const backstage = new Backstage();
const sidebar = new Sidebar({
  openChannel: (id) => openChannel(id), openCalls: () => show("calls"), openHome, toggleBackstage: () => { sidebar.toggle(false); backstage.toggle(); }, actAs,
});
const channel = new ChannelPane({ ...hooks, show, shortcut, menu: () => sidebar.toggle(), closeThread: () => thread.close() });
const thread = new ThreadPane(hooks);

// Where one is

/** On touch screens a focused field brings up the keyboard, so only a tap does that. */
const canHover = () => matchMedia("(hover: hover)").matches;

function title() {
  const unread = [...state.unread.values()].reduce((sum, count) => sum + count, 0);
  const place = state.view === "calls" ? "Web API calls" : channelTitle(currentChannel());
  document.title = `${unread ? `(${unread}) ` : ""}${place} · ${state.team.name}`;
}

async function openChannel(channelId, { threadTs = null, view = "messages", focus = true } = {}) {
  const changed = channelId !== state.channelId;
  state.channelId = channelId;
  state.view = view;
  state.unread.delete(channelId);
  if (changed || !threadTs) thread.close({ keepHash: true });
  writeHash();
  sidebar.draw();
  title();
  backstage.moved();
  const loading = channel.open();
  if (threadTs) await Promise.all([loading, thread.open(threadTs, { focus })]);
  else {
    await loading;
    if (focus && view === "messages" && canHover()) channel.composer.focus();
  }
}

function show(view) {
  sidebar.toggle(false);
  return openChannel(state.channelId, { view, focus: view === "messages" });
}

/** The bot's Home tab, in its direct messages. */
function openHome() {
  sidebar.toggle(false);
  const direct = [...state.channels.values()].find((candidate) => candidate.is_im && (!imPartner(candidate) || imPartner(candidate).user_id === state.bot.user_id));
  return direct && openChannel(direct.channel_id, { view: "home", focus: false });
}

function openThread(ts, { focus = canHover() } = {}) {
  channel.timeline.views.get(ts)?.setFresh(false);
  const opening = thread.open(ts, { focus, from: channel.timeline.message(ts) });
  backstage.moved();
  return opening;
}

async function actAs(userId) {
  closeView();
  state.userId = userId;
  state.homeView = null;
  expected = null;
  await start({ channelId: state.channelId, threadTs: state.threadTs, view: state.view });
  document.getElementById("person")?.focus();
}

// What one does

/** Posts a message, or sends a slash command. Returns {ok, error?, action?}. */
async function send({ text, fileIds, to, broadcast = false, plain = false }) {
  const { userId } = state;
  const command = !plain && !fileIds.length && /^(\/[a-z][\w-]*)(?:\s+([^]*))?$/i.exec(text);
  if (command && state.commands.some((entry) => entry.command === command[1])) {
    if (to.threadTs) return { ok: false, error: `Slack has no slash commands in threads. Send ${command[1]} in the channel.` };
    expected = { channelId: to.channelId, until: Date.now() + ANSWER_SECONDS * 1000 };
    const answer = await post("command", { user_id: userId, channel_id: to.channelId, command: command[1], text: command[2] || "" });
    if (answer.ok === false) expected = null;
    return answer;
  }
  if (command && !to.threadTs) {
    const known = state.commands.map((entry) => entry.command).join(", ");
    return {
      ok: false,
      error: `${command[1]} is not a command here.${known ? ` There is: ${known}.` : ""}`,
      action: { label: "Send it as a message", run: () => { channel.composer.put(""); send({ text, fileIds, to, plain: true }); } },
    };
  }
  return post("post", {
    user_id: userId, channel_id: to.channelId, text, ...(to.threadTs ? { thread_ts: to.threadTs, broadcast } : {}), ...(fileIds.length ? { file_ids: fileIds } : {}),
  });
}

async function shortcut(callbackId) {
  const answer = await post("shortcut", { user_id: state.userId, callback_id: callbackId });
  if (answer.ok === false) toast(answer.error);
}

onTry((text) => {
  if (window.innerWidth < 900) thread.close();
  if (state.view !== "messages") show("messages");
  channel.composer.put(text);
});

// What happens

function onEvent(event) {
  const { message } = event;
  switch (event.type) {
    case "message":
    case "ephemeral":
      return message && onMessage({ ...message, is_ephemeral: message.is_ephemeral || event.type === "ephemeral" });
    case "message_changed":
    case "reaction":
      return message ? change(message) : reload();
    case "message_deleted":
      return remove(event);
    case "view_open":
    case "view_update":
    case "view_close":
      if (event.view?.type === "home") return onHome(event.view);
      return viewEvent(event);
    case "home":
      return onHome(event.view);
    case "socket":
      state.connections = event.connections ?? event.socket_connections ?? state.connections;
      backstage.soon();
      return sidebar.connection();
    case "call":
      backstage.called(event.call || event);
      return channel.calls.add(event.call || event);
    case "bot":
      return backstage.soon();
    case "notice":
      return event.text && toast(mrkdwn(event.text));
    case "resync":
      return reload();
    default:
      return undefined;
  }
}

function onMessage(message) {
  const mine = message.user_id === state.userId && !message.bot;
  const isReply = message.thread_ts && message.thread_ts !== message.ts;
  const here = message.channel_id === state.channelId;
  const inOpenThread = here && isReply && message.thread_ts === state.threadTs;
  if (here && (!isReply || message.subtype === "thread_broadcast")) channel.timeline.upsert(message, { mine: mine || message.is_ephemeral });
  if (inOpenThread) thread.timeline.upsert(message, { mine });
  if (here && isReply && !inOpenThread && !mine) {
    channel.timeline.views.get(message.thread_ts)?.setFresh(true);
    if (message.is_ephemeral) toast(`${message.name || state.bot.name} told you something in a thread.`, { label: "Open it", run: () => openThread(message.thread_ts) });
  }
  if (!here && !mine) {
    state.unread.set(message.channel_id, (state.unread.get(message.channel_id) || 0) + 1);
    sidebar.drawLists();
    title();
  }
  if (!mine && here) arrived(message, personName);
  openAnswer(message, isReply, here);
}

/** The thread that the bot just opened for the command of this person is shown at once. */
function openAnswer(message, isReply, here) {
  if (!expected || !here || isReply || !message.bot || message.is_ephemeral) return;
  if (message.channel_id !== expected.channelId || Date.now() > expected.until) return;
  const owner = message.metadata?.event_payload?.user_id;
  if (owner && owner !== state.userId) return;
  expected = null;
  openThread(message.ts);
}

function change(message) {
  if (message.channel_id !== state.channelId) return;
  if (channel.timeline.has(message.ts)) channel.timeline.upsert(message);
  if (thread.isOpen && thread.timeline.has(message.ts)) thread.timeline.upsert(message);
}

function remove(event) {
  if (event.channel_id !== state.channelId) return;
  const ts = event.ts || event.message?.ts;
  channel.timeline.remove(ts);
  thread.timeline.remove(ts);
  if (ts === state.threadTs) thread.close();
}

function onHome(view) {
  state.homeView = view || null;
  channel.home.draw();
}

function reload() {
  return start({ channelId: state.channelId, threadTs: state.threadTs, view: state.view }, { reconnect: false });
}

function onState(online) {
  state.online = online;
  sidebar.connection();
  clearTimeout(bannerTimer);
  // A blink of the stream is not worth a banner.
  if (online) banner.hidden = true;
  else {
    bannerTimer = setTimeout(() => {
      replace(banner, "The sandbox cannot be reached. This page tries again by itself; what you write stays here.");
      banner.hidden = false;
    }, 700);
  }
}

// Start

async function start(place, { reconnect = true } = {}) {
  const data = await get("bootstrap", { user_id: state.userId || "" });
  if (!data.people) {
    onState(false);
    setTimeout(() => start(place, { reconnect }), 1500);
    return;
  }
  applyBootstrap(data);
  if (!backstage.isThere) backstage.offer(state.hasBackstage);
  thread.offerBackstage();
  const people = humans();
  if (!people.some((person) => person.user_id === state.userId)) {
    state.userId = people[0]?.user_id || null;
    return void (await start(place, { reconnect }));
  }
  const wanted = place?.channelId && state.channels.has(place.channelId) ? place : readHash() || recall();
  const first = [...state.channels.values()].find((candidate) => candidate.is_member_bot && !candidate.is_im) || [...state.channels.values()][0];
  const known = state.channels.has(wanted?.channelId);
  document.getElementById("app").classList.add("ready");
  if (reconnect) {
    stopFollowing();
    stopFollowing = follow(state.userId, data.last_event_id, { onEvent, onState });
  }
  if (!first) return void replace(document.getElementById("channel-body"), h("p", { class: "empty" }, "This workspace has no channels yet."));
  await openChannel(known ? wanted.channelId : first.channel_id, {
    threadTs: (known && wanted.threadTs) || null, view: wanted?.view || "messages", focus: reconnect && document.activeElement === document.body,
  });
  if (data.views) syncViews(data.views);
}

window.addEventListener("popstate", () => {
  const place = readHash();
  if (!place) return;
  const channelId = place.channelId || state.channelId;
  if (channelId === state.channelId && place.view === state.view) {
    if (place.threadTs && place.threadTs !== state.threadTs) openThread(place.threadTs);
    else if (!place.threadTs) thread.close({ keepHash: true });
  } else openChannel(channelId, place);
});

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && thread.isOpen && !event.target.closest?.("#backstage")) return void thread.close();
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey && state.view === "messages") {
    event.preventDefault();
    channel.composer.focus();
    channel.composer.insert("/");
  }
});

/** A form may begin a thread, too; filling it in took its time. */
document.addEventListener("form-sent", () => { expected = { channelId: state.channelId, until: Date.now() + ANSWER_SECONDS * 1000 }; });

/** Links into this workspace, as Home and the bot make them, are followed here and not in a window of their own. */
document.addEventListener("click", (event) => {
  const found = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.target.closest?.("a[href]");
  const match = found && found.origin === location.origin && /^\/archives\/([A-Z0-9]+)\/p(\d{10})(\d+)$/.exec(found.pathname);
  if (!match || !state.channels.has(match[1])) return;
  event.preventDefault();
  openChannel(match[1], { threadTs: new URLSearchParams(found.search).get("thread_ts") || `${match[2]}.${match[3]}` });
});

setInterval(() => {
  for (const node of document.querySelectorAll("[data-ago]")) node.textContent = `${node.dataset.before || ""}${ago(node.dataset.ago)}`;
}, 30000);

state.userId = recall().userId || null;
start(null);

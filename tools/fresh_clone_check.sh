#!/bin/sh
# Run by hand: clones what is committed here to a temporary directory, runs the README's two commands as a newcomer
# would (`make demo`, `make sandbox`), and prints how long they took. Installs from the package index; minutes.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q "$root" "$work/devflow"
cd "$work/devflow"

now() { date +%s.%N 2>/dev/null | sed 's/N$/0/'; }
since() { echo "$1 $(now)" | awk '{printf "%.1f s", $2 - $1}'; }

begun=$(now)
make demo >"$work/demo.log" 2>&1 || { tail -40 "$work/demo.log"; echo "make demo failed"; exit 1; }
echo "make demo on a fresh clone, installation included: $(since "$begun")"
begun=$(now)
make demo >"$work/demo.log" 2>&1
echo "make demo, installed: $(since "$begun")"

for start in first second; do
    begun=$(now)
    .venv/bin/devflow sandbox --port 0 --state "$work/state" >"$work/ready.log" 2>&1 &
    pid=$!
    until grep -q '^DevFlow sandbox ready: ' "$work/ready.log"; do
        kill -0 "$pid" 2>/dev/null || { cat "$work/ready.log"; exit 1; }
        sleep 0.05
    done
    echo "make sandbox, $start start to ready: $(since "$begun")"
    kill -INT "$pid"
    wait "$pid"
done
cat "$work/ready.log"
git status --short

#!/bin/sh
# Looks for what DevFlow needs of the machine (Python 3.11+ with venv, git) and prints the Python to use.
# Called by the Makefile; what is missing is named on stderr with its exact remedy, and the exit status is 1.
set -u

debian=no
[ -e /etc/debian_version ] && debian=yes

fail() {
    printf '\nDevFlow cannot be installed here yet.\n  %s\n  To mend it: %s\n\n' "$1" "$2" >&2
    exit 1
}

remedy() { # remedy DEBIAN-PACKAGES MACOS-COMMAND OTHERWISE
    if [ "$debian" = yes ]; then echo "sudo apt-get install $1"
    elif [ "$(uname -s)" = Darwin ]; then echo "$2"
    else echo "$3"; fi
}

command -v git >/dev/null 2>&1 || fail "git was not found." \
    "$(remedy git 'xcode-select --install' "install git with this system's package manager")"

found=
for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        found=$candidate
        break
    fi
done
if [ -z "$found" ]; then
    have=$(python3 --version 2>/dev/null || echo 'no python3')
    fail "Python 3.11 or newer was not found ($have)." \
        "$(remedy 'python3.11 python3.11-venv' 'brew install python@3.12' 'install Python 3.11 or newer'), or name it: make PYTHON=/path/to/python3.11 …"
fi

if ! "$found" -c 'import venv, ensurepip' 2>/dev/null; then
    version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$found has no venv module." \
        "$(remedy "python$version-venv" 'brew reinstall python' "install the venv module of Python $version")"
fi

command -v "$found"

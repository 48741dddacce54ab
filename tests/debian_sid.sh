#!/usr/bin/env bash
# Runs the tests on the Python of Debian sid, 3.14 today, in a tree of files that debootstrap makes.
# Usage: tests/debian_sid.sh [PYTEST ARGUMENT ...]   Needs root, debootstrap and unshare.
#
# The tree is kept in MEMDEEP_SID (default: memdeep-sid in the user's cache); remove it for a newer
# sid. Without a browser in it the page tests are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

TREE=${MEMDEEP_SID:-${XDG_CACHE_HOME:-$HOME/.cache}/memdeep-sid}
MIRROR=${MEMDEEP_SID_MIRROR:-http://deb.debian.org/debian}
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt
# python3-dbg has the symbols that Debian's stripped interpreter lacks.
PACKAGES=python3,python3-venv,python3-dev,python3-dbg,g++,git,make,procps,ca-certificates

for tool in debootstrap unshare; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed."; exit 1; }
done
[ "$(id -u)" -eq 0 ] || { echo "debootstrap and chroot are for root: use sudo."; exit 1; }

if [ ! -e "$TREE/.complete" ]; then
    rm -rf "$TREE"
    mkdir -p "$TREE"
    debootstrap --variant=minbase --include="$PACKAGES" sid "$TREE" "$MIRROR"
    touch "$TREE/.complete"
fi

# What the tree trusts and whom it asks is what this machine does.
cp -L /etc/resolv.conf "$TREE/etc/resolv.conf"
[ ! -e "$CERTIFICATES" ] || cp -L "$CERTIFICATES" "$TREE$CERTIFICATES"
rm -rf "$TREE/memdeep"
mkdir "$TREE/memdeep"
git ls-files -z --cached --others --exclude-standard |
    tar --create --null --no-recursion --files-from=- --ignore-failed-read |
    tar --extract --no-same-owner --directory "$TREE/memdeep"

# In namespaces of its own, so that nothing stays mounted or running.
exec unshare --mount --pid --fork --kill-child bash -euc '
    tree=$1; shift
    mount -t proc proc "$tree/proc"
    mount --rbind /dev "$tree/dev"
    # On a disk: the pages of files in a tmpfs are no file pages.
    rm -rf "$tree/tmp"
    mkdir --mode=1777 "$tree/tmp"
    # The shell stays, to wait for processes that others leave behind.
    chroot "$tree" /usr/bin/env -i HOME=/root LANG=C.UTF-8 PATH=/usr/bin:/bin:/usr/sbin:/sbin \
        PIP_CERT='"$CERTIFICATES"' CI="${CI-}" bash -euc "
            cd /memdeep
            python3 --version
            git init --quiet . && git config --global --add safe.directory /memdeep
            [ -x /venv/bin/python ] || python3 -m venv /venv
            /venv/bin/python -m pip install --progress-bar off --disable-pip-version-check --editable .[dev]
            exec /venv/bin/python -m pytest \"\$@\"
        " pytest "$@" || exit
' unshare "$TREE" "$@"

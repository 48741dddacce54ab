#!/usr/bin/env bash
# Installs Chromium and its driver for the page tests if they are missing and we may; says so if not.
set -uo pipefail

find_first() {
    for name in "$@"; do
        command -v "$name" && return 0
    done
    return 1
}

if find_first chromium chromium-browser google-chrome >/dev/null && find_first chromedriver >/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "No Chromium with chromedriver here: the page tests will be skipped."
    echo "Install both (Debian: apt-get install chromium chromium-driver) to run them."
    exit 0
fi
echo "Installing Chromium for the page tests ..."
log=$(mktemp)
if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    chromium chromium-driver fonts-noto-cjk; } >"$log" 2>&1; then
    tail -5 "$log"
    echo "Chromium could not be installed: the page tests will be skipped."
fi
rm -f "$log"

#!/bin/sh
# Installs memdeep alone, for `make demo`, and says what it does while it does it.
# Usage: set_up.sh PYTHON VENV
set -eu
python=$1 venv=$2
log=$(mktemp)
work=
trap 'rm -f "$log"' EXIT
trap 'test -z "$work" || kill "$work" 2>/dev/null; exit 130' INT TERM

# Run a command; every three seconds tell how far it is, by the last line that it wrote.
step() {
    echo "$1 ..."
    shift
    "$@" >"$log" 2>&1 &
    work=$!
    tenths=0
    while kill -0 "$work" 2>/dev/null; do
        sleep 0.2
        tenths=$((tenths + 2))
        if [ $((tenths % 30)) -eq 0 ]; then
            doing=$(grep -v WARNING "$log" | tail -n 1 | sed -e 's/^ *//' \
                -e 's/^Preparing editable metadata.*/Compiling the replay engine/' | cut -c 1-66)
            printf '    %3d s  %s\n' $((tenths / 10)) "${doing:-at work}"
        fi
    done
    if ! wait "$work"; then
        cat "$log"
        echo "That failed; what it wrote stands above."
        exit 1
    fi
    work=
}

command -v "$python" >/dev/null || { echo "No $python here: name one with PYTHON=..."; exit 1; }
test -x "$venv/bin/python" || step "Making a virtual environment in $venv" "$python" -m venv "$venv"
step "Installing memdeep and compiling its replay engine" \
    "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off --no-compile \
    --editable .

#!/usr/bin/env bash
# Runs the tests on each supported Python that pyenv has, in an environment of its own.
set -uo pipefail
cd "$(dirname "$0")/.."

if ! command -v pyenv >/dev/null; then
    echo "pyenv is not installed: there is nothing to run."
    exit 0
fi
failed=()
for version in $(pyenv versions --bare | grep -E '^3\.1[0-4]\.[0-9]+$'); do
    echo "== Python $version"
    make test PYTHON="$(pyenv prefix "$version")/bin/python" VENV=".venv-$version" || failed+=("$version")
done
if [ "${#failed[@]}" -gt 0 ]; then
    echo "Failed on: ${failed[*]}"
    exit 1
fi

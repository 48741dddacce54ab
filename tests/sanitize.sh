#!/usr/bin/env bash
# Walks objects of many kinds SANITIZED_LOOKS times (default: 3) under the sanitizers of GCC, in a
# Python whose every object has guarded ends. Says so where that cannot be built.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
looks=${SANITIZED_LOOKS:-3}
place=$(mktemp -d "${TMPDIR:-/tmp}/memdeep-sanitized-XXXXXX")
trap 'rm -rf "$place"' EXIT
flags=(-std=c++17 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined
    -fno-sanitize-recover=all -DMEMDEEP_CHECKED -DPy_LIMITED_API=0x030A0000 -fPIC -shared)
include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
library() { g++ -print-file-name="$1"; }

if ! command -v g++ >/dev/null || [ ! -e "$(library libasan.so)" ] ||
    ! g++ "${flags[@]}" -I "$include" native/holders.cpp -o "$place/_holders.abi3.so"; then
    echo "There is no g++ with sanitizers: nothing is tried."
    exit 0
fi
status=0
ASAN_OPTIONS=detect_leaks=0:symbolize=0:log_path="$place/said" \
    UBSAN_OPTIONS=print_stacktrace=1:symbolize=0:log_path="$place/said" \
    LD_PRELOAD="$(library libasan.so) $(library libubsan.so) $(library libstdc++.so)" \
    PYTHONMALLOC=malloc PYTHONPATH=. \
    "$python" tests/programs/holds_many_kinds.py "$place/_holders.abi3.so" "$looks" "$place" ||
    status=$?
for said in "$place"/said.*; do
    [ -e "$said" ] || continue
    status=1
    head -20 "$said"
    grep -o '_holders.abi3.so+0x[0-9a-f]*' "$said" | cut -d+ -f2 |
        xargs -r addr2line -Cfpe "$place/_holders.abi3.so"
done
for look in $(seq "$looks"); do
    if [ "$(tail -c 8 "$place/holders-$look" 2>/dev/null)" != "mdholds." ]; then
        echo "look $look was not written to its end"
        status=1
    fi
done
[ "$status" -eq 0 ] && echo "$looks looks, none of them did any harm"
exit "$status"

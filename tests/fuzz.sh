#!/usr/bin/env bash
# Fuzzes the replay, its saved states and the walk of objects for FUZZ_SECONDS (default: 60), side by
# side, from captures made on the spot. With clang it is libFuzzer; with another compiler, a driver
# that mutates them.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
seconds=${FUZZ_SECONDS:-60}
place=build/fuzz
mkdir -p "$place/seeds" "$place/states"

if ! command -v clang++ >/dev/null && ! command -v "${CXX:-g++}" >/dev/null; then
    echo "There is no C++ compiler: there is nothing to fuzz."
    exit
fi
"$python" tests/support/fuzz_seeds.py "$place/seeds" "$place/states"
flags=(-std=c++17 -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -I native)

# Under the sanitizers: a name, a folder of seeds, the sources.
fuzz() {
    local name=$1 seeds=$2
    shift 2
    mkdir -p "$place/corpus-$name"
    if command -v clang++ >/dev/null && clang++ "${flags[@]}" \
        -fsanitize=fuzzer,address,undefined "$@" -o "$place/$name"; then
        "$place/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
            -malloc_limit_mb=512 -max_len=65536 -print_final_stats=1 -artifact_prefix="$place/" \
            "$place/corpus-$name" "$seeds"
    else
        "${CXX:-g++}" "${flags[@]}" -DSTANDALONE -fsanitize=address,undefined "$@" \
            -o "$place/$name"
        FUZZ_SECONDS=$seconds "$place/$name" "$seeds"/*
    fi
}

# What the walk of objects does with a graph; the files it leaves must be read.
walk() {
    rm -rf "$place/graphs" && mkdir "$place/graphs"
    "${CXX:-g++}" "${flags[@]}" -DMEMDEEP_CHECKED -fsanitize=address,undefined \
        native/fuzz_holders.cpp -o "$place/fuzz_holders"
    FUZZ_SECONDS=$seconds "$place/fuzz_holders" "$place/graphs"
    "$python" tests/support/graph_files.py "$place/graphs"
}

trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
fuzz fuzz "$place/seeds" native/fuzz.cpp native/merge.cpp &
fuzz fuzz_state "$place/states" native/fuzz_state.cpp native/merge.cpp native/state.cpp &
[ "$(uname)" != Linux ] || walk &
for part in $(jobs -p); do
    wait "$part"
done

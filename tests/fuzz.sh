#!/usr/bin/env bash
# Fuzzes the replay for FUZZ_SECONDS (default: 60), from captures made on the spot.
# With clang it is libFuzzer; with another compiler, a driver that mutates the captures.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
seconds=${FUZZ_SECONDS:-60}
place=build/fuzz
mkdir -p "$place/seeds" "$place/corpus"

"$python" tests/support/fuzz_seeds.py "$place/seeds"
flags=(-std=c++17 -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -I native)
if command -v clang++ >/dev/null &&
    clang++ "${flags[@]}" -fsanitize=fuzzer,address,undefined native/fuzz.cpp -o "$place/fuzz"; then
    "$place/fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=512 \
        -max_len=65536 -print_final_stats=1 -artifact_prefix="$place/" \
        "$place/corpus" "$place/seeds"
elif command -v "${CXX:-g++}" >/dev/null; then
    "${CXX:-g++}" "${flags[@]}" -DSTANDALONE -fsanitize=address,undefined native/fuzz.cpp \
        -o "$place/fuzz"
    FUZZ_SECONDS=$seconds "$place/fuzz" "$place"/seeds/*
else
    echo "There is no C++ compiler: there is nothing to fuzz."
    exit
fi

# What the walk of objects does with a graph; the files it leaves must be read.
[ "$(uname)" = Linux ] || exit 0
rm -rf "$place/graphs" && mkdir "$place/graphs"
"${CXX:-g++}" "${flags[@]}" -DMEMDEEP_CHECKED -fsanitize=address,undefined \
    native/fuzz_holders.cpp -o "$place/fuzz_holders"
FUZZ_SECONDS=$seconds "$place/fuzz_holders" "$place/graphs"
"$python" tests/support/graph_files.py "$place/graphs"

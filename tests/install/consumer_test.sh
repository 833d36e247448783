#!/usr/bin/env bash
# consumer_test.sh SOURCE PREFIX: a project that finds the installed libraries by find_package(Anchorage) builds and
# runs.
source "$(dirname "$0")/expectations.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cmake -S "$1" -B "$folder/build" -G Ninja -DCMAKE_PREFIX_PATH="$2" >"$folder/log" 2>&1 || { cat "$folder/log" && exit 1; }
cmake --build "$folder/build" >"$folder/log" 2>&1 || { cat "$folder/log" && exit 1; }
python3 "$2/share/anchorage/smoke/small_model.py" "$folder"
expect_within "what the consumer prints" '^3 layers, HDF5 1\.[0-9.]+, Open MPI' "$("$folder/build/consumer" "$folder/model/config.json")"

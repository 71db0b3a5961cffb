#!/usr/bin/env bash
# Lint, then the tests on each backend: tools/check.sh [BACKEND ...]
set -euo pipefail
cd "$(dirname "$0")/.."
ruff check .
ruff format --check .
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
# Many tests compile the same small networks.
export JAX_COMPILATION_CACHE_DIR="$cache"
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1
once=()
for backend in "${@:-tensorflow jax torch}"; do
  for name in $backend; do
    echo "== $name"
    KERAS_BACKEND=$name python -m pytest -q -n 2 --dist loadfile "${once[@]}"
    once=(-m "not once") # what backends do otherwise is tested elsewhere
  done
done

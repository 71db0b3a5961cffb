#!/usr/bin/env bash
# Lint, then the tests on each backend: tools/check.sh [BACKEND ...]
set -euo pipefail
cd "$(dirname "$0")/.."
ruff check .
ruff format --check .
for backend in "${@:-tensorflow jax torch}"; do
  for name in $backend; do
    echo "== $name"
    KERAS_BACKEND=$name python -m pytest -q -n 2
  done
done

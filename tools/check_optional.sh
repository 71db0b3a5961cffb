#!/usr/bin/env bash
# Tests tensorflow-io and keras-cv, each in a new environment of its own: the
# one needs TensorFlow 2.17, and their protobuf versions exclude each other.
set -euo pipefail
cd "$(dirname "$0")/.."
environments=$(mktemp -d)
trap 'rm -rf "$environments"' EXIT

check() { # EXTRAS MODULE
  echo "== $2"
  python3 -m venv "$environments/$2"
  local python="$environments/$2/bin/python"
  "$python" -m pip install --quiet -e ".[$1,sound]" "pytest>=8,<10" scipy
  "$python" -c "import $2" # else its test would be skipped
  KERAS_BACKEND=tensorflow "$python" -m pytest -q tests/data -k "$2"
}
check tensorflow-io tensorflow_io
check keras-cv,tensorflow keras_cv

#!/usr/bin/env bash
# What needs an environment of its own: tools/check_optional.sh [CHECK ...], all
# without names; two at once. tensorflow-io needs TensorFlow 2.17 and
# excludes keras-cv by its protobuf; the clients of exported files have nothing
# but their runtime, and say there what they say here.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- docs clients tensorflow_io keras_cv beam
if [ $# -gt 1 ]; then
  printf '%s\n' "$@" | xargs -n 1 -P 2 tools/check_optional.sh
  exit
fi
environments=$(mktemp -d)
trap 'rm -rf "$environments"' EXIT

check() { # EXTRAS MODULE TESTS
  echo "== $2"
  python3 -m venv "$environments/$2"
  local python="$environments/$2/bin/python"
  "$python" -m pip install --quiet -e ".[$1,audio]" "pytest>=8,<10" scipy
  "$python" -c "import $2" # else its test would be skipped
  KERAS_BACKEND=tensorflow "$python" -m pytest -q "$3" -k "$2"
}

check_client() { # PACKAGES SCRIPT FILE
  echo "== $2"
  local classify=("examples/clients/$2" "$exports/$3" "$exports/audio.wav")
  local here there
  python3 -m venv "$environments/$2"
  "$environments/$2/bin/python" -m pip install --quiet $1
  local log="$environments/$2.log"
  here=$(python "${classify[@]}" 2> "$log") || cat "$log"
  there=$("$environments/$2/bin/python" "${classify[@]}" 2> "$log") || cat "$log"
  diff <(echo "$here") <(echo "${there:-nothing}") && echo "1 passed, 0 failed"
}

check_beam() { # the shards of one process, byte for byte
  echo "== apache-beam"
  python3 -m venv "$environments/beam"
  "$environments/beam/bin/python" -m pip install --quiet apache-beam
  PYTHONPATH=tools python -c "from pathlib import Path; import kill_runs
kill_runs.write_tones(Path('$environments/tones'))"
  local words=(--data="folder:$environments/tones" --clips-per-shard=2)
  keras-c2f prepare "${words[@]}" --out="$environments/whole" > /dev/null
  "$environments/beam/bin/python" examples/prepare_beam.py --parts=3 \
    --direct_num_workers=2 --direct_running_mode=multi_processing \
    --program="$(command -v keras-c2f)" -- "${words[@]}" \
    --out="$environments/parts" > /dev/null
  diff -r "$environments/whole" "$environments/parts" \
    && echo "1 passed, 0 failed"
}

check_docs() {
  echo "== docs"
  python3 -m venv "$environments/docs"
  "$environments/docs/bin/python" -m pip install --quiet -e ".[docs]"
  NO_MKDOCS_2_WARNING=1 "$environments/docs/bin/mkdocs" build --quiet --strict \
    --site-dir "$environments/site" && echo "1 passed, 0 failed"
}

check_clients() {
  exports="$environments/exports"
  mkdir "$exports"
  python tools/make_exports.py "$exports"
  check_client "ai-edge-litert numpy" classify_litert.py litert-float32.tflite
  check_client "onnxruntime numpy" classify_onnx.py onnx-float32.onnx
  check_client tensorflow-cpu classify_saved_model.py savedmodel/1
}

case "$1" in
  docs | clients | beam) "check_$1" ;;
  tensorflow_io) check tensorflow-io tensorflow_io tests/audio/test_decode.py ;;
  keras_cv) check keras-cv,tensorflow keras_cv tests/data/test_augment.py ;;
  *) echo "There is no check '$1'." >&2; exit 2 ;;
esac

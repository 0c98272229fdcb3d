#!/usr/bin/env bash
# scripts/estimate-pictures.sh DIR_WITH_ONNX: the pictures of docs/estimate.md that show networks out of ONNX files, into
# docs/images. The folder holds resnet50.ts.onnx, mobilenet_v2.ts.onnx and vit_b_16.ts.onnx (torchvision's networks by
# torch.onnx.export, 1x3x224x224). SYSTOLE names the command.
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
onnx=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
systole=${SYSTOLE:-target/release/systole}

for network in resnet50 mobilenet_v2 vit_b_16; do
    for accelerator in tpu-v2 edge-tpu; do
        "$systole" estimate "$onnx/$network.ts.onnx" --accel "$accelerator" --quiet \
            --plot "docs/images/$network-$accelerator-cycles.png" \
            --roofline "docs/images/$network-$accelerator-roofline.png" |
            sed -n "/^total/,\$p" | sed "s|^total|$network on $accelerator|"
    done
done

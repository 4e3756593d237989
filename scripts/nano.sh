#!/bin/sh
# Makes the embedded policy again: renders the data sets under data/ and trains as training/configs/nano.toml says.
# Both continue where an interrupted run ended.
set -eu
cd "$(dirname "$0")/.."
vigorl=target/release/vigorl

"$vigorl" data practice data/icons64 --pages 6000 --split train --canvas 64x64 --distractors 0..0
"$vigorl" data practice data/icons96 --pages 6000 --split train --canvas 96x96 --distractors 0..2
"$vigorl" data practice data/icons --pages 15000 --split train
"$vigorl" data practice data/icons_heldout --pages 500 --split held-out
# Each worker computes whole micro-batches; more threads inside one only get in each other's way.
RAYON_NUM_THREADS=1 "$vigorl" train sft training/configs/nano.toml

#!/bin/sh
# Makes the embedded policies again: renders the data sets under data/ and trains nano's two parts as
# training/configs/nano.toml and nano_small.toml say, and nano-full behind the one that is in the binary as nano_full.toml says.
# Each continues where an interrupted run ended; the policies lie in data/nano/model and data/nano_full/model.
set -eu
cd "$(dirname "$0")/.."
vigorl=target/release/vigorl

"$vigorl" data practice data/icons --pages 20000 --split train
"$vigorl" data practice data/icons_heldout --pages 500 --split held-out
"$vigorl" data practice data/words40 --pages 20000 --split train --tier words --vocabulary 40
"$vigorl" data practice data/words40_heldout --pages 300 --split held-out --tier words --vocabulary 40
"$vigorl" train sft training/configs/nano.toml
"$vigorl" train sft training/configs/nano_small.toml

large="--canvas 240x240 --distractors 6..14 --sizes 8..44"
# shellcheck disable=SC2086
"$vigorl" data practice data/icons240 --pages 6000 --split train --first-page 600000 $large
# shellcheck disable=SC2086
"$vigorl" data practice data/icons240_heldout --pages 100 --split held-out $large
words="--tier words --vocabulary 160"
# shellcheck disable=SC2086
"$vigorl" data practice data/words160 --pages 300 --split train --first-page 800000 $words
# shellcheck disable=SC2086
"$vigorl" data practice data/words240 --pages 700 --split train --first-page 700000 --canvas 240x240 --distractors 5..12 $words
# shellcheck disable=SC2086
"$vigorl" data practice data/words240_heldout --pages 100 --split held-out --canvas 240x240 --distractors 5..12 $words
"$vigorl" train sft training/configs/nano_full.toml

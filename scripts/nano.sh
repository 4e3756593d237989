#!/bin/sh
# Makes the embedded policy again: renders the data sets under data/ and trains its two parts as
# training/configs/nano.toml and nano_small.toml say.
# Each continues where an interrupted run ended; the last one leaves the policy in data/nano/model.
set -eu
cd "$(dirname "$0")/.."
vigorl=target/release/vigorl

"$vigorl" data practice data/icons --pages 20000 --split train
"$vigorl" data practice data/icons_heldout --pages 500 --split held-out
"$vigorl" data practice data/words40 --pages 20000 --split train --tier words --vocabulary 40
"$vigorl" data practice data/words40_heldout --pages 300 --split held-out --tier words --vocabulary 40
"$vigorl" train sft training/configs/nano.toml
"$vigorl" train sft training/configs/nano_small.toml

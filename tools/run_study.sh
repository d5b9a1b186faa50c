#!/usr/bin/env bash
# Trains and tests each network of the study with each seed: from scratch HRNet, CA-HRNet, and HRNet with SE and CBAM in
# the same place; then, from each HRNet trained so, HRNet and a warm-started CA-HRNet for as many epochs again. Two rows
# ask why: HRNet whose residual branches start at zero, since those of CA-HRNet start behind gates of a quarter; and
# CA-HRNet warm-started with five times the rate for its attention.
#
#   tools/run_study.sh [w16_lsp_128x96 | w32_lsp_256x192]
#
# What is done is not done again, and a training that was interrupted goes on from its last epoch. Environment:
#   SEEDS="0 1 2"         the seeds of each network
#   JOBS=1                how many trainings run side by side
#   OUT=work_dirs/study   where they leave what
#   CA_HRNET_DATA=data    the folder that holds the data set
#   STUDY_DATA=lsp        the data set: any in COCO's layout
#   OPTIONS=""            further options of each training, as after --cfg-options
set -euo pipefail
cd "$(dirname "$0")/.."
export SIZE=${1:-w16_lsp_128x96} OUT=${OUT:-work_dirs/study}
seeds=${SEEDS:-0 1 2} jobs=${JOBS:-1}

train_and_test() { # SEED CONFIG NAME START|- [OPTION...]
  local seed=$1 config=configs/lsp/$2_$SIZE.py name=$3 start=$4
  local dir=$OUT/$SIZE/$name/seed$seed
  [[ ! -e $dir/val2017.keypoints.json ]] || return 0
  mkdir -p "$dir"
  local more
  read -ra more <<<"${OPTIONS:-}"
  local options=("randomness.seed=$seed" "${@:5}" "${more[@]}")
  if [[ -e $dir/last_checkpoint || $start == - ]]; then
    options=(--resume --cfg-options "${options[@]}")
  else
    options=(--cfg-options "${options[@]}" "load_from=$(<"$OUT/$SIZE/$start/seed$seed/last_checkpoint")")
  fi
  echo "$(date +%T) $name, seed $seed: $dir/train.log"
  mim train mmpose "$config" --work-dir "$dir" "${options[@]}" >>"$dir/train.log" 2>&1
  mim test mmpose "$config" --checkpoint "$(<"$dir/last_checkpoint")" --work-dir "$dir/test" \
    --cfg-options "test_evaluator.outfile_prefix=$dir/val2017" >>"$dir/test.log" 2>&1
  echo "$(date +%T) $name, seed $seed: done"
}
export -f train_and_test

for_each_seed() { # lines of arguments, on standard input
  local networks
  networks=$(cat)
  for seed in $seeds; do
    while read -r network; do echo "$seed $network"; done <<<"$networks"
  done | xargs -P "$jobs" -L 1 bash -euo pipefail -c 'train_and_test "$@"' _
}

# On a GPU, older versions of torch refuse deterministic matrix products without it.
export CUBLAS_WORKSPACE_CONFIG=${CUBLAS_WORKSPACE_CONFIG:-:4096:8}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(($(nproc) / jobs > 0 ? $(nproc) / jobs : 1))}
for_each_seed <<'NETWORKS'
hrnet HRNet -
ca_hrnet CA-HRNet -
se_hrnet SE-HRNet -
cbam_hrnet CBAM-HRNet -
hrnet HRNet-zero-init - model.backbone.zero_init_residual=True
NETWORKS
for_each_seed <<'NETWORKS'
hrnet HRNet-further HRNet
ca_hrnet CA-HRNet-further HRNet
ca_hrnet CA-HRNet-further-fast-gates HRNet optim_wrapper.paramwise_cfg.custom_keys.ca.lr_mult=5
NETWORKS

report() { # NAME ROW...
  local rows=() curves=() name=$1 row
  shift
  for row in "$@"; do
    rows+=("$row=$OUT/$SIZE/$row/seed*/val2017.keypoints.json")
    curves+=("$row=$OUT/$SIZE/$row/seed${seeds%% *}")
  done
  python tools/benchmark_table.py "${rows[@]}" --config "configs/lsp/hrnet_$SIZE.py" --format markdown \
    2>"$OUT/$SIZE/$name.log" | tee "$OUT/$SIZE/$name.md"
  python tools/plot_training_curve.py "${curves[@]}" --out "$OUT/$SIZE/$name.png"
}

report scratch HRNet CA-HRNet SE-HRNet CBAM-HRNet HRNet-zero-init
report further HRNet-further CA-HRNet-further CA-HRNet-further-fast-gates

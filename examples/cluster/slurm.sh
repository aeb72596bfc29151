#!/bin/bash
#SBATCH --job-name=automl
#SBATCH --output=automl-%j.log
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --exclusive
#SBATCH --time=02:00:00
#SBATCH --requeue
# A search on the nodes of a Slurm job. Arguments are those of `automl search`; the environment with automl[ray] is active where
# sbatch is called, and lies, like the data, on a file system that all nodes share:
#   sbatch examples/cluster/slurm.sh "$PWD/adult.csv" --target income --time-limit 6000
# Nodes are taken whole (--exclusive), so that Ray's ports are free.
set -euo pipefail

storage=${AUTOML_STORAGE:-$SLURM_SUBMIT_DIR/automl-storage} # every node reaches it; or a URL
out=${TMPDIR:-/tmp}/automl-$SLURM_JOB_ID                    # the record: a disk of the head's own
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]} # this script runs there
others=$((SLURM_JOB_NUM_NODES - 1))

export RAY_ADDRESS=$head:6379
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN # srun hands them to all nodes
RAY_AUTH_TOKEN=$(ray get-auth-token --generate)
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK # srun doesn't take it from sbatch

wait_for_nodes() {
  until (($(ray list nodes --filter state=ALIVE --limit 10000 --format json 2>/dev/null | grep -o '"node_id"' | wc -l) >= $1)); do
    ((SECONDS < 600)) || { echo "fewer than $1 nodes have joined after ten minutes" >&2; exit 1; }
    sleep 1
  done
}

trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
srun --nodes=1 --ntasks=1 --nodelist="$head" ray start --head --block --port=6379 --num-cpus="$SLURM_CPUS_PER_TASK" &
wait_for_nodes 1
if ((others > 0)); then
  srun --nodes="$others" --ntasks="$others" --exclude="$head" \
    ray start --block --address="$RAY_ADDRESS" --num-cpus="$SLURM_CPUS_PER_TASK" &
  wait_for_nodes "$SLURM_JOB_NUM_NODES"
fi

if ((${SLURM_RESTART_COUNT:-0} > 0)); then # Slurm took the nodes away and has put the job into the queue again
  automl resume "$out" --cluster auto --storage "$storage"
else
  automl search "$@" --cluster auto --out "$out" --storage "$storage"
fi
automl export "$out" "$SLURM_SUBMIT_DIR/automl-model-$SLURM_JOB_ID"

#!/bin/bash
# One GWAS on the GPUs of a Slurm allocation; the cohort lies where all nodes see it:
#   sbatch cluster/gpu.sh cohort.vcz --trait ldl --covariates age,sex --out ldl/
#SBATCH --job-name=genome-eu-gpu
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --mem=64G
#SBATCH --time=04:00:00
set -euo pipefail

port=${DASK_PORT:-$((20000 + SLURM_JOB_ID % 20000))}
scheduler="tcp://$(hostname):$port"
# Threads that share a GPU: while one reads or copies, others compute.
threads=${THREADS_PER_GPU:-4}
# Threads of Dask do the work; threads of BLAS under each would fight them.
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

dask scheduler --port "$port" --no-dashboard --no-show &
scheduler_pid=$!
# One task a node; dask-cuda starts one worker process for each GPU that the task sees.
srun dask cuda worker "$scheduler" --nthreads "$threads" --no-dashboard \
    --local-directory "${TMPDIR:-/tmp}" --death-timeout 120 &
workers_pid=$!
trap 'kill "$workers_pid" "$scheduler_pid" 2>/dev/null || true' EXIT

genome-eu gwas "$@" --device gpu --dask "$scheduler"

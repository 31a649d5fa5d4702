#!/bin/bash
# One genome-eu command on a Slurm allocation:
#   sbatch cluster/slurm.sh gwas cohort.vcz --trait ldl --covariates age,sex --out ldl/
#SBATCH --job-name=genome-eu
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=8
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
set -euo pipefail

port=${DASK_PORT:-$((20000 + SLURM_JOB_ID % 20000))}
scheduler="tcp://$(hostname):$port"
# Threads of Dask do the work; threads of BLAS under each would fight them.
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

dask scheduler --port "$port" --no-dashboard --no-show &
scheduler_pid=$!
srun dask worker "$scheduler" --nthreads "${SLURM_CPUS_PER_TASK:-1}" --no-dashboard \
    --local-directory "${TMPDIR:-/tmp}" --death-timeout 120 &
workers_pid=$!
trap 'kill "$workers_pid" "$scheduler_pid" 2>/dev/null || true' EXIT

genome-eu "$@" --dask "$scheduler"

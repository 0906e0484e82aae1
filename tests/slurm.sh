#!/usr/bin/env bash
# A Slurm of one node for the tests, on loopback, as root: `slurm.sh install`, `slurm.sh up FOLDER`, `slurm.sh down FOLDER`.
# Its GPU is a stand-in (/dev/null), so that requests for one are scheduled; nothing computes on it.
set -euo pipefail

install() {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge
}

up() {
  local state=$1 host
  host=$(hostname -s)
  mkdir -p "$state"/{control,spool}
  chmod 755 "$state" # munge refuses a folder that others can write
  head -c 1024 /dev/urandom >"$state/munge.key"
  chmod 400 "$state/munge.key"
  munged --key-file="$state/munge.key" --socket="$state/munge.socket" --pid-file="$state/munged.pid" \
    --log-file="$state/munged.log" --seed-file="$state/munged.seed"
  cat >"$state/slurm.conf" <<CONF
ClusterName=halo
SlurmctldHost=$host(127.0.0.1)
AuthInfo=socket=$state/munge.socket
SlurmUser=root
SlurmdUser=root
SlurmctldPort=27817
SlurmdPort=27818
StateSaveLocation=$state/control
SlurmdSpoolDir=$state/spool
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
ReturnToService=2
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=8000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  echo "Name=gpu File=/dev/null" >"$state/gres.conf"
  ln -s "$state/slurm.conf" /etc/slurm/slurm.conf # jobs look for it there; fails where a cluster is configured
  ln -s "$state/gres.conf" /etc/slurm/gres.conf
  slurmctld
  slurmd
  for _ in $(seq 30); do
    [ "$(sinfo --noheader --format=%T)" = idle ] && return
    sleep 1
  done
  sinfo --long
  exit 1
}

down() {
  local state=$1
  for daemon in slurmd slurmctld munged; do
    if [ -f "$state/$daemon.pid" ]; then kill "$(cat "$state/$daemon.pid")" || true; fi
  done
  for file in slurm.conf gres.conf; do
    if [ "$(readlink /etc/slurm/$file)" = "$state/$file" ]; then rm "/etc/slurm/$file"; fi
  done
}

"$@"

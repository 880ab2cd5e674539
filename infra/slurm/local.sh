#!/usr/bin/env bash
# A real, private SLURM cluster on one host, without systemd: for tests and demos.
#
#   local.sh install          apt-get the packages (root)
#   local.sh start            start munged, [mariadbd, slurmdbd,] slurmctld and N x slurmd
#   eval "$(local.sh env)"    exports SLURM_CONF (and PATH, unless SLURM_LOCAL_ACCT=dbd)
#   local.sh status | stop | restart-node NODE | kill-node NODE | node-ready
#
# Everything (key, sockets, state, logs, pids) lives under $SLURM_LOCAL_DIR, on its own ports:
# nothing in /etc/slurm or /etc/munge is read or written, and a system SLURM is not disturbed.
#
# Settings (environment):
#   SLURM_LOCAL_DIR    state folder                         [.slurm-local under the current folder]
#   SLURM_LOCAL_NODES  node names, each its own slurmd      [2]
#   SLURM_LOCAL_CPUS   CPUs that each node claims           [nproc]   (may exceed the real count)
#   SLURM_LOCAL_MEM    MiB that each node claims            [half of MemTotal / nodes, at least 512]
#   SLURM_LOCAL_GPUS   pretend GPUs a node (gres/gpu)       [0]
#   SLURM_LOCAL_PORT   first TCP port of the range used     [16817]
#   SLURM_LOCAL_ACCT   dbd: slurmdbd + MariaDB, real sacct
#                      shim: no database; a small `sacct` put first on PATH by `env`   [shim]
set -euo pipefail
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
D=${SLURM_LOCAL_DIR:-$PWD/.slurm-local}
N=${SLURM_LOCAL_NODES:-2}
CPUS=${SLURM_LOCAL_CPUS:-$(nproc)}
GPUS=${SLURM_LOCAL_GPUS:-0}
PORT=${SLURM_LOCAL_PORT:-16817}
ACCT=${SLURM_LOCAL_ACCT:-shim}
memtotal=$(awk '/MemTotal/{print int($2/1024)}' /proc/meminfo)
MEM=${SLURM_LOCAL_MEM:-$(( memtotal / 2 / N > 512 ? memtotal / 2 / N : 512 ))}
HOST=$(hostname -s)
ME=$(id -un)
export SLURM_CONF=$D/etc/slurm.conf
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'slurm-local: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# wait_for SECONDS WHAT COMMAND...: poll until COMMAND succeeds
wait_for() {
  local limit=$1 what=$2; shift 2
  local t=$((SECONDS + limit)) run=("$@")
  [[ $(type -t "$1") == file ]] && run=(timeout 5 "$@")      # a client that hangs must not hang us
  while ((SECONDS < t)); do "${run[@]}" >/dev/null 2>&1 </dev/null && return 0; sleep 0.1; done
  die "$what did not come up in ${limit}s; see $D/log"
}

# alive NAME: its recorded process still runs, and is the program it was (pids are reused)
alive() {
  local pid exe
  pid=$(cat "$D/run/$1.pid" 2>/dev/null) || return 1
  exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || return 1
  case $1 in
    munged) [[ $exe == */munged* ]] ;;
    mariadbd) [[ $exe == *mariadbd* || $exe == *mysqld* ]] ;;
    slurmd-*) [[ $exe == */slurmd* ]] ;;
    *) [[ $exe == */$1* ]] ;;
  esac
}

# spawn NAME COMMAND...: start it in a session of its own, record its pid
spawn() {
  local name=$1; shift
  setsid "$@" >>"$D/log/$name.out" 2>&1 </dev/null &
  echo $! >"$D/run/$name.pid"
}

install() {
  local pk="slurm-wlm slurm-client munge"
  [[ $ACCT == dbd ]] && pk="$pk slurmdbd mariadb-server"
  [[ $(id -u) == 0 ]] || die "install needs root"
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -o DPkg::Lock::Timeout=300 $pk
}

write_conf() {
  mkdir -p "$D"/{etc,log,run,state/ctld,munge}
  [[ -s $D/munge/key ]] || (umask 077; dd if=/dev/urandom of="$D/munge/key" bs=1024 count=1 status=none)
  local i gres="" grestypes="" dbd
  if ((GPUS > 0)); then
    gres=" Gres=gpu:$GPUS"; grestypes="GresTypes=gpu"
    # pretend GPUs: links to /dev/null stand in for /dev/nvidia*; CUDA_VISIBLE_DEVICES is set per job
    : >"$D/etc/gres.conf"
    for ((i = 0; i < GPUS; i++)); do
      ln -sfn /dev/null "$D/run/gpu$i"; echo "Name=gpu File=$D/run/gpu$i" >>"$D/etc/gres.conf"
    done
  fi
  if [[ $ACCT == dbd ]]; then
    dbd="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=$((PORT + 2))
AccountingStoragePass=$D/munge/munge.socket"
  else
    dbd="AccountingStorageType=accounting_storage/none"
  fi
  cat >"$D/etc/slurm.conf" <<CONF
ClusterName=local
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=$ME
SlurmdUser=$ME
AuthType=auth/munge
CryptoType=crypto/munge
# cred_expire also sets how long a requeued job waits before it may start again (default 120 s)
AuthInfo=socket=$D/munge/munge.socket,cred_expire=5
StateSaveLocation=$D/state/ctld
SlurmctldPidFile=$D/run/slurmctld.slurm-pid
SlurmctldLogFile=$D/log/slurmctld.log
SlurmdSpoolDir=$D/state/slurmd.%n
SlurmdPidFile=$D/run/slurmd.%n.slurm-pid
SlurmdLogFile=$D/log/slurmd.%n.log
SlurmctldDebug=info
SlurmdDebug=info
# no cgroup plug-in anywhere: works in containers and where cgroups are not delegated
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=256
# claimed CPUs and memory are taken as written, not checked against the hardware
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# a preempted job gets its --signal (submitit: USR2) at the start of GraceTime, not a bare SIGTERM
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
ReturnToService=2
# short limits, so that failures show in seconds
SlurmdTimeout=10
SlurmctldTimeout=10
MessageTimeout=10
InactiveLimit=0
KillWait=5
OverTimeLimit=0
MinJobAge=3600
LaunchParameters=send_gids
PropagateResourceLimitsExcept=MEMLOCK
JobCompType=jobcomp/filetxt
JobCompLoc=$D/log/jobcomp.txt
$dbd
$grestypes
CONF
  for ((i = 1; i <= N; i++)); do
    echo "NodeName=node$i NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((PORT + 10 + i)) CPUs=$CPUS RealMemory=$MEM$gres State=UNKNOWN"
  done >>"$D/etc/slurm.conf"
  cat >>"$D/etc/slurm.conf" <<CONF
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=60 PriorityTier=10 PreemptMode=off State=UP
PartitionName=low  Nodes=ALL MaxTime=INFINITE DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=10 State=UP
PartitionName=high Nodes=ALL MaxTime=INFINITE DefaultTime=60 PriorityTier=100 PreemptMode=off State=UP
CONF
  if [[ $ACCT == dbd ]]; then
    cat >"$D/etc/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$D/munge/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((PORT + 2))
SlurmUser=$ME
LogFile=$D/log/slurmdbd.log
PidFile=$D/run/slurmdbd.slurm-pid
DebugLevel=info
CommitDelay=1
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((PORT + 3))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
CONF
    chmod 600 "$D/etc/slurmdbd.conf"
  else
    mkdir -p "$D/bin"; cp "$here/sacct-shim" "$D/bin/sacct"; chmod 755 "$D/bin/sacct"
  fi
}

start_db() {
  local sock=$D/run/mariadb.sock u=()
  [[ $(id -u) == 0 ]] && u=(--user=root)
  if [[ ! -d $D/state/mariadb/mysql ]]; then
    mariadb-install-db --no-defaults "${u[@]}" --datadir="$D/state/mariadb" \
      --auth-root-authentication-method=normal --skip-test-db >"$D/log/mariadb-install.out" 2>&1 \
      || die "mariadb-install-db failed; see $D/log/mariadb-install.out"
  fi
  spawn mariadbd mariadbd --no-defaults "${u[@]}" --datadir="$D/state/mariadb" --socket="$sock" \
    --bind-address=127.0.0.1 --port=$((PORT + 3)) --pid-file="$D/run/mariadb.mysql-pid" \
    --innodb-buffer-pool-size=64M --innodb-log-file-size=32M --innodb-lock-wait-timeout=900 \
    --innodb-flush-log-at-trx-commit=0 --skip-name-resolve --max-connections=50
  wait_for 60 mariadbd mariadb-admin --no-defaults --socket="$sock" -u root ping
  mariadb --no-defaults --socket="$sock" -u root -e "
    CREATE DATABASE IF NOT EXISTS slurm_acct;
    CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm';
    GRANT ALL ON slurm_acct.* TO 'slurm'@'127.0.0.1';"
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start_node() {
  local n=$1
  mkdir -p "$D/state/slurmd.$n"
  spawn "slurmd-$n" slurmd -D -N "$n"
}

nodes_ready() { [[ $(timeout 5 sinfo -h -N -p main -o '%N %T' | sort -u | grep -cE ' (idle|mixed|allocated)$') -ge $N ]]; }

start() {
  command -v slurmctld >/dev/null && command -v munged >/dev/null || die "not installed: run '$0 install' as root"
  alive slurmctld && { say "already up in $D"; return 0; }
  write_conf
  if ! alive munged; then
    # --force: the parents of $D may be more open than munged likes
    spawn munged munged --foreground --force --socket="$D/munge/munge.socket" --key-file="$D/munge/key" \
      --pid-file="$D/munge/pid" --log-file="$D/log/munged.log" --seed-file="$D/munge/seed"
    wait_for 10 munged munge -n --socket="$D/munge/munge.socket"
  fi
  if [[ $ACCT == dbd ]]; then
    alive mariadbd || start_db
    if ! alive slurmdbd; then
      SLURM_CONF=$D/etc/slurm.conf spawn slurmdbd slurmdbd -D
      wait_for 60 slurmdbd port_open $((PORT + 2))
    fi
    # the cluster must be known before slurmctld registers with it
    wait_for 30 "sacctmgr" sacctmgr -i -n show cluster
    timeout 10 sacctmgr -n -P show cluster format=cluster </dev/null | grep -qx local ||
      timeout 10 sacctmgr -i -Q add cluster local </dev/null >/dev/null
  fi
  spawn slurmctld slurmctld -D
  wait_for 30 slurmctld scontrol ping
  local i
  for ((i = 1; i <= N; i++)); do start_node "node$i"; done
  wait_for 30 "the nodes" nodes_ready
  say "up: $N node(s) of $CPUS CPU(s), accounting $ACCT, in $D"
}

# end_one NAME: TERM, then KILL, the process that this script recorded
end_one() {
  local pid i
  alive "$1" || { rm -f "$D/run/$1.pid"; return 0; }
  pid=$(cat "$D/run/$1.pid")
  kill -TERM "$pid" 2>/dev/null || true
  for ((i = 0; i < 100; i++)); do [[ -e /proc/$pid ]] || break; sleep 0.1; done
  [[ -e /proc/$pid ]] && kill -KILL "$pid" 2>/dev/null
  rm -f "$D/run/$1.pid"
}

stop() {
  [[ -d $D/run ]] || return 0
  local i
  if alive slurmctld; then
    timeout 5 scancel --user="$ME" 2>/dev/null || true          # let jobs end, so that no step is left behind
    for ((i = 0; i < 80; i++)); do [[ -z $(timeout 5 squeue -h 2>/dev/null) ]] && break; sleep 0.1; done
  fi
  for i in "$D"/run/slurmd-*.pid; do [[ -e $i ]] && end_one "$(basename "$i" .pid)"; done
  for i in slurmctld slurmdbd mariadbd munged; do end_one "$i"; done
  say "stopped"
}

status() {
  local f rc=0
  for f in "$D"/run/*.pid; do
    [[ -e $f ]] || { echo "down"; return 3; }
    f=$(basename "$f" .pid)
    if alive "$f"; then echo "$f up"; else echo "$f DOWN"; rc=1; fi
  done
  sinfo || rc=1
  return $rc
}

case ${1:-} in
  install) install ;;
  start) start ;;
  stop) stop ;;
  status) status ;;
  env)
    echo "export SLURM_CONF='$D/etc/slurm.conf'"
    [[ $ACCT == dbd ]] || echo "export PATH='$D/bin':\$PATH"
    ;;
  node-ready) nodes_ready ;;
  kill-node)    # as a power cut: slurmd and every step on that node, at once
    n=${2:?node}; pid=$(cat "$D/run/slurmd-$n.pid")
    kill -KILL "$pid" 2>/dev/null || true
    for p in /proc/[0-9]*; do
      # only what this cluster started: a job's processes carry both variables, a step's daemon is
      # known by the log of its node, which it holds open
      if grep -qz "^SLURMD_NODENAME=$n$" "$p/environ" 2>/dev/null && grep -qzF "SLURM_CONF=$SLURM_CONF" "$p/environ" ||
         { [[ $(tr '\0' ' ' 2>/dev/null <"$p/cmdline") == "slurmstepd: "* ]] &&
           ls -l "$p/fd" 2>/dev/null | grep -qF "$D/log/slurmd.$n.log"; }; then
        kill -KILL "${p#/proc/}" 2>/dev/null || true
      fi
    done
    rm -f "$D/run/slurmd-$n.pid" ;;
  restart-node) n=${2:?node}; end_one "slurmd-$n"; start_node "$n" ;;
  *) grep -E '^#( |$)' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2 ;;
esac

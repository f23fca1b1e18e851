"""A Slurm cluster of two nodes on this machine: munge, slurmctld and two slurmd of our own, in a folder of our own, on free ports.

SPDX-License-Identifier: Apache-2.0
"""
import getpass
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "sinfo", "scancel")
# Two nodes on one host: each slurmd has its own name, port and TmpFS (two PMIx servers would meet in one), and the numbers of
# cores are ours, not the machine's.
CONF = """ClusterName=timetrial
SlurmctldHost={host}
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CryptoType=crypto/munge
MpiDefault=pmix
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
TmpFS={folder}/tmp-%n
KillWait=5
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port1} CPUs=2 State=UNKNOWN
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={port2} CPUs=2 State=UNKNOWN
PartitionName=all Nodes=node1,node2 Default=YES MaxTime=INFINITE State=UP
"""


def missing():
    """Why there can be no cluster here; empty when nothing is in the way."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    lacking = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    return f"not installed: {', '.join(lacking)} (Debian: slurm-wlm, munge)" if lacking else ""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """`with Cluster() as cluster:` two idle nodes; every daemon is ours and ends with the block."""

    def __enter__(self):
        self._holder = tempfile.TemporaryDirectory(prefix="timetrial-slurm-")
        self.folder = pathlib.Path(self._holder.name)
        self._daemons = []
        self.environment = dict(os.environ, SLURM_CONF=str(self.folder / "slurm.conf"), PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in reversed(self._daemons):
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._holder.cleanup()

    def _daemon(self, *command):
        with (self.folder / f"{command[0]}{len(self._daemons)}.out").open("wb") as log:
            self._daemons.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment))

    def _start(self):
        for name in ("munge", "state", "spool-node1", "spool-node2", "tmp-node1", "tmp-node2"):
            (self.folder / name).mkdir(mode=0o755)
        self.folder.chmod(0o755)
        key = self.folder / "munge/key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        controller_port, port1, port2 = free_ports(3)
        (self.folder / "slurm.conf").write_text(
            CONF.format(host=socket.gethostname(), user=getpass.getuser(), folder=self.folder, controller_port=controller_port,
                        port1=port1, port2=port2), encoding="utf-8")
        munge = self.folder / "munge"
        self._daemon("munged", "--foreground", "--force", f"--socket={munge}/socket", f"--key-file={key}", f"--pid-file={munge}/pid",
                     f"--seed-file={munge}/seed", f"--log-file={munge}/log")
        self._wait(lambda: (munge / "socket").exists(), "munged opens its socket")
        self._daemon("slurmctld", "-D", "-i")
        for node in ("node1", "node2"):
            self._daemon("slurmd", "-D", "-N", node)
        self._wait(lambda: self.run("sinfo", "--noheader", "--format=%T %D").stdout.split() == ["idle", "2"], "two nodes are idle")

    def run(self, *command, timeout=120, **more):
        environment = dict(self.environment, **more)
        return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=timeout, check=False)

    def _wait(self, ready, what, seconds=45):
        deadline = time.monotonic() + seconds
        while not ready():
            for daemon in self._daemons:
                if daemon.poll() is not None:
                    raise RuntimeError(f"{daemon.args[0]} ended with {daemon.returncode} before {what}: {self.last_words()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"after {seconds} s it is not so that {what}: {self.last_words()}")
            time.sleep(0.1)

    def last_words(self):
        """The ends of all logs, for errors."""
        logs = sorted(self.folder.glob("*.log")) + sorted(self.folder.glob("*.out"))
        return "; ".join(f"{log.name}: {log.read_text(errors='replace')[-400:]}" for log in logs)

"""Starts a program as N ranks on this machine, each NCCL's host of its own, so that several may share one GPU.

NCCL refuses two ranks on one device of one host; with a NCCL_HOSTID each they talk over sockets: slow, and right for a test.
SPDX-License-Identifier: Apache-2.0
"""
import os
import socket
import subprocess
import sys


def main():
    count, program = int(sys.argv[1]), sys.argv[2:]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [subprocess.Popen(program, env=dict(os.environ, RANK=str(rank), WORLD_SIZE=str(count), LOCAL_RANK=str(rank),
                                                LOCAL_WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
                                                NCCL_HOSTID=f"rank{rank}", NCCL_SOCKET_IFNAME="lo"))
             for rank in range(count)]
    codes = [rank.wait() for rank in ranks]
    return next((code for code in codes if code != 0), 0)


if __name__ == "__main__":
    sys.exit(main())

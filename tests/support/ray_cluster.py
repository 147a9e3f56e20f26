"""A Ray cluster of two nodes on this machine.

Run as a script it prints a line of JSON when both nodes are up, ``{"address": ..., "raylet": ...}``
(``raylet`` is the process that the second node's workers belong to), and ends with its standard
input.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

_STORE_BYTES = 1 << 27
_PATIENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_worker_register_timeout_seconds": "300",
}
"""What Ray waits for on a busy machine instead of giving up."""


@dataclass(frozen=True)
class TwoNodes:
    """A cluster that is up."""

    address: str
    raylet: int


@contextlib.contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """With room for one worker each."""
    with subprocess.Popen(
        [sys.executable, __file__],
        env=os.environ | _PATIENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        up = json.loads(process.stdout.readline())
        try:
            yield TwoNodes(up["address"], up["raylet"])
        finally:
            process.stdin.close()
            process.wait(60)


def main() -> None:
    """Serve a test."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": _STORE_BYTES}
    head = {**node, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        second = cluster.add_node(**node)
        cluster.wait_for_nodes()
        raylet = second.all_processes["raylet"][0].process.pid
        print(json.dumps({"address": cluster.address, "raylet": raylet}), flush=True)
        sys.stdin.read()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()

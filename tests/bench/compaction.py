# SPDX-License-Identifier: MIT
"""compaction.py SPAWND TEMPLATES [N]: what a fork of tests/templates/warm_heap.c takes, in microseconds, by
the host's own clock, with compaction and without, in turn, with full pools, after N (100) hand-outs."""

import json
import os
import statistics
import subprocess
import sys
import tempfile

import spawnd

os.environ.pop("PYTHONPATH", None)


def start_server(path, program, templates):
    def template(compact):
        return {"lane": "object", "object": "warm_heap.so", "prestart": True, "compact": compact,
                "pool": {"size": 8, "low": 4}}

    with open(f"{path}/spawnd.json", "w") as file:
        json.dump({"templates": {"compact": template(True), "plain": template(False)}}, file)
    os.mkdir(f"{path}/run", 0o700)
    os.environ["SPAWND_SOCKET"] = f"{path}/run/socket"
    reader, writer = os.pipe()
    server = subprocess.Popen([program, "--user", "--config", f"{path}/spawnd.json", "--socket",
                               os.environ["SPAWND_SOCKET"], "--template-dir", templates],
                              stderr=writer)
    os.close(writer)
    with os.fdopen(reader) as log:
        warm = 0
        while warm < 2:
            warm += "host-warm" in log.readline()
    return server


def main():
    n = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    took, huge = {"compact": [], "plain": []}, {}
    with tempfile.TemporaryDirectory(prefix="spawnd-", dir="/tmp") as path:
        server = start_server(path, sys.argv[1], os.path.abspath(sys.argv[2]))
        try:
            for i in range(3 * n):
                for template, values in took.items():
                    words = spawnd.check_output([str(i)], template=template).split()
                    huge[template] = int(words[0]) // 1024
                    if i >= n:
                        values.append(int(words[1]) / 1000)
        finally:
            server.terminate()
            server.wait()
    for template, values in took.items():
        values.sort()
        print(f"{template:8} fork {statistics.median(values):8.1f} us, p99 "
              f"{values[len(values) * 99 // 100]:8.1f}, {huge[template]} MiB in huge pages")
    print(f"plain / compact {statistics.median(took['plain']) / statistics.median(took['compact']):.2f}")


if __name__ == "__main__":
    main()

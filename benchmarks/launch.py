"""Run a command and write what it used; started by `processes.run_timed`.

    python launch.py USAGE.json CORES command …

A process of its own, that imports next to nothing: the kernel takes the memory of whoever starts a program for
that program's own until it has more, and a harness that has read some tables is large.
"""

import json
import os
import sys
import time


def main():
    output, cores, *command = sys.argv[1:]
    os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        try:
            os.execvp(command[0], command)
        finally:
            os._exit(127)
    _, status, used = os.wait4(pid, 0)
    usage = {
        "wall_seconds": round(time.perf_counter() - started, 3),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
        "peak_bytes": used.ru_maxrss * 1024,
    }
    with open(output, "w") as stream:
        json.dump(usage, stream)
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()

"""The small parent of a measured process; run as a script by `accounting`.

Linux counts the memory that a process had before `exec` towards its peak, so a child started
straight from an interpreter that holds arrays would be charged for its parent. This parent holds
next to nothing, and imports nothing but what every interpreter has loaded already.
"""

import os
import sys
import time

# ru_maxrss is in KiB on Linux and in bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    """Run `ANSWER CORES COMMAND…` and write wall, user and system seconds and peak bytes."""
    answer, cores, *command = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
    start = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(child, 0)
    wall = time.perf_counter() - start
    with open(answer, "w", encoding="utf-8") as file:
        file.write(f"{wall!r} {used.ru_utime!r} {used.ru_stime!r} {used.ru_maxrss * _RSS_UNIT}")
    sys.exit(min(abs(os.waitstatus_to_exitcode(status)), 255))


if __name__ == "__main__":
    main()

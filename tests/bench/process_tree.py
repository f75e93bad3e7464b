"""What a process and all its descendants use, from /proc."""

import os

TICKS = os.sysconf("SC_CLK_TCK")


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it ended meanwhile


def pids(root):
    """The process and its descendants, parents first."""
    found = [root]
    for pid in found:
        for task in os.listdir(f"/proc/{pid}/task") if os.path.isdir(f"/proc/{pid}/task") else []:
            found += [int(child) for child in _read(f"/proc/{pid}/task/{task}/children").split()]
    return found


def cpu_seconds(root):
    """User and system time together, of all threads that live. The scheduler's own figure, which
    utime + stime are rounded from, where the kernel shows it."""
    total = 0.0
    for pid in pids(root):
        for task in os.listdir(f"/proc/{pid}/task"):
            schedstat = _read(f"/proc/{pid}/task/{task}/schedstat").split()
            if schedstat:
                total += int(schedstat[0]) / 1e9
            else:
                stat = _read(f"/proc/{pid}/task/{task}/stat").rpartition(")")[2].split()
                total += (int(stat[11]) + int(stat[12])) / TICKS
    return total


def user_share(root):
    """User time over user and system time, since the start."""
    user = system = 0
    for pid in pids(root):
        stat = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        user += int(stat[11])
        system += int(stat[12])
    return user / max(1, user + system)


def pss_kib(root):
    """Proportional set size of all, in KiB."""
    total = 0
    for pid in pids(root):
        for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total

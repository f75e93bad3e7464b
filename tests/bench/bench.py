#!/usr/bin/env python3
"""Ringmaster beside nginx, HAProxy, h2o and two floors: what each costs. Run by ./dev bench. The
floors are a blind TCP relay, and where it is about many connections, the least that a balancer can
do (tests/bench/least.cc): what more of them cost it, they cost any program, for it is the kernel's.

Every balancer is pinned to one core and its clients and origins to another; rounds are interleaved
(A B C, then B C A, ...), so that what else the machine does falls on all alike; figures are medians,
with the least and the greatest beside them. Only ratios within one run mean anything.
"""

import argparse
import contextlib
import json
import operator
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import process_tree
from balancers import BALANCER_CPU, BENCH_CPU, PROGRAMS, Balancer, Origins, add_build, installed, pinned

RIVALS = ["nginx", "haproxy", "h2o"]
BALANCERS = ["relay", "least", "ringmaster", *RIVALS]


class Load:
    """The load client at work."""

    def __init__(self, balancer, mode, *arguments):
        self._process = subprocess.Popen(
            pinned([BENCH_CPU], [PROGRAMS / "bench_load", balancer.port, mode, *arguments]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait_until_measuring(self):
        line = self._process.stdout.readline()
        if line != "measuring\n":
            raise SystemExit("the load client failed")

    def result(self):
        line = self._process.stdout.readline()
        self.stop()
        if not line:
            raise SystemExit("the load client failed")
        return json.loads(line)

    def stop(self):
        self._process.stdin.close()
        self._process.wait()


def measure(balancer, mode, *arguments):
    """One run of the load client; its figures, and what the balancer used meanwhile."""
    load = Load(balancer, mode, *arguments)
    load.wait_until_measuring()
    before = process_tree.cpu_seconds(balancer.pid)
    result = load.result()
    result["cpu"] = process_tree.cpu_seconds(balancer.pid) - before
    result["busy"] = result["cpu"] / result["seconds"]
    return result


class Table:
    """Figures of several rounds, a row a balancer."""

    def __init__(self, title, columns):
        self._title = title
        self._columns = columns
        self._rows = {}

    def add(self, name, figures):
        for column, figure in zip(self._columns, figures):
            self._rows.setdefault(name, {}).setdefault(column, []).append(figure)

    def show(self):
        print(f"\n## {self._title}\n")
        print("| | " + " | ".join(self._columns) + " | over the best |")
        print("| --- " * (len(self._columns) + 2) + "|")
        first = {name: row[self._columns[0]] for name, row in self._rows.items()}
        rivals = [figures for name, figures in first.items() if name in RIVALS]
        best = min(rivals, key=statistics.median, default=None)
        for name, row in self._rows.items():
            cells = [self._cell(row[column]) for column in self._columns]
            # Round by round: those of one round had the same weather.
            ratio = f"{statistics.median(map(operator.truediv, first[name], best)):.2f}" if best else "-"
            print(f"| {name} | " + " | ".join(cells) + f" | {ratio} |")
        sys.stdout.flush()

    @staticmethod
    def _cell(figures):
        def text(value):
            return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
        if len(figures) == 1:
            return text(figures[0])
        return f"{text(statistics.median(figures))} ({text(min(figures))} to {text(max(figures))})"


class Bench:
    def __init__(self, names, rounds, seconds):
        self.names = names
        self.rounds = rounds
        self.seconds = seconds
        self.origins = Origins()

    def names_but(self, *left_out):
        return [name for name in self.names if name not in left_out]

    @contextlib.contextmanager
    def running(self, names, **options):
        """All of them at once: those not under load cost nothing."""
        with contextlib.ExitStack() as stack:
            balancers = []
            for name in names:
                balancer = Balancer(name, self.origins.ports, **options)
                stack.callback(balancer.stop)
                balancers.append(balancer)
            yield balancers

    def compare(self, title, columns, figures_of, rounds=None, left_out=("least",), **options):
        """`figures_of(balancer)` for each, in interleaved rounds."""
        table = Table(title, columns)
        with self.running(self.names_but(*left_out), **options) as balancers:
            for i in range(rounds or self.rounds):
                turn = i % len(balancers)
                for balancer in balancers[turn:] + balancers[:turn]:
                    figures = figures_of(balancer)
                    if figures:
                        table.add(balancer.name, figures)
        table.show()

    # ---- The comparisons ----

    def small(self):
        def figures(balancer):
            r = measure(balancer, "closed", 64, 100, self.seconds)
            return r["cpu"] * 1e6 / r["requests"], r["requests"] / r["seconds"], r["busy"]
        self.compare("Small answers, 64 keep-alive clients, one worker saturated",
                     ["CPU µs/request", "requests/s", "share of the core"], figures)

    def two_workers(self):
        def figures(balancer):
            r = measure(balancer, "closed", 64, 100, self.seconds)
            return r["cpu"] * 1e6 / r["requests"], r["requests"] / r["seconds"]
        self.compare("The same with two workers, the cores shared with clients and origins",
                     ["CPU µs/request", "requests/s"], figures, left_out=("relay", "least"), workers=2,
                     cpus=(BALANCER_CPU, BENCH_CPU))

    def capacity(self):
        """Requests/s of the best rival when saturated."""
        def of(balancer):
            rounds = [measure(balancer, "closed", 64, 100, self.seconds) for _ in range(3)]
            return statistics.median(r["requests"] / r["seconds"] for r in rounds)
        with self.running([name for name in self.names if name in RIVALS] or self.names[:1]) as rivals:
            return max(map(of, rivals))

    def paced(self, share=0.3):
        """Rounds many and short: one stall of the machine fills the tail of a round, and only of that one."""
        rate = round(share * self.capacity(), -3)

        def figures(balancer):
            r = measure(balancer, "open", 64, 100, self.seconds * 0.4, rate)
            return (r["p99_us"], r["p50_us"], r["p99.9_us"], r["cpu"] * 1e6 / r["requests"])
        self.compare(f"Open loop at {rate:,.0f} requests/s, {share:.0%} of what the best rival can do; latency from "
                     "the due time",
                     ["p99 µs", "p50 µs", "p99.9 µs", "CPU µs/request"], figures, rounds=self.rounds * 3)

    def connections(self):
        def figures(balancer):
            r = measure(balancer, "connect", 64, 100, self.seconds)
            return r["cpu"] * 1e6 / r["requests"], r["requests"] / r["seconds"]
        self.compare("A new connection for every request", ["CPU µs/request", "requests/s"], figures,
                     left_out=("relay", "least"))

    def bodies(self, size, label):
        def figures(balancer):
            r = measure(balancer, "closed", 32, size, self.seconds)
            mib = r["requests"] * size / 2**20
            return r["cpu"] * 1e6 / mib, mib / r["seconds"]
        self.compare(f"Bodies of {label}, 32 keep-alive clients", ["CPU µs/MiB", "MiB/s"], figures,
                     haproxy_buffer=65536)

    def uploads(self, size=64 << 10, count=10000):
        def figures(balancer):
            r = measure(balancer, "upload", 32, size, count)
            return r["cpu"] * 1e6 / r["requests"], r["requests"] / r["seconds"]
        self.compare(f"Requests with bodies of {size >> 10} KiB, 32 keep-alive clients",
                     ["CPU µs/request", "requests/s"], figures, left_out=("least",), haproxy_buffer=65536 + 2048)

    def idle_memory(self, connections=10000):
        """Each balancer by itself, freshly started: memory that was used once stays used."""
        table = Table(f"{connections:,} idle keep-alive connections, PSS of all processes",
                      ["KiB each", "MiB in all", "MiB before", "MiB after they closed"])
        for name in self.names_but("relay", "least"):
            balancer = Balancer(name, self.origins.ports)
            before = process_tree.pss_kib(balancer.pid)
            load = Load(balancer, "idle", connections)
            load.wait_until_measuring()
            idle = process_tree.pss_kib(balancer.pid)
            load.stop()
            measure(balancer, "closed", 1, 100, 0.5)  # time to see them go
            after = process_tree.pss_kib(balancer.pid)
            balancer.stop()
            table.add(name, ((idle - before) / connections, idle / 1024, before / 1024, after / 1024))
        table.show()

    def burst_memory(self, connections=5000):
        """What is left a tenth of a second after as many requests at once; and what one holds whose
        answer of 1 MiB nobody reads."""
        table = Table(f"PSS after {connections:,} requests at once, and of a request that is stuck",
                      ["KiB each after the burst", "KiB each while stuck"])
        for name in self.names_but("relay", "least"):
            for _ in range(min(self.rounds, 5)):
                table.add(name, [self._grown(name, "burst", connections, 100, rest=0.1),
                                 self._grown(name, "stalled", 200, 2**20, rest=1)])
        table.show()

    def _grown(self, name, mode, count, size, rest):
        """KiB a request, `rest` seconds after so many."""
        balancer = Balancer(name, self.origins.ports)
        before = process_tree.pss_kib(balancer.pid)
        load = Load(balancer, mode, count, size)
        load.wait_until_measuring()
        time.sleep(rest)
        grown = process_tree.pss_kib(balancer.pid) - before
        load.stop()
        balancer.stop()
        return grown / count

    def scale(self, counts=(10, 64, 1000, 10000)):
        """The same work spread over more connections, 64 requests in flight, and all in flight."""
        few, many = counts[0], counts[-1]
        table = Table("Small answers to ever more keep-alive clients, at most 64 requests in flight, CPU µs/request",
                      [f"{count:,} clients" for count in counts] + [f"{many:,} over {few}", "µs more"])
        with self.running(self.names_but("relay")) as balancers:
            for i in range(self.rounds):
                turn = i % len(balancers)
                for balancer in balancers[turn:] + balancers[:turn]:
                    cpu = {}
                    for count in counts if i % 2 else counts[::-1]:
                        r = measure(balancer, "turns", count, 100, self.seconds, 64)
                        cpu[count] = r["cpu"] * 1e6 / r["requests"]
                    table.add(balancer.name, [cpu[count] for count in counts] +
                              [cpu[many] / cpu[few], cpu[many] - cpu[few]])
        table.show()
        for connections in (1000, 2000):
            def figures(balancer):
                r = measure(balancer, "closed", connections, 100, self.seconds)
                return r["cpu"] * 1e6 / r["requests"], r["requests"] / r["seconds"]
            self.compare(f"{connections:,} requests in flight", ["CPU µs/request", "requests/s"], figures,
                         left_out=("relay",))

    def many_backends(self, few=3, many=1000):
        """The same work over as many backends: names of their own, the addresses of the few."""
        ports = self.origins.ports
        table = Table(f"Small answers over {many:,} backends, each checked once a second by those that can",
                      [f"of {few}: CPU µs/request", f"of {many:,}: CPU µs/request", "ratio", "µs more"])
        for name in self.names_but("relay", "h2o"):  # these know no names
            balancers = [Balancer(name, [ports[i % len(ports)] for i in range(count)]) for count in (few, many)]
            for i in range(self.rounds):
                cpu = {}
                for balancer in balancers[::-1] if i % 2 else balancers:
                    r = measure(balancer, "closed", 64, 100, self.seconds)
                    cpu[balancer] = r["cpu"] * 1e6 / r["requests"]
                of_few, of_many = (cpu[balancer] for balancer in balancers)
                table.add(name, (of_few, of_many, of_many / of_few, of_many - of_few))
            for balancer in balancers:
                balancer.stop()
        table.show()

    def syscalls(self):
        print("\n## System calls a small keep-alive request, by name (strace -c)\n")
        with self.running(self.names_but("least")) as balancers:
            for balancer in balancers:
                with tempfile.NamedTemporaryFile("r") as out:
                    pids = [f"-p{pid}" for pid in process_tree.pids(balancer.pid)]
                    tracer = subprocess.Popen(["strace", "-c", "-f", "-o", out.name, *pids],
                                              stderr=subprocess.PIPE, text=True)
                    for _ in pids:
                        tracer.stderr.readline()  # "attached"
                    requests = measure(balancer, "closed", 64, 100, self.seconds)["total"]
                    tracer.terminate()
                    tracer.communicate()
                    calls = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", out.read(), re.M)
                counts = {name: int(count) / requests for count, name in calls if name != "total"}
                shown = ", ".join(f"{name} {count:.2f}" for name, count in
                                  sorted(counts.items(), key=lambda item: -item[1]) if count >= 0.01)
                print(f"- {balancer.name}: {sum(counts.values()):.2f} in all: {shown}", flush=True)

    def instructions(self, few=1000, many=5000):
        """User instructions a request: callgrind, the difference of a long and a short script."""
        table = Table("User instructions a small keep-alive request (callgrind)", ["instructions"])
        for name in self.names_but("least", "h2o"):  # h2o dies under valgrind
            table.add(name, [(self._counted(name, many) - self._counted(name, few)) / (many - few)])
        table.show()

    def _counted(self, name, requests):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o777)  # workers that give up root write there too
            balancer = Balancer(name, self.origins.ports, wrapper=(
                "valgrind", "-q", "--tool=callgrind", "--trace-children=yes",
                f"--callgrind-out-file={directory}/%p"))
            load = Load(balancer, "count", 16, 100, requests)
            load.wait_until_measuring()
            load.result()
            balancer.stop()
            out = subprocess.run(f"cat {directory}/*", shell=True, capture_output=True, text=True).stdout
            return sum(int(total) for total in re.findall(r"^(?:summary|totals): (\d+)", out, re.M)) / (
                2 if re.search(r"^totals", out, re.M) and re.search(r"^summary", out, re.M) else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the main comparisons only, in 90 seconds")
    parser.add_argument("--only", action="append", metavar="NAME", help="these comparisons: %(choices)s",
                        choices=["small", "two", "paced", "connect", "16k", "64k", "1m", "upload", "idle", "burst", "scale",
                                 "backends", "syscalls", "instructions"])
    parser.add_argument("--balancers", help="comma-separated; default: " + ",".join(BALANCERS))
    parser.add_argument("--against", metavar="BINARY", action="append", default=[],
                        help="another build of Ringmaster")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each measurement")
    options = parser.parse_args()
    wanted = options.balancers.split(",") if options.balancers else BALANCERS
    names = [name for name in wanted if installed(name)]
    for name in sorted(set(wanted) - set(names)):
        print(f"{name} is not installed: left out")
    names += [add_build(binary) for binary in options.against]
    bench = Bench(names, options.rounds or (5 if options.quick else 9),
                  options.seconds or (0.5 if options.quick else 1.0))
    steps = {
        "small": bench.small, "two": bench.two_workers, "paced": bench.paced, "connect": bench.connections,
        "16k": lambda: bench.bodies(16 << 10, "16 KiB"), "64k": lambda: bench.bodies(64 << 10, "64 KiB"),
        "1m": lambda: bench.bodies(1 << 20, "1 MiB"), "upload": bench.uploads,
        "idle": bench.idle_memory, "burst": bench.burst_memory, "scale": bench.scale,
        "backends": bench.many_backends, "syscalls": bench.syscalls, "instructions": bench.instructions,
    }
    quick = ["small", "paced", "connect", "16k"]
    try:
        for step in options.only or (quick if options.quick else steps):
            steps[step]()
    finally:
        bench.origins.stop()


if __name__ == "__main__":
    main()

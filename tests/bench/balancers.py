"""How each balancer of the bench is started: its config with the ports filled in, its command."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import string
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "release"
PROGRAMS = BUILD / "tests/bench"

# The cores: what is measured has one to itself, the rest of the bench the other.
BALANCER_CPU = 0
BENCH_CPU = 1 if (os.cpu_count() or 1) > 1 else 0


def pinned(cpus, command):
    return ["taskset", "-c", ",".join(str(cpu) for cpu in cpus), *map(str, command)]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Origins:
    """The backends: one process on the bench's core."""

    def __init__(self, count=3):
        self._process = subprocess.Popen(
            pinned([BENCH_CPU], [PROGRAMS / "bench_origin", count]), stdout=subprocess.PIPE, text=True)
        self.ports = [int(port) for port in self._process.stdout.readline().split()]

    def stop(self):
        self._process.kill()
        self._process.wait()


# name: (config file, command, how a backend is named in the config)
KINDS = {
    "relay": (None, lambda d, p, b: [PROGRAMS / "bench_relay", p, *b], None),
    "least": (None, lambda d, p, b: [PROGRAMS / "bench_least", p, *b], None),
    "ringmaster": ("ringmaster.toml", lambda d, p, b: [BUILD / "ringmaster", "-c", d / "config"],
                   '[[backend]]\nname = "b{i}"\naddress = "127.0.0.1:{port}"\n'),
    "nginx": ("nginx.conf", lambda d, p, b: ["nginx", "-e", "stderr", "-c", d / "config"],
              "server 127.0.0.1:{port};\n"),
    "haproxy": ("haproxy.cfg", lambda d, p, b: ["haproxy", "-db", "-f", d / "config"],
                "server b{i} 127.0.0.1:{port} pool-max-conn 256 check inter 1s\n    "),
    "h2o": ("h2o.yaml", lambda d, p, b: ["h2o", "-m", "worker", "-c", d / "config"], ""),
}


def add_build(binary):
    """Another build of Ringmaster, to compare with; returns its name."""
    name = pathlib.Path(binary).name
    config, _, backend = KINDS["ringmaster"]
    KINDS[name] = (config, lambda d, p, b: [pathlib.Path(binary).resolve(), "-c", d / "config"], backend)
    return name


def installed(name):
    return name in ("relay", "least", "ringmaster") or shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")


class Balancer:
    """A running balancer. `wrapper` goes before its command (valgrind, say)."""

    def __init__(self, name, backends, workers=1, cpus=(BALANCER_CPU,), haproxy_buffer=16384, wrapper=()):
        self.name = name
        self.port = free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="bench-")
        directory = pathlib.Path(self._directory.name)
        config, command, backend = KINDS[name]
        if config:
            text = string.Template((HERE / "configs" / config).read_text()).substitute(
                PORT=self.port, ADMIN_PORT=free_port(), WORKERS=workers, DIR=directory,
                HAPROXY_BUFFER=haproxy_buffer, FIRST_BACKEND=backends[0],
                BACKENDS="".join(backend.format(i=i, port=port) for i, port in enumerate(backends)))
            (directory / "config").write_text(text)
        self._log = open(directory / "log", "w+")
        self._process = subprocess.Popen(
            pinned(cpus, [*wrapper, *command(directory, self.port, backends)]),
            stdout=self._log, stderr=self._log, process_group=0,
            env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"})
        self.pid = self._process.pid
        self._wait_until_it_answers()

    def _wait_until_it_answers(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as s:
                s.sendall(b"GET /1/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                if s.recv(12) == b"HTTP/1.1 200":
                    return
            time.sleep(0.02)
        self._log.seek(0)
        text = self._log.read()
        self.stop()
        raise SystemExit(f"{self.name} does not answer:\n{text}")

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()
        self._directory.cleanup()

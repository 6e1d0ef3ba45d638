#!/usr/bin/env python3
"""How `repoint inspect` and `repoint refresh` grow with the number of processes, beside gdb calling __res_init one by one.

The processes have four threads each, every one with a resolver that `options no-reload` pins, and a TCP session. Their number
grows from 1 to 2,000; each time resolv.conf is changed, all are inspected and all are refreshed. On 20 of them repoint is also
called once for each process, and so is gdb, which calls __res_init in the one thread that leads the process, with all four
stopped. Prints a table and ratios; it fails nobody, but says where something stayed undone.

It has PID, mount and network namespaces of its own (`make bench-scale`): "all processes" are those that it started.
"""
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SIZES = [int(word) for word in os.environ.get("SIZES", "1 10 100 500 1000 2000").split()]
ROUNDS = int(os.environ.get("ROUNDS", "3"))
ONE_BY_ONE = 20
THREADS = 4
REPOINT = os.environ["REPOINT"]
VICTIMS = os.environ["VICTIMS"]


class ResolvConf:
    """Stands for /etc/resolv.conf in our mount namespace, and names another server after each change."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile("w")
        os.chmod(self.file.name, 0o644)
        self.server = 0
        self.change()
        subprocess.run(["mount", "--bind", self.file.name, os.path.realpath("/etc/resolv.conf")], check=True)

    def change(self):
        self.server += 1
        with open(self.file.name, "w") as file:
            file.write(f"nameserver 127.1.{self.server // 250}.{self.server % 250 + 1}\noptions no-reload\n")


class Crowd:
    """Processes that wait: one thread for its TCP session, the others on a condition variable."""

    def __init__(self):
        self.processes = []
        self.sessions = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)

    def grow(self, number):
        new = []
        for _ in range(number - len(self.processes)):
            session = socket.create_connection(self.listener.getsockname())
            self.sessions.append(self.listener.accept()[0])
            new.append(subprocess.Popen(
                [os.path.join(VICTIMS, "resolver"), "--threads", str(THREADS - 1)], stdin=session,
                stdout=subprocess.PIPE, bufsize=0, env={"VICTIM_LIMIT": "3600"}))
            session.close()
        for process in new:
            if not process.stdout.readline().startswith(b"ready"):
                sys.exit("a process did not start")
        self.processes += new
        time.sleep(0.5)

    def end(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


class Memory:
    """The sum of the largest resident sizes of a command and its workers: more than they ever had at one time."""

    def __init__(self, command):
        self.largest = {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, args=(command.pid,))
        self.thread.start()

    def watch(self, command):
        while not self.over.wait(0.01):
            try:
                with open(f"/proc/{command}/task/{command}/children") as file:
                    family = [command] + [int(word) for word in file.read().split()]
            except OSError:
                continue
            for pid in family:
                try:
                    with open(f"/proc/{pid}/status") as file:
                        lines = [line for line in file if line.startswith("VmHWM")]
                except OSError:
                    continue
                if lines:
                    self.largest[pid] = max(self.largest.get(pid, 0), int(lines[0].split()[1]))

    def megabytes(self):
        self.over.set()
        self.thread.join()
        return sum(self.largest.values()) / 1024


class Run:
    """One call of repoint, with its time, its memory and its report."""

    def __init__(self, *arguments):
        started = time.monotonic()
        command = subprocess.Popen(
            [REPOINT, *arguments, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        memory = Memory(command)
        output = command.stdout.read()
        command.wait()
        self.seconds = time.monotonic() - started
        self.megabytes = memory.megabytes()
        self.status = command.returncode
        report = json.loads(output)
        self.processes = report["summary"]["processes"]
        self.sessions_lost = sum(process.get("sessions", {}).get("lost", 0) for process in report["processes"])
        self.holds = [
            resolver["repair"]["pauseMicroseconds"] for process in report["processes"]
            for resolver in process["resolvers"] if "pauseMicroseconds" in resolver.get("repair", {})]


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0


def megabytes(runs):
    """The most of all runs; some are over before the first look at them."""
    most = max(run.megabytes for run in runs)
    return f"{most:.0f}" if most else "-"


def holds(values):
    return (f"{percentile(values, 0.5):>7.0f} {percentile(values, 0.9):>7.0f} {percentile(values, 0.99):>7.0f} "
            f"{max(values, default=0):>7.0f}")


def gdb(pid):
    started = time.monotonic()
    subprocess.run(
        ["gdb", "-p", str(pid), "-batch", "-ex", "call (int)__res_init()", "-ex", "detach"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.monotonic() - started


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    file = ResolvConf()
    crowd = Crowd()
    remarks = []
    print(f"{os.cpu_count()} CPUs, {THREADS} threads a process, median of {ROUNDS} rounds, "
          f"load before {os.getloadavg()[0]:.1f}\n")
    print(f"{'':>9} {'inspect':^23} {'refresh':^23} {'threads held, microseconds':^31}")
    print(f"{'processes':>9} {'s':>7} {'ms each':>8} {'MB':>6} {'s':>7} {'ms each':>8} {'MB':>6} "
          f"{'p50':>7} {'p90':>7} {'p99':>7} {'max':>7}")
    each = {}
    for size in SIZES:
        crowd.grow(size)
        inspections, refreshes, held = [], [], []
        for _ in range(ROUNDS):
            file.change()
            inspections.append(Run("inspect", "--all"))
            refreshes.append(Run("refresh", "--all"))
            held += refreshes[-1].holds
        for run in inspections + refreshes:
            if run.processes != size or run.status != 0 or run.sessions_lost:
                remarks.append(f"of {size}: {run.processes} in the report, exit code {run.status}, "
                               f"{run.sessions_lost} sessions lost")
        line = f"{size:>9}"
        for name, runs in ("inspect", inspections), ("refresh", refreshes):
            seconds = statistics.median(run.seconds for run in runs)
            each[name, size] = seconds * 1000 / size
            line += (f" {seconds:>7.2f} {each[name, size]:>8.2f} "
                     f"{megabytes(runs):>6}")
        print(f"{line} {holds(held)}", flush=True)

    some = [process.pid for process in crowd.processes[:ONE_BY_ONE]]
    file.change()
    single = [Run("refresh", str(pid)) for pid in some]
    alone = [hold for run in single for hold in run.holds]
    one = statistics.median(run.seconds for run in single) * 1000
    print(f"{'1 by 1':>9} {'':>23} {sum(run.seconds for run in single):>7.2f} {one:>8.2f} "
          f"{megabytes(single):>6} {holds(alone)}")
    file.change()
    called = [gdb(pid) for pid in some]
    crowd.end()
    other = statistics.median(called) * 1000
    print(f"\ngdb, {len(some)} processes one by one: {sum(called):.2f} s, {other:.0f} ms each, for one thread of "
          f"{THREADS}; all {THREADS} stand still for most of it")
    largest = SIZES[-1]
    print(f"gdb takes {other / each['refresh', largest]:.0f} times as long for a process as repoint for one of "
          f"{largest}, and {other / one:.0f} times as long as repoint for one alone")
    if alone and held:
        print(f"a thread is held {percentile(held, 0.5) / percentile(alone, 0.5):.2f} times as long among {largest} "
              f"processes as alone (p50), {percentile(held, 0.99) / percentile(alone, 0.99):.2f} times at p99")
    if len(SIZES) > 1:
        first = SIZES[0]
        for name in "inspect", "refresh":
            print(f"{name}: {largest / first:.0f} times the processes take "
                  f"{each[name, largest] * largest / (each[name, first] * first):.0f} times as long")
    for remark in remarks:
        print(f"not all done: {remark}")


if __name__ == "__main__":
    main()

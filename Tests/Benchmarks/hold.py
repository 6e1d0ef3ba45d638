#!/usr/bin/env python3
"""How long a process is disturbed by `repoint refresh`, and by gdb calling __res_init: both in one run, on the same victim.

The victim has a thread that does nothing but read the clock (it sees for how long it was kept from running) and one that
sleeps 200 us at a time, whose resolver is the one to be refreshed. Rounds of nothing, repoint and gdb take turns, so that what
else the machine does weighs on all three alike. Prints medians, p99 and ratios; it fails nobody.
"""
import json
import os
import statistics
import subprocess
import sys
import time

ROUNDS = int(os.environ.get("ROUNDS", "20"))
REPOINT = os.environ["REPOINT"]
VICTIMS = os.environ["VICTIMS"]


def p99(values):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


class Victim:
    def __init__(self):
        environment = dict(os.environ, VICTIM_PINNED="1", VICTIM_LIMIT="600")
        self.process = subprocess.Popen(
            [os.path.join(VICTIMS, "clock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        words = self.process.stdout.readline().split()
        if words[:1] != ["ready"]:
            sys.exit("the victim did not start: " + " ".join(words))
        self.pid, self.spinner, self.sleeper = words[1:4]

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def window(self, action):
        """Runs an action and returns the longest gaps, in microseconds, that the clock reader and the sleeper saw."""
        self.ask("reset")
        result = action()
        fields = dict(field.split("=") for field in self.ask("report").split()[1:])
        return float(fields["spinner_gap_us"]), float(fields["sleeper_late_us"]), result

    def end(self):
        self.ask("quit")
        self.process.wait()


def refresh(pid, sleeper):
    started = time.monotonic()
    done = subprocess.run(
        [REPOINT, "refresh", "--force", "--json", pid], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    took = (time.monotonic() - started) * 1000
    for resolver in json.loads(done.stdout)["processes"][0]["resolvers"]:
        if str(resolver.get("thread")) == sleeper:
            repair = resolver["repair"]
            return took, repair.get("pauseMicroseconds"), repair["action"]
    sys.exit("the sleeper is not in the report")


def gdb(pid):
    subprocess.run(
        ["gdb", "-p", pid, "-batch", "-ex", "call (int)__res_init()", "-ex", "detach"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def main():
    victim = Victim()
    idle, punctual, other, late, held, took, stopped = [], [], [], [], [], [], []
    deferred = 0
    for _ in range(ROUNDS):
        gap, lateness, _ = victim.window(lambda: time.sleep(0.03))
        idle.append(gap)
        punctual.append(lateness)
        gap, lateness, (milliseconds, pause, action) = victim.window(lambda: refresh(victim.pid, victim.sleeper))
        other.append(gap)
        late.append(lateness)
        took.append(milliseconds)
        if action == "reinitialize":
            held.append(pause)
        else:
            deferred += 1
        stopped.append(victim.window(lambda: gdb(victim.pid))[0])
    victim.end()
    if not held:
        sys.exit("no refresh came to a safe point")

    print(f"{ROUNDS} rounds each, microseconds                         median        p99")
    for name, values in [
        ("another thread's longest gap, nobody attached", idle),
        ("another thread's longest gap, repoint refresh", other),
        ("another thread's longest gap, gdb", stopped),
        ("the refreshed thread, held by repoint", held),
        ("the same thread's own lateness, nobody attached", punctual),
        ("the same thread's own lateness, repoint refresh", late),
    ]:
        print(f"{name:<48} {statistics.median(values):>12.0f} {p99(values):>10.0f}")
    print(f"repoint refresh, start to finish: {statistics.median(took):.0f} ms median; "
          f"{len(held)} re-initialised, {deferred} not at a safe point in time")
    print(f"gdb keeps the whole process from running {statistics.median(stopped) / statistics.median(held):.0f} times as long "
          "as repoint keeps the one thread")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the tap costs real programs: programs.py [--brief] [--rounds N] BARE_SHIM.so LIBMALLOCTAP.so

sqlite3 on a large script in memory, python3 with PYTHONMALLOC=malloc, and redis-server under
redis-benchmark, each plain, behind a bare forwarding shim, and tapped in both modes, in turn. Printed
are medians of the ratios to plain within a round, with their 95 % interval, of CPU time and of wall
time. Exit status 77 if none of the programs is installed.
"""
import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from interleave import check_recording, interleaved, median_ratio, timed, variants

PYTHON_WORK = """
import json, re
for turn in range({turns}):
    rows = [{{"id": i, "name": "n%d" % i, "tags": [str(j) for j in range(i % 9)]}}
            for i in range(20000)]
    assert json.loads(json.dumps(rows)) == rows
    re.sub("[0-9]+", lambda m: m.group() + "x", " ".join(row["name"] for row in rows))
"""


class Sqlite3:
    title = "sqlite3, a script in memory"

    def __init__(self, directory, brief):
        self.program = shutil.which("sqlite3")
        self.script = os.path.join(directory, "script.sql")
        rows = 20000 if brief else 200000
        with open(self.script, "w", encoding="ascii") as script:
            script.write("create table t(id integer primary key, name text, amount integer);begin;\n")
            for i in range(rows):
                script.write(f"insert into t(name, amount) values('name {i * 7919 % 10007}',{i % 977});\n")
            script.write("commit; create index by_name on t(name);\n")
            for i in range(rows // 10):
                script.write(f"select sum(amount) from t where name = 'name {i * 31 % 10007}';\n")

    def command(self):
        return [self.program, ":memory:"], self.script, {}

    def run(self, environment):
        arguments, stdin, _ = self.command()
        with open(stdin, "rb") as script:
            return timed(arguments, environment, stdin=script)


class Python3:
    title = "python3, PYTHONMALLOC=malloc"

    def __init__(self, directory, brief):
        # The interpreter itself, not a wrapper script in front of it.
        self.program = os.path.realpath(sys.executable)
        self.script = os.path.join(directory, "work.py")
        with open(self.script, "w", encoding="ascii") as script:
            script.write(PYTHON_WORK.format(turns=1 if brief else 8))

    def command(self):
        return [self.program, self.script], None, {"PYTHONMALLOC": "malloc"}

    def run(self, environment):
        arguments, _, own = self.command()
        return timed(arguments, {**environment, **own})


class Redis:
    title = "redis-server under redis-benchmark"

    def __init__(self, directory, brief):
        self.benchmark = shutil.which("redis-benchmark")
        self.program = shutil.which("redis-server")
        self.requests = 5000 if brief else 60000
        if self.program is None and shutil.which("redis-check-rdb"):
            # Debian's redis-tools has the server too, under this name.
            self.program = os.path.join(directory, "redis-server")
            os.symlink(shutil.which("redis-check-rdb"), self.program)

    def run(self, environment):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = str(listener.getsockname()[1])
        server = subprocess.Popen(
            [self.program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
        self.wait_for(int(port))
        start = time.monotonic()
        subprocess.run([self.benchmark, "-p", port, "-q", "-n", str(self.requests), "-r", "100000",
                        "-P", "8", "-t", "set,get,lpush,lpop,sadd,zadd,hset"],
                       stdout=subprocess.DEVNULL, check=True)
        wall = time.monotonic() - start
        server.terminate()
        _, status, usage = os.wait4(server.pid, 0)
        server.returncode = os.waitstatus_to_exitcode(status)
        return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime}

    @staticmethod
    def wait_for(port):
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("redis-server does not answer")


def print_table(title, results):
    print(f"\n{title}: {len(results['plain'])} rounds, to plain with 95 % interval\n")
    print(f"{'':10s} {'CPU s':>7s}   {'CPU':23s}   {'wall':23s}")
    for name, runs in results.items():
        row = f"{name:10s} {statistics.median(run['cpu'] for run in runs):7.3f}"
        for what in ("cpu", "wall"):
            ratio = median_ratio([run[what] for run in runs], [run[what] for run in results["plain"]])
            row += "   {:6.4f} [{:.4f}, {:.4f}]".format(*ratio)
        print(row, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("bare_shim")
    parser.add_argument("library")
    options = parser.parse_args()
    rounds = options.rounds or (2 if options.brief else 21)
    measured = 0
    with tempfile.TemporaryDirectory(prefix="malloctap-bench.") as directory:
        environments = variants(options.bare_shim, options.library, directory)
        for kind in (Sqlite3, Python3, Redis):
            workload = kind(directory, options.brief)
            if workload.program is None or (kind is Redis and workload.benchmark is None):
                print(f"\n{kind.title}: not installed, skipped")
                continue

            def measure(name, workload=workload):
                result = workload.run(environments[name])
                check_recording(name, directory)
                return result

            print_table(kind.title, interleaved(list(environments), rounds, measure))
            measured += 1
    return 0 if measured else 77


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the tap costs real programs, where the machine is too noisy to time them:
profiled.py [--brief] [--rounds N] BARE_SHIM.so LIBMALLOCTAP.so

A program's own code does the same work with and without the tap. So a profile of one run says what all
else takes, in units of that: the allocator, the kernel, and the tap. How fast the machine was at the time cancels
out. sqlite3 and python3 run plain, behind a bare forwarding shim, and tapped in both modes, in turn,
under perf's clock; printed is the mean of all time to the time in the program's own code, to that of plain runs, with its
standard error. Slower caches that the program's own code suffers from are not seen. Exit status 77 without perf.
"""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

from interleave import check_recording, interleaved, variants
from programs import Python3, Sqlite3

# Objects whose code is the program's own.
OWN = {Sqlite3: "sqlite3", Python3: "python|_json|_sre|libm\\.so"}


class Profiled:
    """Runs what a workload of programs.py would, under perf."""

    def __init__(self, kind, directory, brief):
        self.workload = kind(directory, brief)
        self.own = re.compile(OWN[kind])
        self.data = os.path.join(directory, "perf.data")

    def all_to_own(self, environment):
        arguments, stdin, more = self.workload.command()
        set_by_env = [f"{name}={value}" for name, value in {**environment, **more}.items()]
        with open(stdin or os.devnull, "rb") as source:
            subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "15000", "-o", self.data,
                            "env", *set_by_env, *arguments], stdin=source,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        report = subprocess.run(["perf", "report", "-i", self.data, "--no-children", "--sort", "dso", "-n"],
                                capture_output=True, text=True, check=True).stdout
        own = everything = 0
        for count, name in re.findall(r"^\s+[\d.]+%\s+(\d+)\s+(\S+)", report, re.M):
            everything += int(count)
            own += int(count) if self.own.search(name) else 0
        if own == 0:
            raise RuntimeError("perf saw none of the program's own code")
        return everything / own


def perf_works(directory):
    if shutil.which("perf") is None:
        return False
    data = os.path.join(directory, "perf.data")
    record = ["perf", "record", "-q", "-e", "cpu-clock", "-o", data, "true"]
    report = ["perf", "report", "-i", data]
    return all(subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0 for command in (record, report))


def print_table(title, results):
    plain = statistics.mean(results["plain"])
    print(f"\n{title}: {len(results['plain'])} rounds, all time to the program's own\n")
    for name, values in results.items():
        error = statistics.stdev(values) / len(values) ** 0.5
        print(f"{name:10s} {statistics.mean(values):7.4f}   to plain {statistics.mean(values) / plain:.4f} "
              f"± {error / plain:.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("bare_shim")
    parser.add_argument("library")
    options = parser.parse_args()
    rounds = options.rounds or (2 if options.brief else 16)
    measured = 0
    with tempfile.TemporaryDirectory(prefix="malloctap-bench.") as directory:
        if not perf_works(directory):
            return 77
        environments = variants(options.bare_shim, options.library, directory)
        for kind in OWN:
            profiled = Profiled(kind, directory, options.brief)
            if profiled.workload.program is None:
                print(f"\n{kind.title}: not installed, skipped")
                continue

            def measure(name, profiled=profiled):
                result = profiled.all_to_own(environments[name])
                check_recording(name, directory)
                return result

            print_table(kind.title, interleaved(list(environments), rounds, measure))
            measured += 1
    return 0 if measured else 77


if __name__ == "__main__":
    sys.exit(main())

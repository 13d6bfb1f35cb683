#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What it costs to log every call: log.py [--brief] [--rounds N] UNWIND_SHIM.so LIBMALLOCTAP.so MIX

sqlite3 on a large script in memory, four threads that allocate on deep stacks, and python3 with
PYTHONMALLOC=malloc, each plain, behind a shim that takes every allocation's stack with libunwind and
throws it away, logged by malloctap with and without the stacks of frees, and under heaptrack (which
takes none of frees) where it is installed, in turn. Printed are medians of the ratios to plain within
a round, with their 95 % interval, the ratio to the shim, and how many bytes a logged call takes.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from interleave import interleaved, median_ratio, timed
from programs import Python3, Sqlite3


class Mix:
    title = "4 threads, deep stacks, frees crossing threads"

    def __init__(self, program, brief):
        self.program = program
        self.arguments = [program, "4", "40000" if brief else "4000000"]

    def run(self, environment):
        return timed(self.arguments, environment)


def recorded(malloctap, recording):
    """Calls and bytes of a log, from its own account."""
    size = os.stat(recording).st_blocks * 512
    if malloctap is None:
        return size, 0
    rows = subprocess.run([malloctap, "threads", "--json", recording], capture_output=True, check=True)
    totals = json.loads(rows.stdout)["totals"]
    return size, sum(totals[name] for name in ("malloc", "calloc", "realloc", "aligned", "free"))


class Variants:
    """How a workload is run in each variant; what a variant leaves is measured and removed."""

    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.recording = os.path.join(directory, "log.mtap")
        self.names = ["plain", "unw_backtrace", "malloctap", "no free stacks"]
        self.bytes_per_call = []
        # heaptrack starts programs itself, through a shell script; its library alone records as much.
        self.heaptrack = self.find_heaptrack()
        if self.heaptrack:
            self.names.append("heaptrack")

    @staticmethod
    def find_heaptrack():
        for place in ("/usr/lib/heaptrack", "/usr/lib/x86_64-linux-gnu/heaptrack",
                      "/usr/lib/aarch64-linux-gnu/heaptrack"):
            library = os.path.join(place, "libheaptrack_preload.so")
            if os.path.exists(library):
                return library
        return None

    def environment(self, name):
        raw = os.path.join(self.directory, "heaptrack.raw")
        return {
            "plain": {},
            "unw_backtrace": {"LD_PRELOAD": self.options.unwind_shim},
            "malloctap": {"LD_PRELOAD": self.options.library,
                          "MALLOCTAP": f"mode=log,out={self.recording}"},
            "no free stacks": {"LD_PRELOAD": self.options.library,
                               "MALLOCTAP": f"mode=log,free_stacks=off,out={self.recording}"},
            "heaptrack": {"LD_PRELOAD": self.heaptrack or "", "DUMP_HEAPTRACK_OUTPUT": raw},
        }[name]

    def run(self, workload, name):
        result = workload.run(self.environment(name))
        if name in ("malloctap", "no free stacks"):
            size, calls = recorded(self.options.malloctap, self.recording)
            if calls and name == "malloctap":
                self.bytes_per_call.append(size / calls)
            os.unlink(self.recording)
        if name == "heaptrack":
            os.unlink(os.path.join(self.directory, "heaptrack.raw"))
        return result


def print_table(title, variants, results):
    print(f"\n{title}: {len(results['plain'])} rounds, with 95 % interval\n")
    print(f"{'':14s} {'CPU s':>7s}   {'CPU to plain':23s}   {'wall to plain':23s}   CPU to unw_backtrace")
    for name, runs in results.items():
        row = f"{name:14s} {statistics.median(run['cpu'] for run in runs):7.3f}"
        for what, base in (("cpu", "plain"), ("wall", "plain"), ("cpu", "unw_backtrace")):
            ratio = median_ratio([run[what] for run in runs], [run[what] for run in results[base]])
            row += "   {:6.3f} [{:.3f}, {:.3f}]".format(*ratio)
        print(row, flush=True)
    if variants.bytes_per_call:
        print(f"\n{statistics.median(variants.bytes_per_call):.1f} bytes on disk a call logged")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--malloctap", help="the command, to count what was logged")
    parser.add_argument("unwind_shim")
    parser.add_argument("library")
    parser.add_argument("mix")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.brief else 7)
    with tempfile.TemporaryDirectory(prefix="malloctap-bench.") as directory:
        workloads = [Mix(options.mix, options.brief)]
        if shutil.which("sqlite3"):
            workloads.append(Sqlite3(directory, options.brief))
        workloads.append(Python3(directory, options.brief))
        for workload in workloads:
            variants = Variants(options, directory)
            results = interleaved(variants.names, rounds,
                                  lambda name: variants.run(workload, name))
            print_table(workload.title, variants, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())

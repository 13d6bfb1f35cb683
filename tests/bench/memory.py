#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the tap costs in memory: memory.py [--brief] IDLE_THREADS BARE_SHIM.so LIBMALLOCTAP.so

Resident memory added to a small program, and for each further thread that allocates a little and
stays below one sample, or is logged: medians over interleaved runs, as differences to the plain program.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

from interleave import check_recording, interleaved, variants

THREADS = 200


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("program")
    parser.add_argument("bare_shim")
    parser.add_argument("library")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="malloctap-bench.") as directory:
        environments = variants(options.bare_shim, options.library, directory,
                                ("count", "sample", "log"))

        def measure(name):
            done = subprocess.run([options.program, str(THREADS)], check=True, capture_output=True,
                                  env={**os.environ, **environments[name]})
            check_recording(name, directory)
            return json.loads(done.stdout)

        results = interleaved(list(environments), 3 if options.brief else 15, measure)

    def median(name, kind, thread_share):
        return statistics.median(
            (run["with_threads"][kind] - run["before"][kind]) / THREADS if thread_share
            else run["before"][kind] for run in results[name])

    print(f"added to the plain program, KiB: at its start, and for each of {THREADS} threads\n")
    print(f"{'':10s} {'Rss':>8s} {'Pss':>8s}   {'Rss a thread':>12s} {'Pss a thread':>12s}")
    for name in results:
        print(f"{name:10s}", end="")
        for thread_share, width in ((False, 8), (True, 12)):
            for kind in ("rss_kib", "pss_kib"):
                added = median(name, kind, thread_share) - median("plain", kind, thread_share)
                print(f" {added:{width}.1f}", end="")
            print("  ", end="")
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())

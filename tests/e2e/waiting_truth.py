#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is the estimate of waiting true? waiting_truth.py [--runs 20] [--rate CALLS] [CASE...]

Runs `waiters` behind the tap over an allocator with one lock that measures every wait exactly, and
prints for each case, from light to heavy load: in how many runs the exact waiting lies within the
stated 95 % interval of the estimate, how many samples waited, the sum of all estimates over the sum
of all truths; in how many runs the functions rank the same; and of the pairs of functions that the
intervals tell apart, how many are in their true order. Exit status 1 if fewer than 90 in 100 of all runs lie within.
MALLOCTAP_BUILD names the build directory where that is not build/ at the root.
"""
import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile

from harness import *

WAITING = PROGRAMS / "waiting"
ALLOCATOR = WAITING / "libone_mutex.so"
FUNCTIONS = ("waits_often", "waits_sometimes", "waits_rarely")  # numbered from 1 in the truth

# threads, calls of each, nanoseconds of thinking before a call, nanoseconds that a call holds the lock
CASES = {
    "2-tight": (2, 2000000, 100, 100),
    "4-tight": (4, 1000000, 100, 100),
    "16-tight": (16, 250000, 100, 100),
    "2-light": (2, 200000, 10000, 500),
    "2-medium": (2, 100000, 10000, 3000),
    "2-heavy": (2, 60000, 10000, 20000),
    "4-light": (4, 100000, 10000, 500),
    "4-medium": (4, 50000, 10000, 3000),
    "4-heavy": (4, 20000, 10000, 20000),
    "16-light": (16, 25000, 10000, 500),
    "16-medium": (16, 12000, 10000, 3000),
    "16-heavy": (16, 5000, 10000, 20000),
}


def run_waiters(place, case, allocator=ALLOCATOR, more=(), **tap_options):
    """Record `waiters`; returns its recording and the truth of the allocator, if it tells."""
    threads, calls, think, hold = case
    recording, truth = place / "waiters.mtap", place / "truth.json"
    environment = tapped(recording, [allocator] if allocator else [], **tap_options)
    environment.update(ONE_MUTEX_TRUTH=str(truth), ONE_MUTEX_HOLD_NS=str(hold))
    done = run([program("waiting/waiters"), threads, calls, think, *more], place, environment)
    check_exit(done, 0, "waiters")
    sites = read_rows(truth) if truth.exists() else []
    truth.unlink(missing_ok=True)
    return recording, sites


def estimates(recording):
    """The estimated waiting by function; that of all calls under None."""
    done = run([program("waiting/waiting_sums"), recording], "/")
    check_exit(done, 0, "waiting_sums")
    return {row["function"]: row for row in map(json.loads, done.stdout.splitlines())}


def holds(estimate, truth):
    """Whether the truth is within the interval; where no sample waited it has no upper end."""
    high = estimate["high_ns"]
    return estimate["low_ns"] <= truth and (high is None or truth <= high)


def ranking(waits):
    return sorted(waits, key=waits.get, reverse=True)


def pairs_told_apart(estimated, truths):
    """The pairs of functions whose intervals do not overlap, and whether that is their order."""
    rows = {name: estimated[name] for name in FUNCTIONS
            if name in estimated and estimated[name]["high_ns"] is not None}
    return [truths[less] < truths[more] for less in rows for more in rows
            if rows[less]["high_ns"] < rows[more]["low_ns"]]


def one_run(place, case, rate):
    options = {"calls": rate, "bytes": rate * 128} if rate else {}
    recording, sites = run_waiters(place, case, **options)
    estimated = estimates(recording)
    recording.unlink()
    truths = {name: sites[number]["wait_ns"] for number, name in enumerate(FUNCTIONS, 1)}
    guesses = {name: estimated.get(name, {"wait_ns": 0})["wait_ns"] for name in FUNCTIONS}
    truth = sum(site["wait_ns"] for site in sites)
    return {
        "truth": truth,
        "slept": sum(site["slept_ns"] for site in sites),
        "estimate": estimated[None]["wait_ns"],
        "blocked": estimated[None]["blocked"],
        "holds": holds(estimated[None], truth),
        "ranks": ranking(truths) == ranking(guesses),
        "pairs": pairs_told_apart(estimated, truths),
        "first": ranking(truths)[0] == ranking(guesses)[0],
    }


def total(results, key):
    return sum(result[key] for result in results)


def print_case(name, results):
    truth = total(results, "truth")
    blocked = statistics.median(result["blocked"] for result in results)
    print(f"{name:10s} {total(results, 'holds'):4d} of {len(results)}   {blocked:8.0f} "
          f"  {total(results, 'estimate') / truth if truth else 0:8.2f} "
          f"  {total(results, 'slept') / truth if truth else 0:8.4f} "
          f"  {truth / len(results) / 1e6:9.1f}   {total(results, 'first'):4d} {total(results, 'ranks'):4d}"
          f"   {sum(sum(result['pairs']) for result in results):3d} of "
          f"{sum(len(result['pairs']) for result in results)}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rate", type=int, default=0, help="one call in so many; 0: as by default")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    options = parser.parse_args()
    rate = f"one call in {options.rate}" if options.rate else "the default rate"
    print(f"{options.runs} runs each, {rate}, {os.cpu_count()} processors\n")
    print("case       truth within  samples    estimate   of it       truth, ms   ranked alike  pairs told")
    print("           interval      that wait  / truth    asleep                  first, all    apart, right")
    every = []
    for name in options.cases or CASES:
        with tempfile.TemporaryDirectory(prefix="malloctap-waiting.") as directory:
            place = pathlib.Path(directory)
            results = [one_run(place, CASES[name], options.rate) for _ in range(options.runs)]
        print_case(name, results)
        every += results
    within = total(every, "holds")
    print(f"\n{within} of {len(every)} within the interval")
    return 0 if within >= 0.9 * len(every) else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Are the estimates and their stated errors true? ranking_truth.py [--runs 100]

Runs `shares` again and again at default rates and prints, for each function and for calls and bytes,
how many estimates lie within one, two and three of their stated standard errors (68, 95 and 99.7 of
100 would for a normal distribution) and the mean of estimate over truth. Exit status 1 if fewer than
90 in 100 lie within two errors, or if the mean is off by more than 1 % and twice its own error.
MALLOCTAP_BUILD names the build directory where that is not build/ at the root.
"""
import argparse
import pathlib
import statistics
import sys
import tempfile

from ranking import FUNCTIONS, estimate_shares, record_shares


def one_run(place):
    recording = place / "shares.mtap"
    truth = record_shares(place, recording)
    estimates = estimate_shares(recording)
    recording.unlink()
    return {(name, what): (estimates[name][what] / truth[name][what],
                           estimates[name][what + "_stderr"] / truth[name][what])
            for name in FUNCTIONS for what in ("calls", "bytes")}


def judge(ratios):
    """Print a row; return whether the estimates are what they claim to be."""
    runs = len(ratios)
    within = [sum(abs(ratio - 1) <= limit * error for ratio, error in ratios) for limit in (1, 2, 3)]
    mean = statistics.mean(ratio for ratio, _ in ratios)
    spread = statistics.stdev(ratio for ratio, _ in ratios)
    stated = statistics.mean(error for _, error in ratios)
    print(f"{within[0]:6d} {within[1]:6d} {within[2]:6d}   {mean:.4f} +- {spread / runs ** 0.5:.4f}"
          f"   {spread:.4f}   {stated:.4f}")
    unbiased = abs(mean - 1) <= max(0.01, 2 * spread / runs ** 0.5)
    return within[1] >= 0.9 * runs and unbiased


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="malloctap-ranking.") as directory:
        results = [one_run(pathlib.Path(directory)) for _ in range(runs)]
    print(f"{runs} runs of `shares`, default rates\n")
    print(f"{'':24s} within 1, 2, 3 errors   mean of estimate/truth   spread   stated error")
    good = True
    for key in results[0]:
        print(f"{key[0]:17s}{key[1]:6s}", end=" ")
        good &= judge([result[key] for result in results])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

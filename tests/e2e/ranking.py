# SPDX-License-Identifier: MIT
"""Estimates of the program `shares`, by function, beside the truth it prints."""
import json

from harness import *

FUNCTIONS = ("frequent_small", "regular_medium", "rare_large")


def record_shares(place, recording, calls=2000000):
    """Run `shares` tapped at default rates; return its truth by function."""
    done = run([program("shares"), calls], place, tapped(recording))
    check_exit(done, 0, "shares")
    return json.loads(done.stdout)["functions"]


def estimate_shares(recording):
    """Calls, bytes and their standard errors by function: stacks are summed, errors in squares."""
    totals = {name: {"calls": 0, "bytes": 0, "calls_variance": 0, "bytes_variance": 0}
              for name in FUNCTIONS}
    for stack in view("stacks", recording, "-n", "1000")["stacks"]:
        names = [frame["function"] for frame in stack["frames"]]
        for name in FUNCTIONS:
            if name in names:
                totals[name]["calls"] += stack["calls"]
                totals[name]["bytes"] += stack["bytes"]
                totals[name]["calls_variance"] += stack["calls_stderr"] ** 2
                totals[name]["bytes_variance"] += stack["bytes_stderr"] ** 2
    for row in totals.values():
        row["calls_stderr"] = row.pop("calls_variance") ** 0.5
        row["bytes_stderr"] = row.pop("bytes_variance") ** 0.5
    return totals

# SPDX-License-Identifier: MIT
"""The ranking of a program with known shares; ranking_truth.py repeats this for statistics."""
from ranking import estimate_shares, record_shares
from harness import *

BY_CALLS = ["frequent_small", "regular_medium", "rare_large"]
BY_BYTES = ["rare_large", "frequent_small", "regular_medium"]


def ranked(estimates, by):
    return sorted(estimates, key=lambda name: estimates[name][by], reverse=True)


def test_shares(place):
    recording = place / "shares.mtap"
    truth = record_shares(place, recording)
    estimates = estimate_shares(recording)
    check_equal(ranked(estimates, "calls"), BY_CALLS, "order by calls")
    check_equal(ranked(estimates, "bytes"), BY_BYTES, "order by bytes")
    for name, row in estimates.items():
        wrong = abs(row["calls"] - truth[name]["calls"])
        check(wrong <= 5 * row["calls_stderr"],
              f"{name}: {row['calls']} calls +- {row['calls_stderr']}, truth {truth[name]['calls']}")


def test_text_names_the_functions(place):
    recording = place / "shares.mtap"
    record_shares(place, recording)
    text = run([MALLOCTAP, "stacks", recording], place).stdout.decode()
    for name in BY_CALLS:
        check(name in text, f"{name} is not in:\n{text}")
    check(text.index(BY_CALLS[0]) < text.index(BY_CALLS[2]), f"not the hottest first:\n{text}")


def test_catalog(place):
    """Most calls of the example service come from its index, through all three libraries' names."""
    recording = place / "catalog.mtap"
    done = run_command(recording, [program("catalog/catalog"), "--once", "40000"], place)
    check_exit(done, 0, "catalog")
    check_equal(done.stdout, b"ready: 40000 products\n", "catalog: output")
    stacks = view("stacks", recording, "-n", "100")["stacks"]
    hottest = [frame["function"] for frame in stacks[0]["frames"]]
    check("normalise" in hottest or "add_word" in hottest, f"the hottest stack: {hottest}")
    modules = {frame["module"].split("/")[-1] for stack in stacks for frame in stack["frames"]}
    for library in ("libfields.so", "libstore.so", "libwords.so"):
        check(library in modules, f"{library} is not among {modules}")

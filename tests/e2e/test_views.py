# SPDX-License-Identifier: MIT
"""Views of logs, of parts of a run and of times, on recordings of programs whose truth is known."""
from ranking import FUNCTIONS
from harness import *

CALLS = 200000


def record(place, name, **tap_options):
    """Run `shares` with these options; the recording and, by function, the truth."""
    recording = place / name
    done = run([program("shares"), CALLS], place, tapped(recording, **tap_options))
    check_exit(done, 0, "shares")
    return recording, json.loads(done.stdout)["functions"]


def by_function(stacks, field):
    """A field of the stacks, summed by the functions of `shares` that they go through."""
    return {name: sum(stack[field] for stack in stacks
                      if any(frame["function"] == name for frame in stack["frames"]))
            for name in FUNCTIONS}


def test_log_is_exact(place):
    recording, truth = record(place, "log.mtap", mode="log")
    for field in ("calls", "bytes"):
        ranking = view("stacks", recording, "-n", "0", "--by", field)
        check_equal(by_function(ranking["stacks"], field),
                    {name: truth[name][field] for name in FUNCTIONS}, field)
        check(ranking["total_exact"], f"{field}: the total is not exact")
        for stack in ranking["stacks"]:
            check_equal(stack[field + "_stderr"], 0, f"error of logged {field}")
    ranking = view("stacks", recording, "-n", "0", "--op", "free")
    check_equal(sum(stack["calls"] for stack in ranking["stacks"]),
                view("threads", recording)["totals"]["free"], "frees")


def test_log_has_no_times(place):
    recording, _ = record(place, "log.mtap", mode="log")
    done = run([MALLOCTAP, "stacks", "--by", "time", recording], place)
    check_exit(done, 2, "stacks --by time of a log")
    check_one_line(done.stderr, "stacks --by time of a log")


def test_parts_add_up(place):
    """A call is before a moment, at it, or after it."""
    recording, _ = record(place, "log.mtap", mode="log")
    moment = f"{view('summary', recording)['duration_ns'] // 2000}us"

    def calls(*window):
        return view("stacks", recording, "--op", "all", "-n", "0", *window)["calls"]

    before, after = calls("--until", moment), calls("--since", moment)
    at = calls("--since", moment, "--until", moment)
    check(before > 0 and after > 0, f"{moment} does not part the run: {before}, {after}")
    check_equal(before + after - at, calls(), "calls of both parts")


def test_ring_says_what_it_ranks(place):
    recording, truth = record(place, "ring.mtap", mode="log", ring="256K")
    ranking = view("stacks", recording, "-n", "0")
    ranked = sum(by_function(ranking["stacks"], "calls").values())
    everything = sum(row["calls"] for row in truth.values())
    check(0 < ranked < everything, f"ranked {ranked} of {everything}")
    check(ranking["since_ns"] > 0 and ranking["lost"]["records_overwritten"] > 0,
          "nothing was overwritten")
    text = run([MALLOCTAP, "stacks", recording], place).stdout.decode()
    check("The ring overwrote" in text, f"nothing is said of it:\n{text}")
    counted = view("threads", recording)["totals"]["malloc"]
    check(counted >= everything, f"{counted} calls were counted, {everything} made")


def test_histograms_and_samples_agree(place):
    """Both sum the same probed calls: by thread in the histograms, by stack in the samples."""
    recording, _ = record(place, "times.mtap", calls=50)
    totals = view("threads", recording)["totals"]
    ranking = view("stacks", recording, "-n", "0", "--by", "time", "--op", "all")
    check(totals["probed"] > 1000, f"{totals['probed']} calls were probed")
    for name, one, other in (
            ("time", totals["time_ns"], ranking["total"]),
            ("error of the time", totals["time_ns_stderr"], ranking["total_stderr"]),
            ("time by stack", sum(stack["time_ns"] for stack in ranking["stacks"]),
             ranking["total"])):
        check(abs(one - other) <= 1e-6 * other + 0.01, f"{name}: {one} and {other}")
    for op, latency in totals["latency"].items():
        quantiles = [latency[name] for name in ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")]
        known = [quantile for quantile in quantiles if quantile is not None]
        check_equal(known, sorted(known), f"{op}: quantiles in order")


def test_no_times_without_a_clock(place):
    """A program that may shut itself in strictly leaves only a clock too coarse to time calls."""
    recording = place / "strict.mtap"
    done = run([program("sandbox"), "strict"], place, tapped(recording, calls=1))
    check_exit(done, 0, "sandbox strict")
    totals = view("threads", recording)["totals"]
    check_equal((totals["probed"], totals["time_ns"]), (0, None), "probed calls and their time")
    check_equal(view("summary", recording)["allocator_share"], None, "share of the allocator")

# SPDX-License-Identifier: MIT
"""Threads that come and go, and calls at the latest moments of a thread's and a program's life."""
import json

from harness import *


def tapped_truth(place, arguments, recording="x.mtap", **options):
    """Run a program tapped; return the truth it printed and the totals that were recorded."""
    path = place / recording
    done = run(arguments, place, tapped(path, **options))
    check_exit(done, 0, f"{arguments} {options}")
    check_equal(done.stderr, b"", f"{arguments} {options}: stderr")
    totals = view("threads", path)["totals"]
    path.unlink()
    return json.loads(done.stdout), totals


def check_totals(place, arguments, counters, **options):
    truth, totals = tapped_truth(place, arguments, **options)
    for counter in counters:
        check_equal(totals[counter], truth[counter], f"{arguments} {options}: {counter}")


def test_many_threads(place):
    for options in ({}, {"mode": "count"}, {"backend": "mtmalloc"}):
        check_totals(place, [program("threads_many")], ("malloc", "realloc", "aligned"), **options)


def test_many_threads_take_bounded_space(place):
    recording = place / "few.mtap"
    done = run([program("threads_many"), 20000, 10], place, tapped(recording, mode="count"))
    check_exit(done, 0, "20 000 threads in sequence")
    on_disk = recording.stat().st_blocks * 512
    check(on_disk < 16 << 20, f"20 000 threads took {on_disk} bytes of recording")


def test_threads_that_were_summed_up_are_found_in_the_log(place):
    recording = place / "many.mtap"
    done = run([program("threads_many"), 3000, 1], place, tapped(recording, mode="log"))
    check_exit(done, 0, "3,000 threads, logged")
    first = json.loads(run([MALLOCTAP, "log", "--op", "aligned", "-n", 1, "--json", recording],
                           place).stdout)["tid"]
    check(first not in {thread["tid"] for thread in view("threads", recording)["threads"]},
          "the first thread has a row of its own")
    stacks = view("stacks", recording, "--thread", first, "-n", 0)
    logged = run([MALLOCTAP, "log", "--thread", first, "--op", "malloc,calloc,realloc,aligned",
                  "--json", recording], place).stdout.splitlines()
    calls = sum(json.loads(line)["op"] != "realloc-free" for line in logged)
    check(calls > 20, f"{calls} calls logged of the first thread")
    check_equal(stacks["calls"], calls, "calls of the first thread")
    check_equal(sum(stack["calls"] for stack in stacks["stacks"]), calls, "ranked")
    check(stacks["exact"], "not exact")
    check_equal(view("leaks", recording, "--thread", first)["live_blocks"], 0, "live of it")
    said = run([MALLOCTAP, "stacks", "--thread", first, recording], place)
    check(b"summed up" in said.stdout, f"stacks does not say so: {said.stdout[:300]}")
    refused = run([MALLOCTAP, "threads", "--thread", first, recording], place)
    check_exit(refused, 2, "latencies of the first thread")
    check(b"summed up" in refused.stderr, f"threads: {refused.stderr}")


def test_destructors(place):
    for options in ({}, {"calls": 1}, {"mode": "count"}, {"backend": "mtmalloc"}):
        check_totals(place, [program("dtors")], ("malloc", "realloc"), **options)


def test_smallest_stacks(place):
    for options in ({}, {"calls": 1}, {"calls": 1, "backend": "mtmalloc"}):
        check_totals(place, [program("minstack")], ("malloc",), **options)


def test_signal_handlers(place):
    for options in ({}, {"calls": 1}, {"backend": "mtmalloc"}):
        check_totals(place, [program("signals"), "outside"], ("malloc",), **options)


def test_signal_handlers_inside_the_tap(place):
    """A handler may come at any instruction; its own calls may go uncounted, but are told of."""
    reentrant = PROGRAMS / "libreentrant_malloc.so"
    for options in ({}, {"calls": 1}):
        path = place / "x.mtap"
        done = run([program("signals"), "anywhere"], place, tapped(path, [reentrant], **options))
        check_exit(done, 0, f"signals anywhere {options}")
        totals = view("threads", path)["totals"]
        truth = json.loads(done.stdout)["malloc"]
        uncounted = totals.get("uncounted", 0)
        check(truth - uncounted <= totals["malloc"] <= truth,
              f"{options}: {totals['malloc']} counted, {uncounted} told of, truth {truth}")
        path.unlink()


def test_handlers_that_jump_out_of_the_tap(place):
    """A call may be lost for each, or two; what comes after is recorded again."""
    for options in ({"mode": "log"}, {"calls": 16}):
        path = place / "x.mtap"
        done = run([program("jumps")], place, tapped(path, **options))
        check_exit(done, 0, f"jumps {options}")
        truth = json.loads(done.stdout)
        lost = view("summary", path)["lost"]
        check(lost["samples_lost"] <= 2 * truth["jumps"] + 10, f"{options}: {lost}, {truth}")
        counted = view("threads", path)["totals"]["malloc"]
        check(abs(counted - truth["malloc"]) <= 2 * truth["jumps"] + 10,
              f"{options}: {counted} counted, {truth}")
        recorded = sum(stack["calls"] for stack in view("stacks", path, "--op", "malloc")["stacks"])
        recorded += lost["records_overwritten"]
        check(recorded > counted / 2, f"{options}: {recorded} of {counted} are recorded")
        path.unlink()


def test_threads_that_only_libc_frees_for(place):
    """When their destructors have run, libc frees null: a first call, and most often the last."""
    for options in ({}, {"mode": "count"}, {"backend": "mtmalloc"}):
        recording, truth = place / "x.mtap", place / "truth"
        done = run([program("brief_threads"), truth], place, tapped(recording, **options))
        check_exit(done, 0, f"brief_threads {options}")
        rows = view("threads", recording)["threads"]
        busy = read_rows(truth)[0]
        for row in rows:
            lasted = row["lifetime_ns"]
            if row["tid"] == busy["tid"]:
                check(lasted > 300e6, f"{options}: one that slept 0.3 s lived for {lasted} ns")
                for counter in ("malloc", "bytes_requested"):
                    check_equal(row[counter], busy[counter], f"{options}: {counter}")
            elif row["malloc"] + row["calloc"] == 0:
                check(lasted < 100e6, f"{options}: a thread that did nothing lived for {lasted} ns")
        recording.unlink()
        truth.unlink()


def test_exceptions(place):
    """The C++ runtime allocates once at start, once a throw and a little for each thread."""
    plain = run([program("exceptions")], place)
    for options in ({}, {"calls": 1}, {"backend": "mtmalloc"}):
        path = place / "x.mtap"
        done = run([program("exceptions")], place, tapped(path, **options))
        check_exit(done, 0, f"exceptions {options}")
        check_equal(done.stdout, plain.stdout, f"exceptions {options}: output")
        truth = json.loads(done.stdout)
        least = truth["new"] + truth["throw"]
        got = view("threads", path)["totals"]["malloc"]
        check(least <= got <= least + 30, f"{options}: {got} mallocs counted, at least {least} made")
        path.unlink()

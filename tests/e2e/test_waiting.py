# SPDX-License-Identifier: MIT
"""Waiting at the allocator's locks: found where it is, ranked as it is, and not found where it is not.

How good the figures are is for waiting_truth.py to say, which takes longer; here only what can fail
for no other reason than a broken probe.
"""
import math

from waiting_truth import *

# Most calls are sampled, so that what few of them do is seen whatever else the machine does.
MOST_CALLS = {"calls": 1, "bytes": 128}
CONTENDED = (4, 600, 1000, 200000)  # a call holds the lock far longer than its thread thinks


# Threads that wait seldom, and call so rarely that at the default rate every call is watched.
RARELY = (4, 20000, 10000, 20000)


def check_none_waits(estimate, what):
    """A page that has to be found may keep even a lone thread waiting, once in a long while."""
    check(estimate["classed"] > 1000, f"{what}: only {estimate['classed']} calls were classed")
    check(estimate["blocked"] * 1000 <= estimate["classed"],
          f"{what}: {estimate['blocked']} of {estimate['classed']} calls waited")


def test_one_lock_for_all(place):
    recording, sites = run_waiters(place, CONTENDED, **MOST_CALLS)
    estimated = estimates(recording)
    truth = total(sites, "wait_ns")
    got = estimated[None]
    check(truth > 0 and truth / 2 < got["wait_ns"] < truth * 2, f"{got} for {truth} ns measured")
    check(0 < got["low_ns"] < got["wait_ns"] < got["high_ns"] < truth * 4, f"interval of {got}")
    for name, measured in zip(FUNCTIONS, (site["wait_ns"] for site in sites[1:])):
        check(measured < truth / 10 or measured / 3 < estimated[name]["wait_ns"] < measured * 3,
              f"{estimated[name]} for {measured} ns measured")


def check_all_kinds_wait(place, *more):
    """Whom the lock keeps waiting is up to the scheduler: for the whole of a run it may be those that free."""
    for turn in range(10):
        directory = place / str(turn)
        directory.mkdir()
        recording, _ = run_waiters(directory, CONTENDED, more=more, **MOST_CALLS)
        latency = view("threads", recording)["totals"]["latency"]
        kinds = [latency[kind] for kind in ("malloc", "free")]
        if all(kind["blocked"] > 0 and kind["fast"] > 0 for kind in kinds):
            return
    check(False, f"in {turn + 1} runs not all kinds waited, or none was fast: {latency}")


def test_frees_are_probed_too(place):
    check_all_kinds_wait(place)


def test_operators_are_probed_too(place):
    check_all_kinds_wait(place, 1, "new")


def waits_recorded(place, **tap_options):
    """Waits in the recording to those that the allocator saw sleep; all its calls to those that were made."""
    recording, sites = run_waiters(place, RARELY, **tap_options)
    counted = view("threads", recording)["totals"]
    rows = view("stacks", recording, "--op", "all", "-n", "0")["stacks"]
    calls = sum(row["calls"] for row in rows)
    error = math.sqrt(sum(row["calls_stderr"] ** 2 for row in rows))
    made = sum(counted[op] for op in ("malloc", "calloc", "realloc", "aligned", "free"))
    check(abs(calls - made) < 6 * error, f"{calls} ± {error} calls estimated, {made} made")
    recorded = estimates(recording)[None]["blocked"]
    recording.unlink()
    return recorded, total(sites, "slept")


def test_where_few_calls_wait_nearly_all_waits_are_recorded(place):
    recorded, slept = waits_recorded(place)
    check(slept > 100 and recorded > slept / 4, f"{recorded} of {slept} waits recorded")
    recorded, slept = waits_recorded(place, calls=64)
    check(recorded < slept / 4, f"{recorded} of {slept} waits recorded at a rate that was asked for")


def test_one_thread_never_waits(place):
    recording, sites = run_waiters(place, (1, 100000, 0, 0), calls=16, bytes=2048)
    check_equal(total(sites, "contended"), 0, "measured")
    check_none_waits(estimates(recording)[None], "one thread")


def test_thread_caches_never_wait(place):
    recording, _ = run_waiters(place, (4, 50000, 0, 0), allocator=None, calls=16, bytes=2048)
    check_none_waits(estimates(recording)[None], "libc with its thread caches")


def test_one_threaded_sqlite_never_waits(place):
    script = b"create table t(a, b); with recursive n(i) as (select 1 union all select i + 1 from n " \
             b"limit 20000) insert into t select i, hex(randomblob(20)) from n; select sum(length(b)) from t;"
    recording = place / "sqlite3.mtap"
    try:
        done = run(["sqlite3", ":memory:"], place, tapped(recording, calls=16, bytes=2048), stdin=script)
    except FileNotFoundError:
        raise Skip("sqlite3 is not installed") from None
    check_exit(done, 0, "sqlite3")
    check_none_waits(estimates(recording)[None], "sqlite3")


def test_the_kernel_is_asked_where_nothing_forbids_it(place):
    """A number that prctl() would take for something else is no sandbox."""
    recording = place / "renames.mtap"
    done = run([program("renames")], place, tapped(recording, calls=16, bytes=2048))
    check_exit(done, 0, "renames")
    check(estimates(recording)[None]["classed"] > 100, "its calls were not classed")


def test_timed_without_class_where_the_kernel_may_not_be_asked(place):
    """The sandbox ends the process at any system call but those an allocator makes."""
    recording = place / "sandbox.mtap"
    done = run([program("sandbox"), "kill"], place,
               tapped(recording, sandbox="yes", calls=16, bytes=2048))
    check_exit(done, 0, "sandbox")
    check_equal(estimates(recording)[None]["classed"], 0, "calls of which it is said whether they waited")
    check(view("stacks", recording, "--by", "time")["total"] > 0, "nothing was timed")

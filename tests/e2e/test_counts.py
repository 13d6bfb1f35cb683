# SPDX-License-Identifier: MIT
"""Counters are exact: per thread, however the process ends."""
from harness import *

ENDS = {"exit": 0, "_exit": 0, "destructor": 0, "abort": -6, "segv": -11, "kill": -9}


def truth_of(place, threads, end):
    rows = read_rows(place / "truth")
    if end == "destructor" and threads > 1:
        # The main thread did nothing but create threads until its destructor ran.
        rows = [row for row in rows if row["tid"] != row["pid"]]
    check_equal(len(rows), threads, "rows of truth")
    return rows


def count(place, threads, end, **tap_options):
    what = f"{threads} threads, {end}, {tap_options}"
    for old in place.iterdir():
        old.unlink()
    recording = place / "counts.mtap"
    done = run([program("counts"), threads, end, place / "truth"], place,
               tapped(recording, **tap_options))
    check_exit(done, ENDS[end], what)
    check_equal(done.stderr, b"", f"{what}: stderr")
    check_threads(recording, truth_of(place, threads, end), what)


def test_one_thread(place):
    for end in ENDS:
        count(place, 1, end, mode="count")
        count(place, 1, end)


def test_four_threads(place):
    for end in ENDS:
        count(place, 4, end, mode="count")
        count(place, 4, end)


def test_two_hundred_threads(place):
    for end in ENDS:
        count(place, 200, end)


def test_every_call_sampled(place):
    for end in ENDS:
        count(place, 4, end, calls=1)


def test_every_backend_in_the_tap(place):
    for backend in ("own", "libc", "mtmalloc"):
        count(place, 4, "kill", backend=backend)


def test_with_the_command(place):
    for backend in backends():
        for end, status in (("exit", 0), ("abort", 128 + 6), ("kill", 128 + 9)):
            what = f"run -b {backend}, {end}"
            for old in place.iterdir():
                old.unlink()
            recording = place / "counts.mtap"
            done = run_command(recording, [program("counts"), 4, end, place / "truth"], place,
                               ["-b", backend])
            check_exit(done, status, what)
            check_threads(recording, read_rows(place / "truth"), what)


def test_duration_of_the_killed(place):
    """The command saw when the process ended; without it what is known is what was recorded."""
    recording = place / "x.mtap"
    script = ["sh", "-c", "sleep 0.5; kill -9 $$"]
    for mode in ("sample", "count", "log"):
        done = run([MALLOCTAP, "run", "-f", "-m", mode, "-o", recording, "--", *script], place)
        check_exit(done, 137, f"run -m {mode}")
        lasted = view("summary", recording)["duration_ns"] / 1e9
        check(0.5 <= lasted < 30, f"{mode}: it took {lasted} s")
        check(b"at least" not in done.stderr, f"{mode}: {done.stderr!r}")
    recording.unlink()
    run(script, place, tapped(recording))
    said = run([MALLOCTAP, "summary", recording], place).stdout
    check(b"duration     at least" in said and b"(at most" in said, f"with nobody there: {said!r}")

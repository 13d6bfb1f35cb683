# SPDX-License-Identifier: MIT
"""Programs that have broken other tools of this kind: see docs/PITFALLS.md."""
import json

from harness import *

SANITIZERS = ("address", "thread", "leak")


def test_sanitized_children(place):
    """A sanitizer's malloc behind the tap is forwarded to and named; one in front of it is told of."""
    for sanitizer in SANITIZERS:
        child = program(f"sanitized_{sanitizer}")
        plain = run([child], place)
        check_exit(plain, 0, f"{child}, plain")
        for options in ((), ("--calls", "1"), ("-b", "mtmalloc"), ("-b", "libc"), ("-m", "log")):
            what = f"{sanitizer}, run {options}"
            done = run_command(place / "x.mtap", ["sh", "-c", f"{child}; exit $?"], place, options)
            check_exit(done, 0, what)
            check_equal(done.stdout, plain.stdout, f"{what}: output")
            if b"stands before the tap" not in done.stderr:
                check_sanitized(place, sanitizer, json.loads(plain.stdout)["malloc"], what)
            for path in place.glob("x*.mtap"):
                path.unlink()


def check_sanitized(place, sanitizer, mallocs, what):
    recording, = (path for path in place.glob("x.*.mtap")
                  if view("summary", path)["program"].endswith(sanitizer))
    got = view("threads", recording)["totals"]["malloc"]
    # Some runtimes take the blocks of strdup() from malloc, as libc does, and some have an own way.
    beyond = got - mallocs if got < 2 * mallocs else got - 2 * mallocs
    check(0 <= beyond < 500, f"{what}: {got} mallocs counted, truth {mallocs}")

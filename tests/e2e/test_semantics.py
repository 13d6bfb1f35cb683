# SPDX-License-Identifier: MIT
"""Edge cases of the malloc family answer as the backend would without the tap."""
from harness import *


def check_same(place, plain_environment, tapped_environment, what, *arguments):
    plain = run([program("semantics"), *arguments], place, plain_environment)
    check_exit(plain, 0, f"{what}, plain")
    done = run([program("semantics"), *arguments], place, tapped_environment)
    check_exit(done, 0, what)
    lines = zip(plain.stdout.decode().splitlines(), done.stdout.decode().splitlines())
    changed = "; ".join(f"{a!r} became {b!r}" for a, b in lines if a != b)
    check(done.stdout == plain.stdout, f"{what}: {changed}")


def test_libc(place):
    for backend in ("own", "libc"):
        for calls in (1, 4096):
            check_same(place, clean_environment(),
                       tapped(place / "x.mtap", backend=backend, calls=calls),
                       f"{backend}, calls={calls}")


def test_other_allocators(place):
    others = [name for name in backends() if name in INSTALLABLE]
    if not others:
        raise Skip("no other allocator installed")
    for name in others:
        library = installed_library(name)
        check_same(place, clean_environment(LD_PRELOAD=library),
                   tapped(place / f"{name}.mtap", [library]), name, "--no-pvalloc")


def test_mtmalloc(place):
    done = run([program("semantics")], place, tapped(place / "x.mtap", backend="mtmalloc"))
    check_exit(done, 0, "mtmalloc")
    text = done.stdout.decode()
    for wrong in ("NOT ALIGNED", "NOT ZERO", "LOST", "changed errno"):
        check(wrong not in text, f"mtmalloc: {wrong} in:\n{text}")
    for call in ("malloc(huge)", "malloc(all)", "calloc(half, 2)", "calloc(all, all)",
                 "reallocarray(NULL, half, 2)", "realloc(NULL, huge)"):
        line = next(line for line in text.splitlines() if line.startswith(call))
        check("NULL errno 12" in line, f"mtmalloc: {line}")


def test_allocators_preloaded_in_front(place):
    """Another allocator before the tap: no loop; its calls are its own."""
    for name in backends():
        if name not in INSTALLABLE:
            continue
        environment = tapped(place / f"{name}.mtap")
        environment["LD_PRELOAD"] = f"{installed_library(name)}:{environment['LD_PRELOAD']}"
        done = run([program("shares"), 1000], place, environment)
        check_exit(done, 0, f"{name} in front")


def test_operators_count_once(place):
    """new and delete of the C++ library call malloc; those of an allocator do not, or call it by
    other names of its own: each is counted once, whoever they are."""
    libraries = [None] + [installed_library(name) for name in ("jemalloc", "tcmalloc")]
    for library in [None, *filter(None, libraries)]:
        for options in ({}, {"calls": 10}, {"mode": "log"}, {"backend": "libc"},
                        {"backend": "mtmalloc"}):
            recording = place / "x.mtap"
            done = run([program("operators")], place,
                       tapped(recording, [library] if library else [], **options))
            what = f"operators, {library}, {options}"
            check_exit(done, 0, what)
            truth = json.loads(done.stdout)
            check(truth["caught"], f"{what}: no bad_alloc")
            totals = view("threads", recording)["totals"]
            for counter, true in (("malloc", truth["plain"]), ("aligned", truth["aligned"]),
                                  ("free", truth["free"])):
                # The C library and the C++ library allocate a little for themselves.
                check(true <= totals[counter] <= true + 50,
                      f"{what}: {totals[counter]} {counter}, truth {true}")
            check_equal(totals["failed"], 1, f"{what}: failed")
            recording.unlink()


def test_new_handlers(place):
    """A handler is called as often as without the tap, and what it throws arrives; then all is
    counted as before."""
    for library in [None, *filter(None, map(installed_library, INSTALLABLE))]:
        behind = [library] if library else []
        plain = run([program("new_handler")], place, clean_environment(LD_PRELOAD=":".join(behind)))
        if plain.returncode != 0:
            continue  # not every allocator lets a handler throw
        for options in ({}, {"calls": 1}, {"mode": "log"}, {"mode": "count"}):
            recording = place / "x.mtap"
            done = run([program("new_handler")], place, tapped(recording, behind, **options))
            what = f"new_handler, {library}, {options}"
            check_exit(done, 0, what)
            check_equal(done.stdout, plain.stdout, f"{what}: output")
            totals = view("threads", recording)["totals"]
            check(1000 <= totals["malloc"] <= 1050, f"{what}: {totals['malloc']} mallocs counted")
            check(totals["failed"] >= 2, f"{what}: {totals['failed']} failures counted")
            recording.unlink()

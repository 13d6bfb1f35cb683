# SPDX-License-Identifier: MIT
"""Edge cases of the malloc family answer as the backend would without the tap."""
from harness import *


def outputs_differ(plain, other):
    lines = zip(plain.decode().splitlines(), other.decode().splitlines())
    return "; ".join(f"{a!r} became {b!r}" for a, b in lines if a != b)


def check_same(place, plain, environment, what):
    done = run([program("semantics")], place, environment)
    check_exit(done, 0, what)
    check(done.stdout == plain, f"{what}: {outputs_differ(plain, done.stdout)}")


def test_libc(place):
    plain = run([program("semantics")], place).stdout
    for backend in ("own", "libc"):
        for calls in (1, 4096):
            check_same(place, plain, tapped(place / "x.mtap", backend=backend, calls=calls),
                       f"{backend}, calls={calls}")


def test_other_allocators(place):
    others = [name for name in backends() if name in INSTALLABLE]
    if not others:
        raise Skip("no other allocator installed")
    for name in others:
        library = installed_library(name)
        plain = run([program("semantics")], place, clean_environment(LD_PRELOAD=library)).stdout
        check_same(place, plain, tapped(place / f"{name}.mtap", [library]), name)


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

# SPDX-License-Identifier: MIT
"""What programs do around malloc has the same result with the tap in front."""
from harness import *

VARIANTS = ({}, {"calls": 1}, {"mode": "log"}, {"backend": "mtmalloc"})


def check_same(place, arguments, **options):
    """Tapped as plain: exit status and output. What the tap itself said is returned."""
    plain = run(arguments, place)
    check_exit(plain, 0, f"{arguments}, plain")
    done = run(arguments, place, tapped(place / "x.mtap", **options))
    check_exit(done, 0, f"{arguments} {options}")
    check_equal(done.stdout, plain.stdout, f"{arguments} {options}: output")
    totals = view("threads", place / "x.mtap")["totals"]
    check(totals["malloc"] > 0, f"{arguments} {options}: nothing was counted")
    for path in place.glob("x*.mtap"):
        path.unlink()
    return done.stderr.decode()


def test_customs(place):
    """What programs do around malloc: see tests/programs/customs.c."""
    place.chmod(0o777)
    names = run([program("customs")], place).stdout.decode().split()
    for name in names:
        for options in VARIANTS:
            # mtmalloc has no figures of glibc's heap to tell.
            if name == "introspection" and "backend" in options:
                continue
            said = check_same(place, [program("customs"), name, PROGRAMS / "libfirst_plugin.so"],
                              **options)
            if name == "other_namespace":
                check("namespace of their own" in said, f"the second heap is not told of: {said!r}")
            else:
                check_equal(said, "", f"{name} {options}: said")


def test_customs_of_cpp(place):
    for options in VARIANTS:
        check_equal(check_same(place, [program("cpp_customs")], **options), "", f"said, {options}")


def test_audited(place):
    """LD_AUDIT brings a second C library in a namespace of its own."""
    arguments = [program("shares"), 1000]
    plain = run(arguments, place)
    for options in VARIANTS:
        environment = {**tapped(place / "x.mtap", **options),
                       "LD_AUDIT": str(PROGRAMS / "libauditor.so")}
        done = run(arguments, place, environment)
        check_exit(done, 0, f"audited {options}")
        check_equal(done.stdout, plain.stdout, f"audited {options}: output")
        check(b"namespace of their own" in done.stderr, f"not told: {done.stderr}")
        (place / "x.mtap").unlink()

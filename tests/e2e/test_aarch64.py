# SPDX-License-Identifier: MIT
"""What runs inside programs, built for aarch64 and run there by an emulator; the recordings are read here."""
import functools
import shutil

from harness import *

COMPILER = "aarch64-linux-gnu-gcc"
EMULATOR = "qemu-aarch64"
SYSTEM = "/usr/aarch64-linux-gnu"


@functools.cache
def built():
    """The directory of a build for aarch64, up to date."""
    for needed in (COMPILER, EMULATOR, "meson", "ninja"):
        if not shutil.which(needed):
            raise Skip(f"{needed} is not installed")
    directory = BUILD / "aarch64"
    if not (directory / "build.ninja").exists():
        done = run(["meson", "setup", "--cross-file", ROOT / "tests" / "e2e" / "aarch64.ini", "-Dtools=false",
                    directory, ROOT], ROOT)
        check_exit(done, 0, f"meson setup: {done.stdout[-2000:]}")
    done = run(["ninja", "-C", directory], ROOT)
    check_exit(done, 0, f"ninja: {done.stdout[-4000:]}")
    return directory


def compiled(place, source):
    program = place / source.stem
    done = run([COMPILER, "-O2", "-g", "-fno-builtin", "-D_GNU_SOURCE", "-pthread", source, "-o", program], place)
    check_exit(done, 0, str(source))
    return program


def run_tapped(program, arguments, recording, **options):
    """Only the emulated program is to have the library: the emulator is of this machine."""
    library = built() / "lib" / "preload" / "libmalloctap.so"
    spec = ",".join(f"{key}={value}" for key, value in {"out": recording, **options}.items())
    return run([EMULATOR, "-L", SYSTEM, "-E", f"LD_PRELOAD={library}", program, *arguments], recording.parent,
               clean_environment(MALLOCTAP=spec))


def test_counts_are_exact(place):
    built()
    counts = compiled(place, ROOT / "tests" / "programs" / "counts.c")
    for backend in ("own", "mtmalloc"):
        for end, status in (("exit", 0), ("_exit", 0), ("kill", 128 + 9)):
            recording, truth = place / f"{backend}-{end}.mtap", place / f"{backend}-{end}.truth"
            done = run_tapped(counts, ["4", end, truth], recording, backend=backend)
            check(done.returncode in (status, 128 - status), f"{end}: exit {done.returncode}")
            check_threads(recording, read_rows(truth), f"{backend}, {end}")


def test_every_call_of_a_log_has_its_stack(place):
    built()
    mix = compiled(place, ROOT / "tests" / "bench" / "mix.c")
    recording = place / "mix.mtap"
    check_exit(run_tapped(mix, ["2", "4000"], recording, mode="log"), 0, "mix")
    leaks = view("leaks", recording)
    check(leaks["exact"] and leaks["live_blocks"] == 0, f"leaks: {leaks}")
    stacks = view("stacks", recording, "-n", "0")["stacks"]
    # Eleven steps to the left or right below ten or twenty common frames.
    deep = [stack for stack in stacks if len(stack["frames"]) > 20]
    check_equal(sum(stack["calls"] for stack in deep), 4000, "calls on deep stacks")
    check(len(deep) > 500, f"{len(deep)} deep stacks")
    for stack in deep:
        names = [frame["function"] for frame in stack["frames"]]
        check(set(names[:12]) <= {"left", "right"} and names[12:].count("below") in (11, 21), f"stack {names}")

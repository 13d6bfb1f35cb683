# SPDX-License-Identifier: MIT
"""Programs that take away what the tap stands on: descriptors, limits, system calls, libraries."""
import json

import sys

from harness import *

VARIANTS = ({}, {"calls": 1}, {"backend": "mtmalloc"})


def check_same_and_counted(place, arguments, **options):
    """Same output and exit status as plain, and every malloc counted."""
    what = f"{arguments} {options}"
    plain = run(arguments, place)
    if plain.returncode == 77:
        raise Skip("not possible here")
    check_exit(plain, 0, f"{what}, plain")
    path = place / "x.mtap"
    done = run(arguments, place, tapped(path, **options))
    check_exit(done, 0, what)
    check_equal(done.stdout, plain.stdout, f"{what}: output")
    totals = view("threads", path)["totals"]
    check_equal(totals["malloc"], json.loads(done.stdout)["malloc"], f"{what}: mallocs counted")
    path.unlink()


def test_closed_descriptors(place):
    for options in VARIANTS:
        check_same_and_counted(place, [program("closefds"), place], **options)


def test_sandbox_that_refuses(place):
    for options in VARIANTS:
        check_same_and_counted(place, [program("sandbox"), "refuse"], **options)


def test_sandbox_that_kills(place):
    for options in VARIANTS:
        check_same_and_counted(place, [program("sandbox"), "kill"], **options)


def test_sandbox_that_allows_almost_nothing(place):
    """No system call at all is left, however much there is to record."""
    for options in (*VARIANTS, {"mode": "log", "ring": "4M"}):
        check_same_and_counted(place, [program("sandbox"), "strict"], **options)


def test_memory_that_is_locked(place):
    """What is mapped beforehand, for a log that may not ask for more, would be locked as well."""
    if run([program("locked")], place).returncode == 77:
        raise Skip("memory cannot be locked here")
    for options in (*VARIANTS, {"mode": "log"}):
        done = run([program("locked")], place, tapped(place / "x.mtap", **options))
        check_equal((done.returncode, json.loads(done.stdout)["much"]), (0, False), options)
        check_readable(place / "x.mtap", options)
        (place / "x.mtap").unlink()


def test_file_size_limit(place):
    for options in VARIANTS:
        check_same_and_counted(place, [program("rlimits"), "fsize"], **options)


def test_address_space_limit(place):
    """Under mtmalloc the program itself may find less memory; it must end well all the same."""
    for options in VARIANTS[:2]:
        check_same_and_counted(place, [program("rlimits"), "as"], **options)


def test_descriptor_limit(place):
    for options in VARIANTS:
        check_same_and_counted(place, [program("rlimits"), "nofile"], **options)


def test_no_file_from_the_start(place):
    """Nothing can be recorded: the program runs as if untapped."""
    done = run(["sh", "-c", f"ulimit -f 0; LD_PRELOAD={LIBRARY} MALLOCTAP=out={place}/x.mtap "
                f"exec {program('rlimits')} none"], place)
    check_exit(done, 0, "ulimit -f 0")
    check_equal(json.loads(done.stdout)["threads"], 40, "threads started")


def test_filesystem_full_for_many_threads(place):
    """Threads take over one another's chunks while others find no space for theirs."""
    full = place / "full"
    full.mkdir()
    for size in ("400k", "1m", "3m"):
        for options in VARIANTS:
            variables = " ".join(f"{key}='{value}'" for key, value in tapped(
                full / "x.mtap", **options).items() if key in ("LD_PRELOAD", "MALLOCTAP"))
            # In a mount namespace of its own; the recording is read there too, before it is gone.
            done = run(["unshare", "-rm", "sh", "-c",
                        f"mount -t tmpfs -o size={size} tmpfs {full} || exit 77\n"
                        f"{variables} {program('counts')} 24 exit {place}/truth; status=$?\n"
                        f"{MALLOCTAP} threads --json {full}/x.mtap && exit $status"], place)
            if done.returncode == 77 or b"unshare failed" in done.stderr:
                raise Skip("no file system can be mounted here")
            what = f"{size}, {options}"
            check_exit(done, 0, what)
            truth = sum(row["malloc"] for row in read_rows(place / "truth"))
            got = json.loads(done.stdout)["totals"]["malloc"]
            check(truth <= got <= truth + 100, f"{what}: {got} mallocs counted, truth {truth}")
            (place / "truth").unlink()


def test_valgrind(place):
    """It finds no fault with how the tap asks where readable memory ends; and `run` knows
    that it is in there. By default valgrind stands in for malloc itself, and there is nothing to
    see."""
    for tool in ("memcheck", "none"):
        arguments = ["valgrind", "-q", f"--tool={tool}", "--error-exitcode=9",
                     "--soname-synonyms=somalloc=nouserintercepts", program("threads_many"), 2, 1]
        try:
            plain = run(arguments, place)
        except FileNotFoundError as error:
            raise Skip("valgrind is not installed") from error
        check_exit(plain, 0, f"{tool}, plain")
        done = run_command(place / "x.mtap", arguments, place, ["-f", "--calls", 1])
        check_exit(done, 0, tool)
        check_equal((done.stdout, done.stderr), (plain.stdout, plain.stderr), f"{tool}: output")
        stacks = [stack for path in place.glob("x*.mtap")
                  for stack in view("stacks", path, "-n", 1000)["stacks"]]
        check(any(frame.get("function") == "main" for stack in stacks for frame in stack["frames"]),
              f"{tool}: no stack reaches main()")


def test_plugins(place):
    """Two libraries, loaded in turn at one address, are told apart while others allocate."""
    names = ("first_plugin", "second_plugin")
    paths = [PROGRAMS / f"lib{name}.so" for name in names]
    recording = place / "x.mtap"
    done = run([program("plugins"), 300, *paths], place,
               tapped(recording, calls=20, ring="0"))
    check_exit(done, 0, "plugins")
    truth = json.loads(done.stdout)["calls_each"]
    stacks = view("stacks", recording, "-n", "1000")["stacks"]
    for name in names:
        calls = error2 = 0
        for stack in stacks:
            if any(name in (frame.get("module") or "") for frame in stack["frames"]):
                calls += stack["calls"]
                error2 += stack["calls_stderr"] ** 2
        check(abs(calls - truth) <= 5 * error2 ** 0.5 + 1,
              f"{name}: {calls} calls estimated, +- {error2 ** 0.5}, truth {truth}")


def test_loading_while_walking(place):
    """Loading and unloading in one thread, stacks in others: no deadlock."""
    paths = [PROGRAMS / f"lib{name}_plugin.so" for name in ("first", "second")]
    done = run([program("plugins"), 2000, *paths], place, tapped(place / "x.mtap", calls=50))
    check_exit(done, 0, "plugins, 2000 rounds")


def test_deepbind(place):
    """A library that looks for malloc in libc first finds the tap there, whatever the backend."""
    for backend in backends():
        recording = place / f"{backend}.mtap"
        done = run_command(recording, [program("deepbind"), PROGRAMS / "libfirst_plugin.so"], place,
                           ["-b", backend])
        check_exit(done, 0, f"deepbind, {backend}")
        totals = view("threads", recording)["totals"]
        check(2000 <= totals["malloc"] < 2100, f"{backend}: {totals['malloc']} mallocs counted")
        check(2000 <= totals["free"] < 2100, f"{backend}: {totals['free']} frees counted")


def test_foreign_blocks(place):
    """Blocks that libc made behind the tap's back go back to it."""
    for backend, foreign in (("own", 0), ("libc", 0), ("mtmalloc", 3000)):
        recording = place / f"{backend}.mtap"
        done = run([program("foreign")], place, tapped(recording, backend=backend))
        check_exit(done, 0, f"foreign, {backend}")
        lost = view("summary", recording)["lost"]
        check_equal(lost["foreign_blocks"], foreign, f"foreign blocks, {backend}")


def test_environment_is_untouched(place):
    environment = tapped(place / "x.mtap")
    done = run(["env"], place, environment)
    seen = dict(line.split("=", 1) for line in done.stdout.decode().splitlines())
    for key in ("LD_PRELOAD", "MALLOCTAP"):
        check_equal(seen.get(key), environment[key], key)


def test_unrecorded_costs_no_memory(place):
    """Without a file there is nothing to sample for."""
    peak = {}
    for name, environment in (("plain", clean_environment()),
                              ("tapped", tapped("/no/such/place/x.mtap", calls=1))):
        script = ("import resource\nfor i in range(300000): bytes(600)\n"
                  "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)")
        environment["PYTHONMALLOC"] = "malloc"
        done = run([os.path.realpath(sys.executable), "-c", script], place, environment)
        check_exit(done, 0, f"python3, {name}")
        peak[name] = int(done.stdout)
    check(peak["tapped"] < peak["plain"] + 4096, f"peak in KiB: {peak}")

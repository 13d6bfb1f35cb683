# SPDX-License-Identifier: MIT
"""Programs that have broken other tools of this kind: see docs/PITFALLS.md."""
import json
import os
import subprocess
import sys

from harness import *

SANITIZERS = ("address", "thread", "leak")


def test_sanitized_children(place):
    """A sanitizer's malloc behind the tap is forwarded to and named; one in front of it is told of."""
    for sanitizer in SANITIZERS:
        child = program(f"sanitized_{sanitizer}")
        plain = run([child], place)
        check_exit(plain, 0, f"{child}, plain")
        alone = run([child], place, {**tapped(place / "x.mtap"),
                                     "ASAN_OPTIONS": "verify_asan_link_order=0"})
        in_front = b"stands before the tap" in alone.stderr
        (place / "x.mtap").unlink()
        for options in ((), ("--calls", "1"), ("-b", "mtmalloc"), ("-b", "libc"), ("-m", "log")):
            what = f"{sanitizer}, run {options}"
            done = run_command(place / "x.mtap", ["sh", "-c", f"{child}; exit $?"], place, options)
            check_exit(done, 0, what)
            check_equal(done.stdout, plain.stdout, f"{what}: output")
            check_equal(done.stderr, b"", f"{what}: said on the child's standard error")
            if not in_front:
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


def run_saying(place, *arguments, options=()):
    """`malloctap run`, and what it says in lines of its own."""
    done = run([MALLOCTAP, "run", "-q", "-f", "-o", place / "x.mtap", *options, "--", *arguments],
               place)
    check_exit(done, 0, f"run {arguments}")
    return done.stderr.decode()


def test_programs_without_the_tap(place):
    """Where the program or a child executes something that the tap is not in, `run` names it."""
    static = program("static_program")
    for arguments, expected in (
            (["env", "-i", "sleep", "0.5"], ("the program became", "/sleep", "lost LD_PRELOAD")),
            (["sh", "-c", "unset LD_PRELOAD; exec sleep 0.5"],
             ("the program became", "/sleep", "lost LD_PRELOAD")),
            (["sh", "-c", f"exec {static} 15000000"],
             ("the program became", "/static_program", "it is static")),
            (["sh", "-c", "env -i sleep 0.5; true"],
             ("1 program that it started", "/sleep", "lost LD_PRELOAD")),
            ([sys.executable, "-c", f"import subprocess; subprocess.run(['{static}', '15000000'])"],
             ("1 program that it started", "/static_program", "it is static"))):
        said = run_saying(place, *arguments)
        for words in expected:
            check(words in said, f"{arguments}: no '{words}' in {said!r}")
        check(said.count("\n") == 1, f"{arguments}: more than one line: {said!r}")


def test_brief_programs_without_the_tap(place):
    """Too brief to be looked at: what is said then is said with an if, but it is said."""
    said = run_saying(place, "env", "-i", "true")
    check("the program became" in said or "called true at its end" in said, f"env -i true: {said!r}")


def test_children_with_a_malloc_of_their_own(place):
    """What stays unseen of them is said by `run`, not on their standard error."""
    child = program("own_malloc")
    done = run([MALLOCTAP, "run", "-q", "-o", place / "x.mtap", "--", "sh", "-c",
                f"{child} 100 2>{place}/errors; true"], place)
    check_exit(done, 0, "own_malloc")
    check_equal((place / "errors").read_text(), "", "its standard error")
    check_one_line(done.stderr, "run")
    check(f"{child}: has a malloc of its own inside" in done.stderr.decode(), f"{done.stderr!r}")


def test_nothing_is_said_of_tapped_programs(place):
    for arguments in (["sh", "-c", "ls; cat /dev/null; sleep 0.2; env true"],
                      ["sh", "-c", "exec sh -c 'exec sleep 0.2'"],
                      [sys.executable, "-c", "import os; os._exit(0)"],
                      [sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '0.2'])"]):
        check_equal(run_saying(place, *arguments), "", f"{arguments}: said")
        said = run_saying(place, *arguments, options=["--no-children"])
        check_equal(said, "", f"--no-children, {arguments}: said")


def test_a_daemons_child_is_named(place):
    """The parent exits at once: the summary leads to the recording where the work is."""
    for name in ("begun", "end"):
        os.mkfifo(place / name)
    script = (f"({program('shares')} 100000; echo > begun; read line < end) > /dev/null 2>&1 & "
              "read line < begun")
    done = run([MALLOCTAP, "run", "-o", place / "x.mtap", "--", "sh", "-c", script], place)
    check_exit(done, 0, "a daemon")
    (place / "end").write_text("now\n")
    said = done.stderr.decode()
    work, = (path for path in place.glob("x.*.mtap")
             if view("summary", path)["program"].endswith("shares"))
    for words in ("those with the most calls first", f"{work}: shares", "still running",
                  f"most calls are in a child: malloctap summary {work}"):
        check(words in said, f"no '{words}' in {said}")


def test_operators_of_plugins(place):
    """Libraries opened later bring operators of their own: what one makes, no other takes back."""
    plugins = [PROGRAMS / f"lib{name}_plugin.so"
               for name in ("first_operator", "second_operator", "cpp", "whole_cpp")]
    arguments = [program("operator_plugins"), *plugins]
    plain = run(arguments, place)
    check_exit(plain, 0, "operator_plugins, plain")
    for options in ({}, {"calls": 1}, {"backend": "mtmalloc"}, {"mode": "log"}):
        done = run(arguments, place, tapped(place / "x.mtap", **options))
        check_exit(done, 0, f"operator_plugins {options}")
        check_equal(done.stdout, plain.stdout, f"operator_plugins {options}: output")
        (place / "x.mtap").unlink()


def test_backend_that_calls_public_names(place):
    """Its calloc and realloc come back to malloc and free: each call is counted once."""
    library = PROGRAMS / "libpublic_malloc.so"
    for options in ({}, {"calls": 1}, {"mode": "count"}, {"mode": "log"}):
        recording, truth = place / "x.mtap", place / "truth"
        done = run([program("counts"), 4, "exit", truth], place,
                   tapped(recording, [library], **options))
        check_exit(done, 0, f"counts on public_malloc, {options}")
        check_threads(recording, read_rows(truth), f"counts on public_malloc, {options}")
        recording.unlink()
        truth.unlink()


VARIANTS = ({}, {"calls": 1}, {"mode": "log"}, {"backend": "mtmalloc"})


def test_backend_that_tells_no_sizes(place):
    """What a wrapper behind the tap leaves to libc, libc is asked for: programs fill their blocks."""
    library = PROGRAMS / "libwrapping_malloc.so"
    plain = run([program("usable")], place, clean_environment(LD_PRELOAD=library))
    check_exit(plain, 0, "usable on wrapping_malloc, plain")
    for options in VARIANTS:
        done = run([program("usable")], place, tapped(place / "x.mtap", [library], **options))
        check_exit(done, 0, f"usable on wrapping_malloc, {options}")
        (place / "x.mtap").unlink()


def test_calls_before_the_start(place):
    """Blocks from before a backend is known are good for everything, to the end."""
    library = PROGRAMS / "libearly_calls.so"
    for options in VARIANTS:
        # What is said of the bad option is said before there is a backend.
        environment = tapped(place / "x.mtap", [library], nosuchoption=1, **options)
        done = run([program("shares"), 1000], place, environment)
        check_exit(done, 0, f"early_calls {options}")
        check_one_line(done.stderr, f"early_calls {options}")
        check_readable(place / "x.mtap", f"early_calls {options}")
        (place / "x.mtap").unlink()


def test_constructors_that_never_run(place):
    """The program ends in another library's constructor, before ours: counted all the same."""
    environment = tapped(place / "x.mtap", [PROGRAMS / "libearly_end.so"])
    done = run([program("shares"), 1000], place, environment)
    check_exit(done, 0, "early end")
    check_equal(done.stdout, b"", "the program ran")
    check_readable(place / "x.mtap", "early end")


def test_backend_that_nobody_may_enter_again(place):
    """Nothing of ours allocates through a backend that is at work."""
    library = PROGRAMS / "libstrict_malloc.so"
    for arguments in ([program("counts"), 4, "exit", place / "truth"], [program("customs"), "shells"],
                      [program("customs"), "cancellation"]):
        for options in VARIANTS[:3]:
            done = run(arguments, place, tapped(place / "x.mtap", [library], **options))
            check_exit(done, 0, f"{arguments} on strict_malloc, {options}")
            for path in place.glob("x*.mtap"):
                path.unlink()


def test_static_thread_storage_is_scarce(place):
    """A library that is opened late finds the room taken if everybody takes a lot."""
    done = run(["readelf", "-lW", LIBRARY], place)
    check_exit(done, 0, "readelf")
    sizes = [int(line.split()[5], 16) for line in done.stdout.decode().splitlines()
             if line.split()[:1] == ["TLS"]]
    check(sizes and sizes[0] < 1024, f"thread-local storage: {sizes}")


def test_exports_nothing_but_the_family(place):
    done = run(["nm", "-D", "--defined-only", LIBRARY], place)
    check_exit(done, 0, "nm")
    names = {line.split()[-1] for line in done.stdout.decode().splitlines()}
    family = {"malloc", "free", "calloc", "realloc", "reallocarray", "posix_memalign",
              "aligned_alloc", "memalign", "valloc", "pvalloc", "malloc_usable_size", "free_sized",
              "free_aligned_sized"}
    check(family <= names, f"missing: {family - names}")
    others = {name for name in names - family if not name.startswith(("_Zn", "_Zd"))}
    check_equal(others, set(), "other exports")


def test_children_leave_the_parents_recording_alone(place):
    """Bit for bit: a child works while the parent only waits."""
    for options in VARIANTS:
        recording = place / "x.mtap"
        parent = subprocess.Popen([program("waiting_parent")], cwd=place, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, env=tapped(recording, **options))
        check_equal(parent.stdout.readline(), b"ready\n", "the parent")
        before = recording.read_bytes()
        parent.stdin.write(b"go\n")
        parent.stdin.flush()
        check_equal(parent.stdout.readline(), b"done\n", "the child")
        after = recording.read_bytes()
        parent.communicate()
        check_equal(parent.returncode, 0, "exit status")
        check(before == after, f"the parent's recording changed, {options}")
        for path in place.glob("x*.mtap"):
            path.unlink()


def test_children_that_cannot_be_recorded(place):
    """A child that may not write beside its parent is counted there, and `run` says so."""
    (place / "root").mkdir()
    place.chmod(0o755)
    tried = 0
    for what in ("user", "root", "limit"):
        plain = run([program("dropping_child"), what, place / "root"], place)
        if plain.returncode == 77:
            continue
        for options in ((), ("-m", "log"), ("-b", "mtmalloc")):
            done = run_command(place / "x.mtap", [program("dropping_child"), what, place / "root"],
                               place, ("-f", *options))
            check_equal((done.returncode, done.stdout), (plain.returncode, plain.stdout), what)
            check(b"1 process that it forked could not create a recording" in done.stderr,
                  f"{what}: {done.stderr!r}")
            lost = view("summary", place / "x.mtap")["lost"]
            check_equal(lost["children_unrecorded"], 1, f"{what}, {options}: children lost")
        tried += 1
    check(tried, "nothing could be tried")


def test_programs_that_cannot_be_recorded(place):
    """In a namespace where the recordings' directory is read-only; who runs it all is told, not the
    program's standard error."""
    place.chmod(0o755)
    hide = f"mount -t tmpfs -o ro none {place} 2>/dev/null || exit 77; "
    if run(["unshare", "-Urm", "sh", "-c", hide], place).returncode:
        raise Skip("no file system can be mounted here")
    for script, expected in (("exec sleep 0.5", "the program became"),
                             ("sleep 0.5; true", "1 program that it started")):
        done = run([MALLOCTAP, "run", "-q", "-f", "-o", place / "x.mtap", "--", "unshare", "-Urm", "sh",
                    "-c", hide + script], place)
        check_exit(done, 0, script)
        check_one_line(done.stderr, script)
        for words in (expected, "/sleep", "Read-only file system"):
            check(words in done.stderr.decode(), f"{script}: no '{words}' in {done.stderr!r}")


def test_children_say_nothing_of_the_recording_they_find(place):
    """A child of another user or namespace cannot see that a recording is its parent's."""
    place.chmod(0o1777)
    tried = 0
    for change in (["setpriv", "--reuid", "65534", "--clear-groups"], ["unshare", "-Urpf"]):
        arguments = [*change, "sh", "-c", "ls / >/dev/null; exit 5"]
        if run(arguments, place).returncode != 5:
            continue
        if run([*change, "test", "-r", LIBRARY], place).returncode:
            continue  # the loader will not find the tap, and says so
        done = run_command(place / "x.mtap", arguments, place, ("-f",))
        check_exit(done, 5, change[0])
        check_equal(done.stderr, b"", f"{change}: said on the program's standard error")
        tried += 1
    if not tried:
        raise Skip("no other user who may read the tap, and no other namespace")


def test_packed_at_the_end(place):
    """`run --pack`: the summary and all views read what is left."""
    done = run([MALLOCTAP, "run", "--pack", "-o", place / "x.mtap", "--", "sh", "-c",
                f"{program('shares')} 1000"], place)
    check_exit(done, 0, "run --pack")
    check_equal(list(place.glob("*.mtap")), [], "recordings that are not packed")
    check(f"{place}/x.mtap.zst".encode() in done.stderr, "the summary does not name what is left")
    for path in place.glob("*.zst"):
        check_readable(path, path.name)


def test_failed_realloc_leaves_the_block_live(place):
    """Of two blocks for which realloc fails, one is freed: the other stays live, with its size."""
    done = run([program("failed_realloc")], place,
               tapped(place / "x.mtap", calls=1, bytes=1))
    check_exit(done, 0, "failed_realloc")
    stacks = view("stacks", place / "x.mtap", "--by", "live", "-n", "1000")["stacks"]
    live = sum(stack["live_bytes"] for stack in stacks if any(
        frame["function"] == "leave_one" for frame in stack["frames"]))
    check(abs(live - 123456) < 1, f"{live} bytes live, of one block of 123456")


def test_addresses_in_order_of_time(place):
    """A block is given back before its address can be had again: so it stands in the log, whichever
    threads it was."""
    done = run([program("handover")], place, tapped(place / "x.mtap", mode="log", ring="0"))
    check_exit(done, 0, "handover")
    shown = run([MALLOCTAP, "log", "--json", place / "x.mtap"], place)
    check_exit(shown, 0, "log")
    live = set()
    for line in shown.stdout.splitlines():
        record = json.loads(line)
        if record["op"] == "malloc":
            check(record["address"] not in live, f"handed out twice: {record}")
            live.add(record["address"])
        elif record["op"] == "free" and record["address"] in live:
            live.remove(record["address"])
    check(len(live) < 100, f"{len(live)} blocks without an end")


def test_libunwind_is_opened_before_libc_has_begun(place):
    """The loader then begins libc: the program has its name and its environment all the same."""
    plain = run([program("invoked")], place, clean_environment(LD_PRELOAD="", MALLOCTAP=""))
    check_exit(plain, 0, "invoked, plain")
    for walker in ("auto", "libunwind"):
        done = run([program("invoked")], place, tapped(place / f"{walker}.mtap", walker=walker))
        check_exit(done, 0, f"invoked, {walker}")
        check_equal(done.stdout, plain.stdout, f"name and environment, {walker}")


def test_the_unwinder_starts_on_its_own_account(place):
    """What libunwind allocates, and the loader for it, is none of the program's calls."""
    recording, truth = place / "x.mtap", place / "truth"
    done = run([program("counts"), 1, "exit", truth], place,
               tapped(recording, walker="libunwind", calls=1))
    check_exit(done, 0, "counts")
    check_threads(recording, read_rows(truth), "walker=libunwind")

# SPDX-License-Identifier: MIT
"""Children are recordings of their own, exact, and never touch their parent's."""
import shutil

from harness import *


def pid_in(path):
    return view("summary", path)["pid"]


def recordings_by_pid(place):
    """Children have their pid in the recording's name; that it is the one inside, test_default_names
    shows."""
    found = {}
    for path in place.glob("*.mtap"):
        number = path.name.split(".")[-2]
        found[int(number) if number.isdigit() else pid_in(path)] = path
    return found


def check_children(place, what):
    rows = read_rows(place / "truth")
    recordings = recordings_by_pid(place)
    by_pid = {}
    for row in rows:
        by_pid.setdefault(row["pid"], []).append(row)
    check_equal(len(by_pid), 27, f"{what}: processes")
    for pid, its_rows in by_pid.items():
        check(pid in recordings, f"{what}: no recording of child {pid}")
        check_threads(recordings[pid], its_rows, f"{what}, {recordings[pid].name}")


def test_every_way_to_make_a_child(place):
    for options in ({}, {"calls": 1}, {"mode": "count"}, {"backend": "mtmalloc"}):
        for old in place.iterdir():
            old.unlink()
        done = run([program("forks"), place / "truth"], place,
                   tapped(place / "forks.mtap", **options))
        check_exit(done, 0, f"forks {options}")
        check_equal(done.stderr, b"", "stderr")
        check_children(place, f"forks {options}")


def test_default_names(place):
    done = run([program("forks"), place / "truth"], place,
               clean_environment(LD_PRELOAD=str(LIBRARY)))
    check_exit(done, 0, "forks")
    check_children(place, "default names")
    for path in place.glob("*.mtap"):
        check_equal(path.name, f"malloctap.forks.{pid_in(path)}.mtap", "name of a recording")


def test_children_off(place):
    done = run([program("forks"), place / "truth"], place,
               tapped(place / "forks.mtap", children="off"))
    check_exit(done, 0, "forks, children=off")
    check_equal([path.name for path in place.glob("*.mtap")], ["forks.mtap"], "recordings")
    parent = pid_in(place / "forks.mtap")
    rows = [row for row in read_rows(place / "truth") if row["pid"] == parent]
    check_threads(place / "forks.mtap", rows, "children=off")


def test_with_the_command(place):
    for backend in backends():
        for old in place.iterdir():
            old.unlink()
        done = run_command(place / "forks.mtap", [program("forks"), place / "truth"], place,
                           ["-b", backend])
        check_exit(done, 0, f"run -b {backend} forks")
        if backend in INSTALLABLE:
            # Such a library allocates for itself as it starts, in the main thread of each program.
            check_equal(len(recordings_by_pid(place)), 27, f"recordings under {backend}")
        else:
            check_children(place, f"run -b {backend}")


def test_shell_pipeline(place):
    """What a shell starts is recorded too, and the recording of the shell stays whole."""
    recording = place / "sh.mtap"
    done = run(["sh", "-c", f"{program('shares')} 1000 | cat; exit 3"], place, tapped(recording))
    check_exit(done, 3, "pipeline")
    names = {view("summary", path)["program"].split("/")[-1] for path in place.glob("*.mtap")}
    check("shares" in names and "cat" in names, f"programs recorded: {names}")


def test_fork_in_a_signal_handler(place):
    """The child comes back into a hook whose memory was wiped under it."""
    for options in ({}, {"calls": 1, "bytes": 1}, {"mode": "count"}):
        done = run([program("forking_handler"), 150], place, tapped(place / "x.mtap", **options))
        check_exit(done, 0, f"forking_handler {options}")
        for path in place.glob("x*.mtap"):
            path.unlink()



def test_programs_made_for_another_libc(place):
    """musl's loader takes up what LD_PRELOAD names, and ends where it misses a symbol of it. That
    its calloc() calls the public malloc() is counted there: so much is not promised."""
    compiler = shutil.which("musl-gcc")
    if not compiler:
        raise Skip("musl-gcc is not installed")
    built = run([compiler, "-fno-builtin", "-D_GNU_SOURCE", "-Dpvalloc=valloc", "-o", place / "forks",
                 ROOT / "tests" / "programs" / "forks.c"], place)
    check_exit(built, 0, "musl-gcc")
    for options in ((), ("-m", "log"), ("-b", "mtmalloc")):
        done = run_command(place / "sh.mtap", ["sh", "-c", "./forks truth; exit $?"], place, options)
        check_exit(done, 0, f"forks of musl, {options}")
        check_equal(done.stderr, b"", f"forks of musl, {options}: stderr")
        missing = {row["pid"] for row in read_rows(place / "truth")} - set(recordings_by_pid(place))
        check_equal(missing, set(), f"forks of musl, {options}: processes without a recording")
        for old in (*place.glob("*.mtap"), place / "truth"):
            old.unlink()


def test_fork_in_the_middle_of_a_logged_call(place):
    """That call finds no recording in the child; those after it do."""
    done = run([program("forking_handler"), 60], place, tapped(place / "x.mtap", mode="log"))
    check_exit(done, 0, "forking_handler, logged")
    children = list(place.glob("x.*.mtap"))
    check(len(children) > 40, f"{len(children)} recordings of children")
    for path in children:
        lost = view("summary", path)["lost"]["samples_lost"]
        check(lost <= 1, f"{path.name}: {lost} calls lost")

# SPDX-License-Identifier: MIT
"""malloctap compare: what it runs, how runs end, what it says, and that it leaves nothing behind.

Nothing here depends on how fast anything is; that the verdicts are right is for the unit tests."""
import csv
import io
import json
import os
import signal
import socket
import subprocess
import time

from harness import (MALLOCTAP, Skip, backends, check, check_equal, check_exit, check_one_line,
                     clean_environment, program, run)

SHELL = "/bin/sh"
PYTHON = "/usr/bin/python3"


def compare(place, options, script, **more):
    """compare of a shell script that finds `place` as its current directory."""
    return run([MALLOCTAP, "compare", *options, "--", SHELL, "-c", script], place, **more)


def compared(place, options, script):
    done = compare(place, ["--json", *options], script)
    check_exit(done, 0, f"compare {options} {script}")
    return json.loads(done.stdout), done.stderr.decode()


def gone(pid_file):
    """No process is left whose number was written there."""
    pid = int(pid_file.read_text())
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# ---- what comes out ----------------------------------------------------------------------------


def test_json(place):
    options = ["-n", "2", "-b", "base=libc", "-b", "mtmalloc", "-b", "libc,MALLOC_ARENA_MAX=1"]
    done = run([MALLOCTAP, "compare", "--json", *options, "--", program("shares"), 20000], place)
    check_exit(done, 0, "compare")
    result = json.loads(done.stdout)
    names = ["base", "mtmalloc", "libc,MALLOC_ARENA_MAX=1"]
    check_equal([backend["name"] for backend in result["backends"]], names, "backends")
    for backend in [*result["backends"], result["plain"]]:
        name = backend["name"]
        check_equal([each["round"] for each in backend["runs"]], [1, 2], f"rounds of {name}")
        for each in backend["runs"]:
            for field in ("wall_ns", "cpu_ns", "peak_rss_bytes", "minor_faults"):
                small = name == "plain" and field == "peak_rss_bytes" and each[field] is None
                check(small or each[field] > 0, f"{field} of {name}: {each[field]}")
            check_equal(each["cpu_ns"], each["user_ns"] + each["system_ns"], "processor time")
            tapped = name != "plain"
            check_equal(each["calls"] is not None, tapped, f"calls of {name} are known")
        median = sum(each["wall_ns"] for each in backend["runs"]) / 2
        check(abs(backend["median"]["wall_ns"] - median) < 1, f"median of {name}")
    check_equal([verdict["name"] for verdict in result["verdict"]], names[1:], "verdicts")
    for verdict in result["verdict"]:
        check_equal(verdict["against"], "base", "what it is compared with")
        check_equal(verdict["wall_ns"]["differs"], False, "a claim of two rounds")
        check("2 rounds cannot tell" in verdict["text"], verdict["text"])
    check(b"-n 2 cannot tell" in done.stderr, f"not warned: {done.stderr}")


def test_csv(place):
    done = compare(place, ["--csv", "-n", "1", "-b", "libc", "-b", "mtmalloc"], "exit 0")
    check_exit(done, 0, "compare --csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    check_equal([row["name"] for row in rows], ["libc", "mtmalloc", "plain"], "rows")
    for row in rows:
        check(float(row["wall_ns"]) > 0, f"wall_ns: {row}")
        check_equal(row["failed"], "0", "failed runs")


def test_text(place):
    done = compare(place, ["-n", "2", "-b", "libc", "-b", "mtmalloc"], "exit 0")
    check_exit(done, 0, "compare")
    text = done.stdout.decode()
    check(text.startswith("Time to the end in 2 interleaved rounds"), text)
    for words in ("\nlibc ", "\nmtmalloc ", "\nmtmalloc: 2 rounds cannot tell", "The tap's own cost",
                  "% time (may be noise), "):
        check(words in text, f"{words!r} is missing: {text}")


def test_environment_and_input(place):
    (place / "input").write_text("some words\n")
    options = ["-n", "1", "--stdin", "input", "--keep-output", "out", "-b", "libc",
               "-b", "red=libc,COLOUR=red", "-b", "blue=libc,COLOUR=blue"]
    compared(place, options, 'echo "$COLOUR: $(cat)"')
    files = {path.name: path.read_text() for path in (place / "out").iterdir()}
    check_equal(files, {"1-libc-1.txt": ": some words\n", "2-red-1.txt": "red: some words\n",
                        "3-blue-1.txt": "blue: some words\n", "4-plain-1.txt": ": some words\n"},
                "what the runs printed")


def test_recordings_are_kept(place):
    compared(place, ["-n", "2", "--keep", "kept", "-b", "libc"], "exit 0")
    names = sorted(path.name for path in (place / "kept").iterdir())
    check_equal(names, ["1-libc-1.mtap", "1-libc-2.mtap"], "recordings")
    check_exit(run([MALLOCTAP, "summary", place / "kept" / names[0]], place), 0, "summary")


def test_processes_are_added(place):
    result, _ = compared(place, ["-n", "1", "-b", "libc"], "/bin/true; /bin/true; exit 0")
    check_equal(result["backends"][0]["runs"][0]["processes"], 3, "processes")


def test_rounds_are_fair(place):
    compared(place, ["-n", "6", "-b", "a=libc,ITEM=a", "-b", "b=libc,ITEM=b"],
             'echo "$ITEM${LD_PRELOAD:+ tapped}" >>log')
    runs = (place / "log").read_text().splitlines()
    rounds = [tuple(runs[i:i + 3]) for i in range(0, len(runs), 3)]
    check_equal(len(rounds), 7, "the warm-up and the rounds")
    for each in rounds:
        check_equal(sorted(each), ["a", "a tapped", "b tapped"], "the runs of a round")
    check_equal(len(set(rounds[1:])), 6, f"different orders in {rounds[1:]}")


def test_every_backend(place):
    arguments = [argument for name in backends() for argument in ("-b", name)]
    done = run([MALLOCTAP, "compare", "--json", "-n", "1", "--keep-output", "out", *arguments, "--",
                program("parallel_maps"), 4, 20000], place)
    check_exit(done, 0, "compare")
    for backend in json.loads(done.stdout)["backends"]:
        check_equal((len(backend["runs"]), backend["failures"]), (1, []), backend["name"])
    printed = {path.read_text() for path in (place / "out").iterdir()}
    check_equal(len(printed), 1, f"what it prints under different allocators: {printed}")


# ---- runs that fail ----------------------------------------------------------------------------

# Each run counts itself; $n is the number of this one.
COUNTING = "echo >>runs; n=$(wc -l <runs); "


def test_a_failing_run_is_named(place):
    # one warm-up and then rounds of libc and plain: the fourth run is in round 1
    result, stderr = compared(place, ["-n", "3", "-b", "libc"],
                              COUNTING + "if [ $n = 4 ]; then echo no more ideas; exit 3; fi")
    items = [result["backends"][0], result["plain"]]
    failures = [failure for item in items for failure in item["failures"]]
    check_equal(len(failures), 1, "failures")
    check_equal(failures[0]["round"], 1, "the round that failed")
    check("exit status 3" in failures[0]["why"], failures[0]["why"])
    check_equal(sorted(len(item["runs"]) for item in items), [2, 3], "runs that count")
    for words in ("round 1: ended with exit status 3", SHELL, "  | no more ideas"):
        check(words in stderr, f"{words!r} is not said: {stderr}")


def test_a_program_that_fails(place):
    done = compare(place, ["-n", "1", "-b", "libc"], "echo went wrong; kill -SEGV $$")
    check_exit(done, 2, "compare of a program that fails")
    for words in (b"signal 11", b"| went wrong", b"the program fails without the tap too"):
        check(words in done.stderr, f"{words} is not said: {done.stderr}")
    check_equal(done.stdout, b"", "output")


def test_exit_statuses_that_do_not_matter(place):
    result, _ = compared(place, ["-n", "1", "-i", "-b", "libc"], "exit 3")
    check_equal(len(result["backends"][0]["runs"]), 1, "runs that count")


def test_one_backend_fails(place):
    done = compare(place, ["-n", "1", "--json", "-b", "libc", "-b", "bad=libc,BAD=1"],
                   "exit ${BAD:-0}")
    check_exit(done, 0, "compare")
    good, bad = json.loads(done.stdout)["backends"]
    check_equal((len(good["runs"]), good["failures"]), (1, []), "the good one")
    check_equal((len(bad["runs"]), bad["failures"][0]["round"]), (0, 0), "the bad one")


def test_a_program_that_hangs(place):
    done = compare(place, ["-n", "1", "--timeout", "200ms", "-b", "libc"],
                   "echo $$ >pid; exec sleep 600")
    check_exit(done, 2, "compare of a program that hangs")
    check(b"did not end within 0.2 s" in done.stderr, f"{done.stderr}")
    check(gone(place / "pid"), "it still runs")


def test_what_is_left_behind(place):
    script = ("(setsid sh -c 'echo $$ >daemon.tmp; mv daemon.tmp daemon; exec sleep 600' &) ; "
              "while [ ! -e daemon ]; do sleep 0.01; done")
    compared(place, ["-n", "1", "-b", "libc"], script)
    check(gone(place / "daemon"), "a daemon still runs")


# ---- services ----------------------------------------------------------------------------------


def test_ready_late(place):
    script = "sleep 0.2; echo 'listening on 80'; echo $$ >pid; exec sleep 600"
    result, _ = compared(place, ["-n", "1", "--ready-output", "^listening on [0-9]+", "-b", "libc"],
                         script)
    check_equal(result["until"], "ready", "what was measured")
    check(result["backends"][0]["runs"][0]["wall_ns"] >= 200e6, f"{result['backends'][0]}")


def test_never_ready(place):
    done = compare(place, ["-n", "1", "--ready-output", "ready", "--timeout", "200ms", "-b", "libc"],
                   "echo $$ >pid; echo almost there; exec sleep 600")
    check_exit(done, 2, "compare of a service that is never ready")
    for words in (b"was not ready within 0.2 s (--timeout)", b"| almost there"):
        check(words in done.stderr, f"{words} is not said: {done.stderr}")
    check(gone(place / "pid"), "it still runs")


def test_ends_before_it_is_ready(place):
    done = compare(place, ["-n", "1", "--ready-file", "ready", "-b", "libc"], "exit 4")
    check_exit(done, 2, "compare of a service that ends")
    check(b"ended before it was ready (exit status 4)" in done.stderr, f"{done.stderr}")


def test_deaf_to_sigterm(place):
    script = "trap '' TERM; echo $$ >pid; echo ready; while :; do sleep 0.05; done"
    result, _ = compared(place, ["-n", "1", "--ready-output", "ready", "--grace", "100ms",
                                 "-b", "libc"], script)
    check_equal(len(result["backends"][0]["runs"]), 1, "runs that count")
    check(gone(place / "pid"), "it still runs")


def test_a_service_in_the_background(place):
    daemon = "echo $$ >pid; while [ ! -e gone ]; do sleep 0.01; done; echo >ready; exec sleep 600"
    script = f"rm -f gone; setsid sh -c '{daemon}' & (sleep 0.1; echo >gone) & exit 0"
    result, _ = compared(place, ["-n", "1", "--ready-file", "ready", "-b", "libc"], script)
    check_equal(len(result["backends"][0]["runs"]), 1, "runs that count")
    check(gone(place / "pid"), "it still runs")
    done = compare(place, ["-n", "1", "--ready-file", "ready", "-b", "libc"],
                   "setsid sh -c 'exit 3' & exit 0")
    check_exit(done, 2, "compare of a daemon that ends")
    check(b"ended before it was ready (exit status 0)" in done.stderr, f"{done.stderr}")


def test_ready_by_file(place):
    compared(place, ["-n", "2", "--ready-file", "ready", "-b", "libc"],
             "[ ! -e ready ] || exit 1; echo >ready; exec sleep 600")
    check(not (place / "ready").exists(), "the file is still there")


def test_ready_by_port(place):
    if not os.access(PYTHON, os.X_OK):
        raise Skip(f"no {PYTHON}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = place / "server.py"
    server.write_text("import signal, socket\n"
                      "listener = socket.socket()\n"
                      "listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
                      f"listener.bind(('127.0.0.1', {port}))\n"
                      "listener.listen()\n"
                      "signal.pause()\n")
    compared(place, ["-n", "1", "--ready-port", port, "-b", "libc"], f"exec {PYTHON} server.py")


# ---- before and after the runs -----------------------------------------------------------------


def test_setup_and_cleanup(place):
    result, _ = compared(place, ["-n", "2", "--setup", "echo start >state", "--cleanup",
                                 "cat state >>log; rm state", "-b", "libc"], "echo ran >>state")
    check_equal(len(result["backends"][0]["runs"]), 2, "runs that count")
    # libc and plain, each in a warm-up and two rounds
    check_equal((place / "log").read_text(), "start\nran\n" * 6, "what happened")
    check(not (place / "state").exists(), "cleanup was not run")
    done = compare(place, ["-n", "1", "--setup", "echo cannot; exit 5", "-b", "libc"], "echo >ran")
    check_exit(done, 2, "compare with a setup that fails")
    for words in (b"--setup ended with exit status 5", b"| cannot"):
        check(words in done.stderr, f"{words} is not said: {done.stderr}")
    check(b"-i:" not in done.stderr, "an option is named that does not count a setup that failed")
    check(not (place / "ran").exists(), "the program was run after a setup that failed")


def test_nothing_runs_with_bad_options(place):
    (place / "full").mkdir()
    (place / "full" / "file").write_text("")
    for options in (["-b", "no-such-allocator"], ["-n", "1", "-b", "no-such-allocator"],
                    ["-b", "libc", "-b", "libc"], ["-n", "0"],
                    ["--for", "soon"], ["--ready-port", "http"], ["--ready-output", "("],
                    ["--ready-file", "a", "--ready-output", "b"], ["--stdin", "none"],
                    ["--keep", "full"], ["--keep-output", "full/file"], ["--grace", "-1"]):
        done = compare(place, options, "echo >ran")
        check_exit(done, 2, f"compare {options}")
        check_one_line(done.stderr, f"compare {options}")
        check_equal(done.stdout, b"", f"compare {options}: output")
        check(not (place / "ran").exists(), f"compare {options}: the program was run")


def test_for_a_duration(place):
    result, _ = compared(place, ["--for", "1ms", "-b", "libc"], "exit 0")
    check_equal(result["rounds"], 1, "rounds")


# ---- interrupted -------------------------------------------------------------------------------


def interrupted_in_run(place, number, which_signal):
    """Interrupt compare while the program hangs in its run of this number."""
    temporary = place / "tmp"
    temporary.mkdir()
    script = COUNTING + f"[ $n = {number} ] || exit 0; echo $$ >pid.tmp; mv pid.tmp pid; exec sleep 600"
    command = [MALLOCTAP, "compare", "--json", "-n", "9", "-b", "libc", "--", SHELL, "-c", script]
    with subprocess.Popen([str(word) for word in command], cwd=place, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE,
                          env=clean_environment(TMPDIR=str(temporary))) as process:
        deadline = time.monotonic() + 60
        while not (place / "pid").exists() and process.poll() is None:
            check(time.monotonic() < deadline, "the run to be interrupted never came")
            time.sleep(0.01)
        process.send_signal(which_signal)
        output, errors = process.communicate(timeout=60)
    check_equal(process.returncode, 128 + which_signal, f"exit status; {errors}")
    check(gone(place / "pid"), "the program still runs")
    check_equal(list(temporary.iterdir()), [], "temporary files left")
    return output, errors


def test_interrupted(place):
    # run 7 is the first of round 3, after two warm-ups and two rounds of libc and plain
    output, errors = interrupted_in_run(place, 7, signal.SIGINT)
    result = json.loads(output)
    check_equal((result["stopped"], result["rounds"]), (True, 2), "how far it came")
    check_equal([len(item["runs"]) for item in (result["backends"][0], result["plain"])], [2, 2],
                "runs that count")
    check_equal([item["failures"] for item in (result["backends"][0], result["plain"])], [[], []],
                "an interrupt is no failure")
    check(b"stopped by a signal after 2 whole rounds" in errors, f"{errors}")


def test_interrupted_in_the_warm_up(place):
    output, errors = interrupted_in_run(place, 1, signal.SIGTERM)
    check_equal(output, b"", "output")
    check(b"stopped by a signal after 0 whole rounds" in errors, f"{errors}")

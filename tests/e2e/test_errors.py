# SPDX-License-Identifier: MIT
"""Whatever is wrong is said in one line, with exit status 2, and no program is started half tapped."""
import json
import os
import struct
import subprocess

from harness import *

VERSION_OFFSET = 8


def check_refused(place, arguments, what):
    """`arguments` are those of `malloctap run`; the program given would leave a mark."""
    mark = place / "started"
    done = run([MALLOCTAP, "run", *arguments], place)
    check_exit(done, 2, what)
    check_one_line(done.stderr, what)
    check_equal(done.stdout, b"", f"{what}: standard output")
    check(not mark.exists(), f"{what}: the program was started")


def marking(place):
    return ["--", "touch", place / "started"]


def test_run(place):
    check_refused(place, ["--no-such-option", *marking(place)], "unknown option")
    check_refused(place, ["-b", "no-such-backend", *marking(place)], "unknown backend")
    check_refused(place, ["-b", place / "none.so", *marking(place)], "missing backend library")
    check_refused(place, ["-m", "no-such-mode", *marking(place)], "unknown mode")
    check_refused(place, ["--calls", "none", *marking(place)], "bad number")
    check_refused(place, ["--ring", "12X", *marking(place)], "bad size")
    check_refused(place, ["-o", place / "none" / "x.mtap", *marking(place)], "no such directory")
    check_refused(place, ["-o", place, *marking(place)], "output is a directory")
    check_refused(place, ["--", place / "no-such-program"], "missing program")
    check_refused(place, ["--", "no-such-program-on-the-path"], "missing program, by name")
    check_refused(place, [], "no program")


def test_programs_that_cannot_be_tapped(place):
    script = place / "not-executable"
    script.write_text("#!/bin/sh\ntouch started\n")
    check_refused(place, ["--", script], "not executable")
    check_refused(place, ["--", place], "a directory")
    check_refused(place, ["--", program("static_program")], "static program")


def test_check(place):
    """`check` says beforehand what `run` would, and starts nothing."""
    mark = place / "started"
    for status, arguments in ((0, ["touch", mark]), (1, [program("own_malloc")]),
                              (2, [program("static_program")]), (2, ["no-such-program"])):
        done = run([MALLOCTAP, "check", *arguments], place)
        check_exit(done, status, f"check {arguments}")
        check(not mark.exists(), "check started the program")
        if status == 2:
            check_one_line(done.stderr, f"check {arguments}")
            check_equal(done.stdout, b"", f"check {arguments}: standard output")
        as_json = run([MALLOCTAP, "check", "--json", *arguments], place)
        check_exit(as_json, status, f"check --json {arguments}")
        told = json.loads(as_json.stdout)
        check_equal(told["tappable"], status != 2, f"check --json {arguments}: tappable")
        check_equal(bool(told["unseen"]), status == 1, f"check --json {arguments}: unseen")
        check_equal(bool(told["refusal"]), status == 2, f"check --json {arguments}: refusal")


def test_existing_output(place):
    recording = place / "x.mtap"
    recording.write_text("not a recording")
    check_refused(place, ["-o", recording, *marking(place)], "a foreign file is in the way")
    check_refused(place, ["-f", "-o", recording, *marking(place)], "a foreign file, with -f")
    check_equal(recording.read_text(), "not a recording", "the foreign file")


def test_output_that_is_being_written(place):
    recording = place / "x.mtap"
    with subprocess.Popen(["cat"], env={**os.environ, **tapped(recording)}, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as writer:
        writer.stdin.write(b"x\n")
        writer.stdin.flush()
        writer.stdout.readline()
        before = recording.stat().st_ino
        check_refused(place, ["-f", "-o", recording, *marking(place)], "another process writes it")
        check_equal(recording.stat().st_ino, before, "the recording")
        writer.communicate()
    done = run([MALLOCTAP, "run", "-q", "-f", "-o", recording, "--", "true"], place)
    check_exit(done, 0, "a recording that is finished")


def test_places_where_nothing_can_be_written(place):
    check_refused(place, ["-o", "/proc/x.mtap", *marking(place)], "no place for files")
    full = place / "full"
    full.mkdir()
    done = run(["unshare", "-rm", "sh", "-c",
                f"mount -t tmpfs -o size=64k tmpfs {full} || exit 77; head -c 60000 /dev/zero >{full}/fill\n"
                f"{MALLOCTAP} run -o {full}/x.mtap -- touch {place}/started"], place)
    if done.returncode == 77 or b"unshare failed" in done.stderr:
        raise Skip("no file system can be mounted here")
    check_exit(done, 2, "a full disk")
    check_one_line(done.stderr, "a full disk")
    check(b"No space left" in done.stderr, f"a full disk: {done.stderr}")
    check(not (place / "started").exists(), "the program was started on a full disk")


def test_recordings_that_go_away(place):
    """What the program does with its own recording is not taken for a tap that was not there."""
    recording, other = place / "x.mtap", place / "other"
    other.mkdir()
    for script, told in (("rm x.mtap", "was deleted"), ("mv x.mtap y", f"malloctap summary {place}/y"),
                         ("mv x.mtap y; mv y z; rm z", "was deleted"),
                         ("mv x.mtap other", "was moved"), ("mv $PWD $PWD.away", "is not there")):
        # In one process: each program that the shell starts has a recording of its own.
        done = run_command(recording, ["env", "-u", "LD_PRELOAD", "sh", "-c", script], place)
        check_exit(done, 0, script)
        lines = done.stderr.decode().splitlines()
        check(any(told in line for line in lines), f"{script}: said {lines}")
        check(b"left no recording" not in done.stderr, f"{script}: said {lines}")
    place.with_name(place.name + ".away").rename(place)


def check_not_read(recording, what):
    for command in ("summary", "stacks", "threads"):
        for options in ((), ("--json",), ("--csv",)):
            done = run([MALLOCTAP, command, *options, recording], "/")
            check_exit(done, 2, f"{command} of {what}")
            check_one_line(done.stderr, f"{command} of {what}")
            check_equal(done.stdout, b"", f"{command} of {what}: standard output")


def test_bad_recordings(place):
    good = place / "good.mtap"
    done = run([program("shares"), 100000], place, tapped(good))
    check_exit(done, 0, "shares")
    content = good.read_bytes()
    bad = place / "bad.mtap"
    for size in (0, 1, 100, 4096, 32767):
        bad.write_bytes(content[:size])
        check_not_read(bad, f"a recording cut to {size} bytes")
    bad.write_bytes(b"#!/bin/sh\n" * 10000)
    check_not_read(bad, "a foreign file")
    newer = bytearray(content)
    version, = struct.unpack_from("=I", newer, VERSION_OFFSET)
    struct.pack_into("=I", newer, VERSION_OFFSET, version + 1)
    bad.write_bytes(newer)
    check_not_read(bad, "a newer recording")
    check_not_read(place / "none.mtap", "a missing file")
    check_not_read(place, "a directory")
    check_not_read("/dev/null", "a device")


def test_command(place):
    for arguments in (["no-such-command"], ["summary"], ["stacks", "--no-such-option", "x.mtap"]):
        done = run([MALLOCTAP, *arguments], place)
        check_exit(done, 2, f"malloctap {arguments}")
        check_one_line(done.stderr, f"malloctap {arguments}")
    done = run([MALLOCTAP, "--help"], place)
    check_exit(done, 0, "malloctap --help")
    for command in ("run", "check", "compare", "summary", "stacks", "threads"):
        check(command.encode() in done.stdout, f"--help does not name {command}")


def test_without_the_command(place):
    """A bad option is named once and ignored: the program runs on."""
    recording = place / "x.mtap"
    for option, value in (("nosuchkey", "1"), ("mode", "nosuchmode"), ("calls", "many")):
        done = run([program("shares"), 1000], place, tapped(recording, **{option: value}))
        check_exit(done, 0, option)
        check_one_line(done.stderr, option)
        check(option.encode() in done.stderr, f"{option} is not named in {done.stderr}")
        check_readable(recording, option)
        recording.unlink()
    for out in (place / "none" / "x.mtap", place):
        done = run([program("shares"), 1000], place, tapped(out))
        check_exit(done, 0, f"out={out}")
        check_one_line(done.stderr, f"out={out}")

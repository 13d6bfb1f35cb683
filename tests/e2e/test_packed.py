# SPDX-License-Identifier: MIT
"""Packed recordings read as they were; pipes may end early; nothing that is still written is packed."""
import signal

from harness import *

VIEWS = (("summary",), ("threads",), ("stacks", "-n", "0"), ("stacks", "--by", "live"), ("leaks",))


def json_of(command, recording):
    """What a view prints of a recording, whatever that is called."""
    done = run([MALLOCTAP, *command, "--json", recording], "/")
    check_exit(done, 0, f"{command} {recording}")
    return done.stdout.replace(b"counts.mtap.zst", b"counts.mtap")


COLUMNS = b"\x5c\x2a\x4d\x18"  # how a frame of a log begins


def pack_and_compare(place, what, columns, **tap_options):
    recording = place / "counts.mtap"
    packed = place / "counts.mtap.zst"
    done = run([program("counts"), 4, "kill", place / "truth"], place,
               tapped(recording, **tap_options))
    check_exit(done, -signal.SIGKILL, what)
    commands = [*VIEWS, ("log", "-S")]
    before = [json_of(command, recording) for command in commands]
    before_packing = recording.read_bytes()
    done = run([MALLOCTAP, "pack", recording], place)
    check_exit(done, 0, f"{what}: pack")
    check(not recording.exists(), f"{what}: the recording was not replaced")
    check_equal(COLUMNS in packed.read_bytes(), columns, f"{what}: in columns")
    for command, expected in zip(commands, before):
        check(json_of(command, packed) == expected, f"{what}: {command} of the packed one differs")
    unpacked = place / "unpacked.mtap"
    check_exit(run([MALLOCTAP, "pack", "-d", "-o", unpacked, packed], place), 0, f"{what}: unpack")
    check(not packed.exists(), f"{what}: the packed one was not replaced")
    check_equal(unpacked.read_bytes(), before_packing, f"{what}: unpacked")
    unpacked.unlink()


def test_log_reads_as_before(place):
    pack_and_compare(place, "log", True, mode="log")


def test_samples_read_as_before(place):
    pack_and_compare(place, "samples", False, calls=1)


def test_pipe_that_ends_early(place):
    recording = place / "counts.mtap"
    run([program("counts"), 4, "exit", place / "truth"], place, tapped(recording, mode="log"))
    for options in ((), ("--json",), ("--csv", "-S")):
        with subprocess.Popen([MALLOCTAP, "log", *options, recording], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as log:
            log.stdout.readline()
            log.stdout.close()
            check_equal(log.stderr.read(), b"", f"log {options}: said when its reader has gone")


def test_still_written(place):
    recording = place / "cat.mtap"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=tapped(recording, mode="log"), cwd=place) as cat:
        cat.stdin.write(b"line\n")
        cat.stdin.flush()
        check_equal(cat.stdout.readline(), b"line\n", "cat")
        done = run([MALLOCTAP, "pack", recording], place)
        check_exit(done, 2, "pack while it is written")
        check_one_line(done.stderr, "pack while it is written")
        check_exit(run([MALLOCTAP, "log", recording], place), 0, "log while it is written")
        cat.stdin.close()
        cat.wait()
    check(recording.exists(), "the recording has gone")
    check_exit(run([MALLOCTAP, "pack", recording], place), 0, "pack when it is finished")

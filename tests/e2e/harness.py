# SPDX-License-Identifier: MIT
"""What the end-to-end tests share: start programs plain and tapped, read recordings, compare."""
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("MALLOCTAP_BUILD", ROOT / "build")).resolve()
MALLOCTAP = BUILD / "tools" / "malloctap"
LIBRARY = BUILD / "lib" / "preload" / "libmalloctap.so"
PROGRAMS = BUILD / "tests" / "programs"

COUNTERS = ("malloc", "calloc", "realloc", "aligned", "free", "failed", "bytes_requested")

# Allocators that people install, by the name `-b` knows them under and a pattern for their file.
INSTALLABLE = {
    "jemalloc": "libjemalloc.so.*",
    "tcmalloc": "libtcmalloc.so.*",
    "tcmalloc_minimal": "libtcmalloc_minimal.so.*",
    "mimalloc": "libmimalloc.so.*",
}
LIBRARY_DIRECTORIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")


class Skip(Exception):
    """Raised by a test that cannot run here, with the reason."""


def program(name):
    path = PROGRAMS / name
    if not path.exists():
        raise Skip(f"{name} was not built")
    return str(path)


def installed_library(name):
    """The file of an installable allocator, or None."""
    for directory in LIBRARY_DIRECTORIES:
        for path in sorted(pathlib.Path(directory).glob(INSTALLABLE[name])):
            return str(path)
    return None


def backends():
    """Every backend there is here; of the two forms of tcmalloc, one."""
    found = ["own", "libc", "mtmalloc"]
    for name in INSTALLABLE:
        if installed_library(name) and not (name == "tcmalloc_minimal" and "tcmalloc" in found):
            found.append(name)
    return found


def clean_environment(**more):
    """The caller's environment without anything that would tap or change an allocator."""
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("LD_PRELOAD", "MALLOCTAP", "GLIBC_TUNABLES")
                   and not key.startswith("MALLOC_")}
    environment.update(more)
    return environment


def run(arguments, place, environment=None, stdin=b"", timeout=120, **options):
    """Run to the end, with both outputs captured as bytes."""
    return subprocess.run([str(argument) for argument in arguments], cwd=place, input=stdin,
                          env=environment or clean_environment(), timeout=timeout,
                          capture_output=True, check=False, **options)


def tapped(recording, preload_behind=(), **tap_options):
    """The environment that taps a program without the command."""
    spec = ",".join(f"{key}={value}" for key, value in {"out": recording, **tap_options}.items())
    preload = ":".join([str(LIBRARY), *map(str, preload_behind)])
    return clean_environment(LD_PRELOAD=preload, MALLOCTAP=spec)


def run_command(recording, arguments, place, options=(), **more):
    """`malloctap run`, without its summary."""
    return run([MALLOCTAP, "run", "-q", "-o", recording, *options, "--", *arguments], place, **more)


def view(command, recording, *options):
    """A view of a recording, as its JSON."""
    done = run([MALLOCTAP, command, "--json", *options, recording], "/")
    check(done.returncode == 0, f"{command} {recording}: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def check_equal(got, expected, what):
    check(got == expected, f"{what}: got {got!r}, expected {expected!r}")


def check_exit(done, status, what):
    check(done.returncode == status,
          f"{what}: exit {done.returncode}, expected {status}; stderr: {done.stderr[-2000:]!r}")


def check_one_line(text, what):
    """Exactly one line, not empty: what an error says."""
    lines = text.decode(errors="replace").splitlines()
    check(len(lines) == 1 and lines[0].strip(), f"{what}: expected one line, got {lines!r}")


def read_rows(path):
    """The truth as programs write it: a JSON object a line."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def check_threads(recording, rows, what):
    """Each row of the truth is a thread of the recording with the very same counts."""
    threads = {row["tid"]: row for row in view("threads", recording)["threads"]}
    for truth in rows:
        got = threads.get(truth["tid"])
        check(got is not None, f"{what}: thread {truth['tid']} is missing")
        for counter in COUNTERS:
            check_equal(got[counter], truth[counter], f"{what}: {counter} of thread {truth['tid']}")


def check_readable(recording, what):
    """A recording that can be read and in which something was counted; returns its summary."""
    check(recording.exists(), f"{what}: no recording")
    summary = view("summary", recording)
    check(summary["totals"]["malloc"] > 0, f"{what}: nothing was counted")
    return summary

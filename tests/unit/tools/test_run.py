# SPDX-License-Identifier: MIT
"""`malloctap run` between the user and the program: statuses, signals, terminal. What it starts is not
tapped here (a library that does nothing stands in), so every run must also say that it was not."""
import os
import pathlib
import pty
import signal
import subprocess
import sys
import tempfile
import time

MALLOCTAP, NO_TAP = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
# ASAN_OPTIONS is for this test, if at all; `run` adds to it.
ENVIRONMENT = {**os.environ, "MALLOCTAP_LIB": NO_TAP}
ENVIRONMENT.pop("ASAN_OPTIONS", None)
NOT_TAPPED = b"left no recording: the loader did not load the tap"


def check(condition, what):
    if not condition:
        sys.exit(f"{sys.argv[0]}: {what}")


def run(*arguments, **options):
    return subprocess.run([MALLOCTAP, "run", *arguments], env=ENVIRONMENT, timeout=20,
                          capture_output=True, check=False, **options)


def shell_start(script, **options):
    """A shell under `run` that has said it is ready."""
    process = subprocess.Popen([MALLOCTAP, "run", "sh", "-c", f"echo ready; {script}"],
                               env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               **options)
    check(process.stdout.readline() == b"ready\n", "the program did not start")
    return process


def test_status_and_missing_handshake():
    for script, status in (("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 128 + 15),
                           ("kill -KILL $$", 128 + 9), ("kill -SEGV $$", 128 + 11)):
        done = run("sh", "-c", script)
        check(done.returncode == status, f"{script}: exit status {done.returncode}")
        check(NOT_TAPPED in done.stderr, f"{script}: silent about the missing recording")
        check(done.stderr.count(b"\n") == 1, f"{script}: more than one line: {done.stderr}")


def test_streams_are_the_programs():
    done = run("--", "cat", input=b"some words")
    check(done.stdout == b"some words", f"cat printed {done.stdout}")


def test_arguments_are_the_programs():
    done = run("-q", "printf", "%s|", "-q", "--", "--help", "")
    check(done.stdout == b"-q|--|--help||", f"printf printed {done.stdout}")


def test_environment_is_passed_on():
    done = run("-b", "libc,ADDED=a=b:c", "env")
    lines = dict(line.split(b"=", 1) for line in done.stdout.splitlines())
    preload, options = lines.pop(b"LD_PRELOAD"), lines.pop(b"MALLOCTAP")
    check(preload == NO_TAP.encode(), f"LD_PRELOAD={preload}")
    check(b",backend=libc,out=/" in options, f"MALLOCTAP={options}")
    check(lines.pop(b"ADDED") == b"a=b:c", "the backend's variable")
    for line in subprocess.run(["env"], env=ENVIRONMENT, capture_output=True,
                               check=True).stdout.splitlines():
        name, value = line.split(b"=", 1)
        check(lines.get(name) == value or name == b"_", f"{name} changed")


def test_signals_are_passed_on():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        process = shell_start("trap 'echo caught; exit 5' TERM INT HUP QUIT; echo set;"
                              "while :; do sleep 0.05; done")
        check(process.stdout.readline() == b"set\n", "the trap was not set")
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
        check(out == b"caught\n" and process.returncode == 5,
              f"signal {number}: {out}, exit status {process.returncode}")


def test_ignored_signals_stay_ignored():
    process = shell_start("exec sleep 1",
                          preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=20)
    check(process.returncode == 0, f"nohup: exit status {process.returncode}")


def test_ignored_children_are_waited_for():
    """A parent that ignores SIGCHLD passes this on; waiting must work all the same, and the program
    must find it as it was."""
    ignore = lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    done = run("grep", "SigIgn", "/proc/self/status", preexec_fn=ignore)
    check(done.returncode == 0, f"SIGCHLD ignored: exit status {done.returncode}")
    ignored = int(done.stdout.split()[1], 16)
    check(ignored >> (signal.SIGCHLD - 1) & 1, "the program does not ignore SIGCHLD")


class NoTerminal(Exception):
    """Some containers have no pseudo-terminals."""


def fork_on_terminal():
    try:
        return pty.fork()
    except OSError as reason:
        raise NoTerminal(reason) from None


def read_until(terminal, text):
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 1000)
    return seen


def test_interrupt_from_the_terminal():
    """Program and `run` both get ^C, each once; `run` outlives it."""
    child, terminal = fork_on_terminal()
    if child == 0:
        os.execve(MALLOCTAP, [MALLOCTAP, "run", "sh", "-c",
                              "trap 'echo caught; n=$((n+1)); [ $n = 2 ] && exit 9' INT; echo set;"
                              "while :; do sleep 0.05; done"], ENVIRONMENT)
    read_until(terminal, b"set")
    os.write(terminal, b"\x03")
    read_until(terminal, b"caught")
    time.sleep(0.3)
    os.set_blocking(terminal, False)
    try:
        check(b"caught" not in os.read(terminal, 1000), "the program got ^C twice")
    except BlockingIOError:
        pass
    os.set_blocking(terminal, True)
    os.write(terminal, b"\x03")
    read_until(terminal, NOT_TAPPED)
    _, status = os.waitpid(child, 0)
    check(os.waitstatus_to_exitcode(status) == 9, f"after ^C: {status}")
    os.close(terminal)


def test_job_control():
    """^Z stops both, so that the shell gets its terminal back; both go on together."""
    child, terminal = fork_on_terminal()
    if child == 0:
        # A process group whose parent is in another one of the session: else ^Z has no effect.
        inner = os.fork()
        if inner == 0:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            os.execve(MALLOCTAP, [MALLOCTAP, "run", "sh", "-c", "echo set; sleep 0.3; exit 4"],
                      ENVIRONMENT)
        _, status = os.waitpid(inner, os.WUNTRACED)
        stopped = os.WIFSTOPPED(status)
        os.killpg(inner, signal.SIGCONT)
        _, status = os.waitpid(inner, 0)
        os._exit(0 if stopped and os.waitstatus_to_exitcode(status) == 4 else 1)
    read_until(terminal, b"set")
    os.write(terminal, b"\x1a")
    read_until(terminal, NOT_TAPPED)
    _, status = os.waitpid(child, 0)
    check(status == 0, f"^Z: {status}")
    os.close(terminal)


def main():
    # A shell that starts tests in the background, or nohup, has them ignored, and so would every
    # program here.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        for name, test in list(globals().items()):
            if not name.startswith("test_"):
                continue
            try:
                test()
            except NoTerminal as reason:
                print(f"{name}: skipped, no pseudo-terminal to be had: {reason}")
        check(os.listdir(place) == [], f"left behind: {os.listdir(place)}")


main()

# SPDX-License-Identifier: MIT
"""mtmalloc, preloaded as a library of its own and behind the tap: programs that would hang or go wrong
on an allocator whose locks are in the way, and programs that run for a while."""
import os
import re
import shutil
import socket
import subprocess

from harness import *

MTMALLOC = BUILD / "lib" / "mtmalloc" / "libmtmalloc.so"
SYSTEM_PYTHON = "/usr/bin/python3"


def preloaded(**more):
    if not MTMALLOC.exists():
        raise Skip("libmtmalloc.so was not built")
    return clean_environment(LD_PRELOAD=str(MTMALLOC), **more)


def both_ways(place):
    """The two ways to run a program on mtmalloc: a name and its environment."""
    return {"libmtmalloc.so": preloaded(),
            "the tap": tapped(place / "%p.mtap", backend="mtmalloc", quiet=1)}


def check_both_ways(place, arguments, timeout=60):
    for way, environment in both_ways(place).items():
        done = run(arguments, place, environment, timeout=timeout)
        check_exit(done, 0, f"{' '.join(map(str, arguments))} under {way}")


# ---- forks and signals ----------------------------------------------------------------------------

def test_fork_handlers_that_allocate(place):
    check_both_ways(place, [program("hostile_forks"), "handlers"])


def test_fork_storm(place):
    check_both_ways(place, [program("hostile_forks"), "storm"])


def test_fork_beside_streams(place):
    check_both_ways(place, [program("fork_streams")])


def test_vfork_and_spawn(place):
    check_both_ways(place, [program("hostile_forks"), "shared"])


def test_raw_clone_while_locks_are_held(place):
    check_both_ways(place, [program("hostile_forks"), "clone"])


def test_forks_in_handlers_that_interrupt_the_allocator(place):
    check_both_ways(place, [program("hostile_forks"), "interrupted"])
    check_both_ways(place, [program("forking_handler"), "1000"])


def test_handlers_that_allocate_anywhere(place):
    done = run([program("signals"), "anywhere"], place, preloaded())
    check_exit(done, 0, "signals anywhere")
    check(json.loads(done.stdout)["in_handler"] > 100, f"hardly any signals: {done.stdout!r}")


# ---- programs that run for a while ----------------------------------------------------------------

def test_python_own_tests(place):
    """Modules of Python's own test suite must end as they do on libc."""
    modules = ["test_json", "test_struct", "test_fork1", "test_thread"]
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('test.test_json') is None)"
    if not os.path.exists(SYSTEM_PYTHON) or run([SYSTEM_PYTHON, "-c", look], place).returncode != 0:
        raise Skip("Python's own tests are not installed")

    def results(environment):
        done = run([SYSTEM_PYTHON, "-m", "test", "-j1", *modules], place, environment, timeout=100)
        return sorted(re.findall(rb"^.*?\] (test_\w+ \w+)", done.stdout, re.MULTILINE))

    environments = both_ways(place)
    plain = results(clean_environment())
    check_equal(len(plain), len(modules), "modules that ended")
    for way, environment in environments.items():
        check_equal(results({**environment, "PYTHONMALLOC": "malloc"}), plain, f"results under {way}")


def test_parallel_build(place):
    """make -j2 with every process on mtmalloc."""
    make, compiler = shutil.which("make"), shutil.which("gcc")
    if not make or not compiler:
        raise Skip("make or gcc is not installed")
    names = [f"part{i}" for i in range(8)]
    for name in names:
        lines = [f"int {name}_{i}(int x) {{ return x * {i} + {name}_{i - 1}(x); }}" for i in range(1, 300)]
        place.joinpath(f"{name}.c").write_text(f"int {name}_0(int x) {{ return x; }}\n" + "\n".join(lines))
    place.joinpath("main.c").write_text(
        "".join(f"int {name}_299(int);\n" for name in names) +
        "int main(void) { return (" + " + ".join(f"{name}_299(1)" for name in names) + ") == 0; }\n")
    objects = " ".join(f"{name}.o" for name in [*names, "main"])
    place.joinpath("Makefile").write_text(f"whole: {objects}\n\tgcc -o $@ {objects}\n")
    for way, environment in both_ways(place).items():
        done = run([make, "-j2", "CFLAGS=-O1"], place, environment)
        check_exit(done, 0, f"make under {way}")
        check_exit(run([place / "whole"], place), 0, f"what was built under {way}")
        for made in [*place.glob("*.o"), place / "whole"]:
            made.unlink()


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) * 1024


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_redis_levels_off(place):
    """The same load again and again needs no more memory, in the end."""
    if not all(map(shutil.which, ("redis-server", "redis-benchmark", "redis-cli"))):
        raise Skip("redis is not installed")
    for way, environment in both_ways(place).items():
        port = str(free_port())
        server = subprocess.Popen(["redis-server", "--port", port, "--save", ""], cwd=place,
                                  env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            for line in server.stdout:
                if b"eady to accept connections" in line:
                    break
            sizes = []
            for _ in range(6):
                load = run(["redis-benchmark", "-p", port, "-q", "-n", "20000", "-P", "16", "-r", "2000",
                            "-d", "500", "-t", "set,get,lpush,lpop,sadd,spop,hset,zadd,zpopmin"], place)
                check_exit(load, 0, f"redis-benchmark under {way}")
                check_exit(run(["redis-cli", "-p", port, "flushall"], place), 0, "flushall")
                sizes.append(resident_bytes(server.pid))
            check(sizes[-1] < 1.1 * sizes[2] + (4 << 20), f"redis under {way} grows: {sizes}")
            run(["redis-cli", "-p", port, "shutdown", "nosave"], place)
            check_equal(server.wait(20), 0, f"exit status of redis under {way}")
        finally:
            server.stdout.close()
            if server.poll() is None:
                server.kill()
                server.wait()


# ---- what the tap shows of it ---------------------------------------------------------------------

def test_locks_and_memory_in_every_view(place):
    recording = place / "threads.mtap"
    arguments = [program("threads_many"), 200, 20]
    check_exit(run_command(recording, arguments, place, ["-b", "mtmalloc"]), 0, "threads_many")
    summary, threads = view("summary", recording), view("threads", recording)
    allocations = sum(summary["totals"][name] for name in ("malloc", "calloc", "aligned"))
    kinds = {row["kind"]: row for row in summary["locks"]}
    check(kinds["list"]["acquisitions"] >= allocations, f"a list's lock for each allocation: {kinds}")
    check(kinds["cache"]["acquisitions"] >= allocations + summary["totals"]["free"],
          f"a cache's lock for each call: {kinds}")
    check_equal(sum(row["acquisitions"] for row in threads["locks"]), kinds["list"]["acquisitions"],
                "acquisitions by list")
    caches = [row for row in summary["allocator_memory"] if row["buffer_size"]]
    for total in ("held_bytes", "in_use_bytes", "requested_bytes"):
        check_equal(sum(row[total] for row in caches), kinds["cache"][total], f"{total} by size")
    for row in caches:
        check_equal(row["in_use_bytes"], row["in_use"] * row["buffer_size"], "bytes as rounded up")
        check(row["requested_bytes"] <= row["in_use_bytes"], f"more asked for than in use: {row}")

    for command, words in (("summary", (b"Locks of the allocator", b"Memory of the allocator")),
                           ("threads", (b"Locks of the allocator by list",))):
        text = run([MALLOCTAP, command, recording], place).stdout
        for word in words:
            check(word in text, f"{command} does not show: {word}")

    done = run([MALLOCTAP, "compare", "--json", "-n", "2", "-b", "own", "-b", "mtmalloc", "--", *arguments],
               place)
    check_exit(done, 0, "compare")
    runs = {backend["name"]: backend["runs"] for backend in json.loads(done.stdout)["backends"]}
    check(all(one["lock_acquisitions"] > 0 for one in runs["mtmalloc"]), f"no locks in compare: {runs}")

# SPDX-License-Identifier: MIT
"""A log holds every call, however the process ends; where it cannot, it says how many it lost."""
import collections
import os
import resource
import sys

from harness import *
from test_counts import ENDS, truth_of

OPERATIONS = ("malloc", "calloc", "realloc", "aligned", "free")

# Allocates so much for each line it reads, and answers.
WORKER = """
import sys
for line in sys.stdin:
    blocks = [bytes(5000) for _ in range(int(line))]
    del blocks
    print("done", flush=True)
"""


# The same in a program that is looked at more quickly; each assignment obtains a block.
SMALL_WORKER = """
while read count; do
    while [ "$count" -gt 0 ]; do count=$((count - 1)); text="some text $count"; done
    echo done
done
"""


def logged_events(recording):
    done = run([MALLOCTAP, "log", "--json", recording], ROOT)
    check_exit(done, 0, f"log: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def logged_by_thread(recording):
    """What the log says each thread did, as its counters would."""
    threads = collections.defaultdict(collections.Counter)
    for event in logged_events(recording):
        row = threads[event["tid"]]
        row[event["op"]] += 1
        if event["op"] in OPERATIONS and event["op"] != "free":
            row["failed"] += bool(event.get("failed"))
            row["bytes_requested"] += 0 if event.get("failed") else event["size"]
    return threads


def calls_of(recording):
    totals = view("threads", recording)["totals"]
    return sum(totals[operation] for operation in OPERATIONS)


def log_counts(place, threads, end, **options):
    what = f"log of {threads} threads, {end}, {options}"
    for old in place.iterdir():
        old.unlink()
    recording = place / "counts.mtap"
    done = run([program("counts"), threads, end, place / "truth"], place,
               tapped(recording, mode="log", ring=0, **options))
    check_exit(done, ENDS[end], what)
    check_equal(done.stderr, b"", f"{what}: stderr")
    truth = truth_of(place, threads, end)
    check_threads(recording, truth, what)
    logged = logged_by_thread(recording)
    for row in truth:
        for counter in COUNTERS:
            check_equal(logged[row["tid"]][counter], row[counter],
                        f"{what}: {counter} of thread {row['tid']}")


def test_one_thread(place):
    for end in ENDS:
        log_counts(place, 1, end)


def test_four_threads(place):
    for end in ENDS:
        log_counts(place, 4, end)


def test_many_threads(place):
    log_counts(place, 32, "kill")


def test_other_walkers_and_backends(place):
    log_counts(place, 4, "kill", walker="libunwind")
    log_counts(place, 4, "kill", walker="none")
    log_counts(place, 4, "kill", backend="mtmalloc")


def lost_of(recording):
    return view("leaks", recording)["losses"]


def test_a_flight_recorder_keeps_the_newest(place):
    recording = place / "counts.mtap"
    done = run([program("counts"), 1, "exit", place / "truth"], place,
               tapped(recording, mode="log", ring="64K"))
    check_exit(done, 0, "flight recorder")
    events = [event for event in logged_events(recording) if event["op"] != "realloc-free"]
    lost = lost_of(recording)
    check(lost["records_overwritten"] > 0, "nothing was overwritten")
    check_equal(len(events) + lost["records_overwritten"], calls_of(recording),
                "kept and overwritten")
    # What is kept is what came last: without a gap, as often as each is called in a round.
    kept = collections.Counter(event["op"] for event in events)
    check(abs(kept["free"] - kept["malloc"] * 7 / 2) < kept["free"] * 0.05, f"kept {kept}")


def test_a_full_disk_is_counted(place):
    recording = place / "counts.mtap"
    environment = tapped(recording, mode="log", ring=0)
    limit = 256 << 10
    plain = run([program("counts"), 4, "exit", place / "plain"], place)
    done = run([program("counts"), 4, "exit", place / "truth"], place, environment,
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    check_exit(done, 0, "with a limit on files")
    check_equal(done.stdout, plain.stdout, "output")
    check(recording.stat().st_size <= limit, "the limit was passed")
    lost = lost_of(recording)
    events = [event for event in logged_events(recording) if event["op"] != "realloc-free"]
    check(lost["records_no_space"] > 0, "nothing was lost")
    check_equal(len(events) + lost["records_no_space"], calls_of(recording), "logged and lost")
    check_threads(recording, read_rows(place / "truth"), "with a limit on files")
    said = run([MALLOCTAP, "leaks", recording], place)
    check(b"lost" in said.stdout.lower(), f"leaks says nothing of it: {said.stdout[:300]}")


def test_size_classes_are_those_of_the_sizes(place):
    recording = place / "counts.mtap"
    run([program("counts"), 1, "exit", place / "truth"], place, tapped(recording, mode="log", ring=0))
    expected = collections.defaultdict(collections.Counter)
    for event in logged_events(recording):
        if event["op"] in ("malloc", "calloc", "realloc", "aligned"):
            expected[1 << event["size"].bit_length() >> 1][event["op"]] += 1
    rows = {row["from"]: row for row in view("summary", recording)["sizes"]}
    check_equal(sorted(rows), sorted(expected), "size classes")
    for least, operations in expected.items():
        for operation in ("malloc", "calloc", "realloc", "aligned"):
            check_equal(rows[least][operation], operations[operation], f"{operation} from {least}")


def test_short_threads_take_a_chunk_each(place):
    """Also where calls follow after a thread has announced its end."""
    recording = place / "threads.mtap"
    threads, chunk = 500, 32 << 10
    done = run([program("threads_many"), threads, 1], place, tapped(recording, mode="log", ring=0))
    check_exit(done, 0, "short threads")
    taken = recording.stat().st_blocks * 512
    check(taken < (threads * 3 // 2) * chunk + (4 << 20), f"{threads} threads took {taken} bytes")


class Worker:
    """A tapped program that allocates when told to."""

    def __init__(self, place, arguments=(os.path.realpath(sys.executable), "-c", WORKER), **options):
        self.recording = place / "worker.mtap"
        environment = tapped(self.recording, **options)
        environment["PYTHONMALLOC"] = "malloc"
        self.process = subprocess.Popen(arguments, cwd=place, env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def work(self, blocks):
        self.process.stdin.write(f"{blocks}\n".encode())
        self.process.stdin.flush()
        check_equal(self.process.stdout.readline(), b"done\n", "worker")

    def order(self, *orders):
        done = run([MALLOCTAP, "ctl", self.process.pid, *orders], ROOT)
        check_exit(done, 0, f"ctl {orders}: {done.stderr}")
        return done.stdout.decode()

    def end(self):
        self.process.stdin.close()
        check_equal(self.process.wait(), 0, "worker's exit")


def check_switched(place, recording):
    """Every view says that not all is there, which no loss tells."""
    check(not view("leaks", recording)["complete"], "leaks calls itself complete")
    check(not view("stacks", recording)["exact"], "stacks calls itself exact")
    check_equal(view("summary", recording)["memory"]["end"], None, "memory at the end")
    for command, words in ((["leaks"], b"NOT COMPLETE"), (["stacks", "--by", "live"], b"switched"),
                           (["log", "-n", 1], b"switched"),
                           (["diff", recording], b"The old one is NOT COMPLETE")):
        said = run([MALLOCTAP, *command, recording], place).stdout
        check(words in said, f"{command} says nothing of it: {said[:1000]}")
        for claim in (b"Every call", b"every call was logged", b"figures are exact"):
            check(claim not in said, f"{command} claims too much: {said[:1000]}")


def test_off_for_a_while_is_told(place):
    for mode in ("log", "sample"):
        worker = Worker(place, ("/bin/sh", "-c", SMALL_WORKER), mode=mode, calls=16, ring=0)
        worker.work(1000)
        worker.order("off")
        worker.work(1000)
        check(not view("leaks", worker.recording)["exact"], f"{mode}: exact while it is off")
        worker.order("on")
        worker.work(1000)
        worker.end()
        check_switched(place, worker.recording)
        worker.recording.unlink()


def test_another_rate_is_no_switch(place):
    worker = Worker(place, ("/bin/sh", "-c", SMALL_WORKER), mode="sample", calls=64, ring=0)
    worker.work(1000)
    worker.order("calls=16")
    worker.work(3000)
    worker.order("on")
    worker.work(1000)
    worker.end()
    check(view("leaks", worker.recording)["complete"], "not complete at another rate")


def test_orders_while_it_runs(place):
    worker = Worker(place, mode="sample", calls=64, bytes="1G", ring=0)
    worker.work(1000)
    worker.order("log")
    worker.work(1000)
    begun = sum(event["size"] == 5033 for event in logged_events(worker.recording)
                if event["op"] == "calloc" and "weight" not in event)
    check(begun >= 1, "log was not obeyed")
    said = worker.order("log")
    worker.work(1000)
    check("logs every call" in said or "been told" in said, said)
    logged = logged_events(worker.recording)
    worker.order("off")
    worker.work(10)
    before = calls_of(worker.recording)
    after_off = len(logged_events(worker.recording))
    worker.work(1000)
    check(calls_of(worker.recording) >= before + 2000, "calls are counted while it is off")
    check_equal(len(logged_events(worker.recording)), after_off, "records while it is off")
    check(after_off > len(logged) - 1 and len(logged) > 4000, f"logged {len(logged)}")
    worker.end()
    refused = run([MALLOCTAP, "ctl", worker.process.pid, "on"], ROOT)
    check_exit(refused, 2, "ctl of a process that ended")
    refused = run([MALLOCTAP, "ctl", worker.recording, "on"], ROOT)
    check_exit(refused, 2, "ctl of a finished recording")

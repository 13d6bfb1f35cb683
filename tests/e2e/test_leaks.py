# SPDX-License-Identifier: MIT
"""The leak hunt: what leaky planted is what `leaks` finds, block by block."""
import json
import os
import shutil

from harness import *

OURS = ("leaky", "libleaky_text.so", "libleaky_cache.so")


def leaky_program(name):
    path = str(PROGRAMS / "leaky" / name)
    if not os.path.exists(path):
        raise Skip(f"{name} was not built: no C++ compiler")
    return path


def record(place, ending="exit", mode="log", *options):
    """Run leaky; return its recording and its truth, a row per function."""
    recording, truth = place / "leaky.mtap", place / "truth"
    recording.unlink(missing_ok=True)
    done = run_command(recording, [leaky_program("leaky"), truth, ending], place, ["-m", mode, *options])
    check_exit(done, 137 if ending == "kill" else 0, f"leaky {ending}")
    return recording, {row["function"]: row for row in read_rows(truth)}


def planted_in(leak):
    """The innermost function of ours in a leak's path."""
    for frame in leak["frames"]:
        if frame["module"] and os.path.basename(frame["module"]) in OURS:
            name = frame["function"] or ""
            return name.replace("(anonymous namespace)::", "")
    return None


def found(leaks):
    """Blocks and bytes per function; there must be no others."""
    counts = {}
    for leak in leaks["leaks"]:
        function = planted_in(leak)
        check(function is not None, f"a leak that was not planted: {leak}")
        count = counts.setdefault(function, {"blocks": 0, "bytes": 0})
        count["blocks"] += leak["blocks"]
        count["bytes"] += leak["bytes"]
    return {name: count for name, count in counts.items() if count["blocks"] or count["bytes"]}


def expected(truth, when):
    return {name: row[when] for name, row in truth.items() if row[when]["blocks"]}


def the_moment(recording):
    """When the mark in the middle was allocated, as an option takes it."""
    for leak in view("leaks", recording)["leaks"]:
        if planted_in(leak) == "moment":
            return leak["first_ns"]
    raise AssertionError("the mark was not found")


def seconds(ns):
    return f"{ns // 10**9}.{ns % 10**9:09}s"


def test_leaks_are_the_planted_ones(place):
    for ending in ("exit", "_exit", "kill", "fork"):
        recording, truth = record(place, ending)
        leaks = view("leaks", recording)
        check_equal(found(leaks), expected(truth, "now"), f"leaks after {ending}")
        check(leaks["exact"] and leaks["complete"], f"{ending}: not exact: {leaks['losses']}")
        check_equal(leaks["frees_unknown"], 0, f"{ending}: frees of unknown blocks")
        check_equal(leaks["ends_missed"], 0, f"{ending}: ends missed")
        check(leaks["runtime"]["blocks"] > 0, f"{ending}: nothing is libc's own")


def test_stacks_by_live_say_the_same(place):
    recording, _ = record(place)

    def path(row):
        """Rows are of paths that read the same; each shows the offsets of one of them."""
        return tuple((frame["function"], frame["line"], frame["module"]) for frame in row["frames"])

    leaks = {path(leak): (leak["bytes"], leak["blocks"])
             for leak in view("leaks", recording, "--all")["leaks"]}
    stacks = {path(stack): (stack["live_bytes"], stack["live_blocks"])
              for stack in view("stacks", recording, "--by", "live", "-n", 0)["stacks"]}
    check(len(leaks) > 10, f"only {len(leaks)} paths")
    check_equal(set(stacks.items()) ^ set(leaks.items()), set(), "rows of one view only")


def test_stacks_are_those_of_the_leaks(place):
    recording, _ = record(place)
    paths = [(planted_in(leak), [frame["function"] for frame in leak["frames"]])
             for leak in view("leaks", recording)["leaks"]]

    def passes(function, through):
        return any(planted == function and through in names for planted, names in paths)

    for function, through in (("text_copy", "plant"), ("text_copy", "main"), ("text_grow", "relay"),
                              ("make<char>", "churn"), ("make<char>", "cache::first_line")):
        check(passes(function, through), f"no {function} through {through}: {paths}")


def test_moments(place):
    recording, truth = record(place)
    moment = the_moment(recording)
    then, after = seconds(moment), seconds(moment + 1)

    def at(*options):
        return found(view("leaks", recording, *options))

    check_equal(at("--at", then), expected(truth, "then"), "live at the moment")
    check_equal(at("--since", after), expected(truth, "new"), "allocated after the moment")
    old = {name: {key: row["now"][key] - row["new"][key] for key in ("blocks", "bytes")}
           for name, row in truth.items()}
    check_equal(at("--before", then), old, "allocated before the moment")
    growth = {name: {key: row["now"][key] - row["then"][key] for key in ("blocks", "bytes")}
              for name, row in truth.items()}
    check_equal(at("--growth", then),
                {name: count for name, count in growth.items() if any(count.values())},
                "growth since the moment")


def test_peak_is_at_least_what_is_live(place):
    recording, truth = record(place)
    leaks = view("leaks", recording)
    live = sum(row["now"]["bytes"] for row in truth.values())
    check(leaks["peak"]["bytes"] >= live, f"peak {leaks['peak']}, live at the end {live}")


def test_suppressions_and_thresholds(place):
    recording, truth = record(place)
    suppressions = place / "known.txt"
    suppressions.write_text("# known ones\nleak:^text_zeroed$\nleak:libleaky_cache.so\n")
    leaks = view("leaks", recording, "--suppress", suppressions)
    remaining = {name: count for name, count in expected(truth, "now").items()
                 if name.startswith("text_") and name != "text_zeroed" or name == "moment"}
    check_equal(found(leaks), remaining, "what is not suppressed")
    check_equal(leaks["suppressed"]["patterns"][0]["bytes"], truth["text_zeroed"]["now"]["bytes"],
                "suppressed by the first pattern")
    check_equal(sum(leak["bytes"] for leak in leaks["leaks"]), leaks["live_bytes"], "the sum")

    def status(*options):
        return run([MALLOCTAP, "leaks", *options, recording], place).returncode

    live = leaks["live_bytes"]
    check_equal(status("--suppress", suppressions, "--fail-over", live), 0, "not over the limit")
    check_equal(status("--suppress", suppressions, "--fail-over", live - 1), 1, "over the limit")


def test_merging_and_row_limits(place):
    recording, truth = record(place)
    merged = view("leaks", recording, "--merge-depth", 1)
    frames = [leak["frames"] for leak in merged["leaks"]]
    check(all(len(path) <= 1 for path in frames), "paths are one frame deep")
    zeroed = [leak for leak in merged["leaks"] if planted_in(leak) == "text_zeroed"]
    check_equal([leak["blocks"] for leak in zeroed], [truth["text_zeroed"]["now"]["blocks"]],
                "text_zeroed, merged")
    check_equal(len(view("leaks", recording, "-n", 3)["leaks"]), 3, "-n 3")
    check(all(leak["bytes"] >= 1000 for leak in
              view("leaks", recording, "--min-bytes", 1000)["leaks"]), "--min-bytes 1000")


def test_samples_estimate_the_same(place):
    recording, truth = record(place, "exit", "sample", "--calls", 2)
    leaks = view("leaks", recording)
    check(not leaks["exact"], "an estimate is called exact")
    judged = 0
    for function, row in truth.items():
        rows = [leak for leak in leaks["leaks"] if planted_in(leak) == function]
        estimate = sum(leak["bytes"] for leak in rows)
        error = sum(leak["bytes_stderr"] ** 2 for leak in rows) ** 0.5
        if rows and estimate > 2.5 * error:  # below, the error is itself a guess from a block or two
            judged += 1
            check(abs(estimate - row["now"]["bytes"]) <= 6 * error,
                  f"{function}: {estimate} ± {error}, truth {row['now']['bytes']}")
    check(judged > 0, "nothing is known well enough to be judged")


def test_a_bounded_ring_claims_only_what_it_knows(place):
    recording, truth = record(place, "exit", "log", "--ring", "256K")
    leaks = view("leaks", recording)
    check(not leaks["exact"] and not leaks["complete"] and leaks["lost"] > 0,
          "a ring that overwrote records calls itself complete")
    whole = expected(truth, "now")
    for function, count in found(leaks).items():
        check(count["blocks"] <= whole[function]["blocks"], f"{function}: more than the truth")


def test_a_copy_under_another_name_shows_no_difference(place):
    old, _ = record(place)
    kept = old.rename(place / "old.mtap")
    copy = place / "leaky.again"
    shutil.copy(PROGRAMS / "leaky" / "leaky", copy)
    new = place / "new.mtap"
    done = run_command(new, [copy, place / "truth"], place, ["-m", "log"],
                       environment=clean_environment(LD_LIBRARY_PATH=str(PROGRAMS / "leaky")))
    check_exit(done, 0, "the copy")
    for by in ("calls", "bytes", "live"):
        done = run([MALLOCTAP, "diff", "--json", "--by", by, kept, new], place)
        check_exit(done, 0, f"diff --by {by}")
        diff = json.loads(done.stdout)
        check_equal(diff["stacks"], [], f"what differs by {by}")
        check(diff["unchanged"] > 5, f"only {diff['unchanged']} paths were found in both")
        check_equal(diff["old"][{"live": "live_bytes"}.get(by, by)],
                    diff["new"][{"live": "live_bytes"}.get(by, by)], f"the totals by {by}")


def test_two_builds_differ_in_what_was_changed(place):
    for build in ("old", "new"):
        path = leaky_program(f"{build}_build")
        check_exit(run_command(place / f"{build}.mtap", [path], place, ["-m", "log"]), 0, build)

    def changes(by):
        done = run([MALLOCTAP, "diff", "--json", "--by", by, "old.mtap", "new.mtap"], place)
        check_exit(done, 0, f"diff --by {by}")
        return [([frame["function"] for frame in row["frames"]][:2], row["change"])
                for row in json.loads(done.stdout)["stacks"]]

    check_equal(changes("bytes"), [(["added", "main"], 100 * 500)], "what was added")
    check_equal(changes("live"), [(["added", "main"], 100 * 500),
                                  (["inner", "middle"], 250 * 100)], "what is kept longer")


def test_a_log_and_samples_of_one_program_differ_by_chance(place):
    recording, _ = record(place)
    log = recording.rename(place / "log.mtap")
    samples, _ = record(place, "exit", "sample", "--calls", 2)
    done = run([MALLOCTAP, "diff", "--json", "--by", "live", log, samples], place)
    check_exit(done, 0, "diff of a log and samples")
    diff = json.loads(done.stdout)
    check(not diff["same_mode"] and diff["old"]["exact"] and not diff["new"]["exact"], "the modes")
    for row in diff["stacks"]:
        if planted_in(row):
            check(abs(row["change"]) <= 6 * row["change_stderr"], f"no chance: {row}")


def test_bad_input(place):
    recording, _ = record(place)
    broken = place / "broken.txt"
    broken.write_text("leak:fine\nthread:other\n")
    for options in (["--suppress", broken], ["--suppress", place / "missing"], ["--at", "soon"],
                    ["--thread", 1], ["--min-bytes", "many"], ["--fail-over", "-1"],
                    ["--growth", "2s", "--at", "1s"], ["--since", "2s", "--before", "1s"]):
        done = run([MALLOCTAP, "leaks", *options, recording], place)
        check_exit(done, 2, f"leaks {options}")
        check_one_line(done.stderr, f"leaks {options}")
        check_equal(done.stdout, b"", f"leaks {options}: stdout")
    for arguments in ([recording], [recording, place / "missing"], [broken, recording],
                      ["--by", "luck", recording, recording],
                      ["--by", "time", recording, recording]):
        done = run([MALLOCTAP, "diff", *arguments], place)
        check_exit(done, 2, f"diff {arguments}")
        check_one_line(done.stderr, f"diff {arguments}")

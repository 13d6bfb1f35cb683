# SPDX-License-Identifier: MIT
"""The leak hunt beside LeakSanitizer: of one program the same blocks, bytes, stacks, suppressions.

The sanitizer's library is preloaded, so that both look at the same code at the same addresses. Told
to take nothing for a root, it reports every block that was not freed.
"""
import collections
import os
import re
import shutil

from harness import *

OURS = ("leaky", "libleaky_text.so", "libleaky_cache.so")
LEAKS_FOUND = 23  # LeakSanitizer's exit status

OPTIONS = {
    "use_globals": 0, "use_stacks": 0, "use_registers": 0, "use_tls": 0,
    "fast_unwind_on_malloc": 0, "malloc_context_size": 255, "allocator_may_return_null": 1,
    "exitcode": LEAKS_FOUND, "stack_trace_format": "'#%n %m+%o %f'",
}
FRAME = re.compile(r"^#\d+ (/.*)\+0x([0-9a-f]+) ")
LEAK = re.compile(r"^(?:Direct|Indirect) leak of (\d+) byte\(s\) in (\d+) object\(s\)")
SUPPRESSED = re.compile(r"^ +(\d+) +(\d+) (.+)$")

SUPPRESSIONS = """# what is known
leak:^text_zeroed$
leak:libleaky_cache.so
leak:text_al*d
"""


def sanitizer():
    """The library that gcc links with -fsanitize=leak."""
    compiler = shutil.which("gcc")
    if not compiler:
        raise Skip("gcc is not installed, whose LeakSanitizer is what to compare with")
    done = run([compiler, "-print-file-name=liblsan.so"], "/")
    library = done.stdout.decode().strip()
    if not os.path.isabs(library) or not os.path.exists(library):
        raise Skip("gcc has no LeakSanitizer here")
    return library


def leaky():
    path = PROGRAMS / "leaky" / "leaky"
    if not path.exists():
        raise Skip("leaky was not built: no C++ compiler")
    return path


def sanitized(place, **more):
    """Run leaky under LeakSanitizer; return the lines it prints."""
    options = ":".join(f"{name}={value}" for name, value in {**OPTIONS, **more}.items())
    done = run([leaky(), place / "truth"], place,
               clean_environment(LD_PRELOAD=sanitizer(), LSAN_OPTIONS=options))
    said = done.stderr.decode(errors="replace")
    if "LeakSanitizer has encountered a fatal error" in said:
        raise Skip("LeakSanitizer cannot look at the process, as where ptrace is forbidden")
    check_exit(done, LEAKS_FOUND, f"LeakSanitizer {options}")
    return said.splitlines()


def significant(frames):
    """The program's frames and those between, one for each address: which of the C and C++ libraries' own
    functions are around the allocator, and around a thread, is up to what stands in front of these."""
    ours = [i for i, frame in enumerate(frames) if os.path.basename(frame[0]) in OURS]
    frames = frames[ours[0]:ours[-1] + 1] if ours else []
    return tuple(frame for i, frame in enumerate(frames) if i == 0 or frame != frames[i - 1])


def sanitizers_leaks(lines):
    """Blocks and bytes by stack. It prints addresses of calls, one less than where they return to."""
    leaks, frames, counts = collections.Counter(), [], None
    for line in [*lines, ""]:
        frame, leak = FRAME.match(line.strip()), LEAK.match(line)
        if leak:
            counts, frames = (int(leak[2]), int(leak[1])), []
        elif frame and counts:
            frames.append((os.path.realpath(frame[1]), int(frame[2], 16) + 1))
        elif counts:
            add_leak(leaks, frames, counts)
            counts = None
    return leaks


def add_leak(leaks, frames, counts):
    stack = significant(frames)
    if stack:
        leaks[stack, "blocks"] += counts[0]
        leaks[stack, "bytes"] += counts[1]


def our_leaks(report):
    leaks = collections.Counter()
    for leak in report["leaks"]:
        frames = [(os.path.realpath(frame["module"]), frame["offset"]) for frame in leak["frames"]]
        add_leak(leaks, frames, (leak["blocks"], leak["bytes"]))
    return leaks


def check_same(ours, theirs):
    for what in sorted(set(ours) | set(theirs)):
        check_equal(ours[what], theirs[what], f"{what[1]} of {what[0]}")


def recorded(place):
    recording = place / "leaky.mtap"
    done = run_command(recording, [leaky(), place / "truth"], place, ["-m", "log"])
    check_exit(done, 0, "leaky")
    return recording


def test_same_blocks_bytes_and_stacks(place):
    theirs = sanitizers_leaks(sanitized(place))
    check(len(theirs) > 20, f"LeakSanitizer found but {len(theirs) // 2} stacks")
    check_same(our_leaks(view("leaks", recorded(place))), theirs)


def test_same_suppressions(place):
    known = place / "known.txt"
    known.write_text(SUPPRESSIONS)
    lines = sanitized(place, suppressions=known)
    report = view("leaks", recorded(place), "--suppress", known)
    check_same(our_leaks(report), sanitizers_leaks(lines))
    suppressed = {match[3]: (int(match[1]), int(match[2]))
                  for match in map(SUPPRESSED.match, lines) if match}
    check_equal({row["pattern"]: (row["blocks"], row["bytes"])
                 for row in report["suppressed"]["patterns"]}, suppressed, "by pattern")

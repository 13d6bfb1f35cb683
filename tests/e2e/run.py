#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the end-to-end tests of one file: run.py FILE [NAME...]

A test is a function test_NAME(place) that raises when something is wrong; `place` is a directory of
its own. MALLOCTAP_BUILD names the build directory where that is not build/ at the root. Exit status:
0, or 1 if a test failed, or 77 if every test was skipped.
"""
import importlib.util
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

from harness import Skip


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_one(name, test):
    place = pathlib.Path(tempfile.mkdtemp(prefix="malloctap-e2e."))
    start = time.monotonic()
    try:
        test(place)
        result = "ok"
    except Skip as reason:
        result = f"skipped: {reason}"
    except Exception:  # whatever it is, it is this test's failure and the next one still runs
        traceback.print_exc()
        result = "FAILED"
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(f"{name}: {result} ({time.monotonic() - start:.1f} s)", flush=True)
    return result


def main():
    module = load(pathlib.Path(sys.argv[1]).resolve())
    wanted = sys.argv[2:]
    tests = {name[len("test_"):]: test for name, test in vars(module).items()
             if name.startswith("test_")}
    unknown = set(wanted) - set(tests)
    if unknown:
        sys.exit(f"no such test: {', '.join(sorted(unknown))}")
    results = [run_one(name, test) for name, test in tests.items() if not wanted or name in wanted]
    if "FAILED" in results:
        return 1
    return 77 if all(result.startswith("skipped") for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())

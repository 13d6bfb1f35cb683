#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare what a program prints with the lines expected of it.

usage: check_reading.py EXPECTED PREFIX PROGRAM [ARGUMENT...]

Only lines that start with PREFIX (which may be empty) count, on both sides.
"""
import difflib, subprocess, sys

expected_path, prefix, *command = sys.argv[1:]
expected = [line for line in open(expected_path) if line.startswith(prefix)]
printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
read = [line for line in printed.splitlines(keepends=True) if line.startswith(prefix)]
if not expected or read != expected:
    sys.stdout.writelines(difflib.unified_diff(expected, read, expected_path, " ".join(command)))
    sys.exit("the reading is not the one expected")

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Totals and estimates of a recording, by docs/FORMAT.md alone: what a reader in another language
takes at least. It reads finished recordings; a live one needs the re-checks described there.

usage: read_recording.py RECORDING
"""
import collections, math, struct, sys

ALLOC_OPS, CLASSES = ("malloc", "calloc", "realloc", "aligned"), 65
COUNTERS = ("frees", "frees_null", "reallocs_from_null", "reallocs_to_zero", "samples",
            "samples_lost", "stacks_truncated", "lives_lost", "uncounted")
FAILED = len(ALLOC_OPS) + len(COUNTERS)  # after bytes by operation and the counters
CALLS = FAILED + len(ALLOC_OPS) + 3
WORDS = CALLS + len(ALLOC_OPS) * CLASSES
THREADS, CHUNKS, ALLOC = 1, 4, 1

data = open(sys.argv[1], "rb").read()
magic, version, byte_order, header_size, _, features = struct.unpack_from("<QIIIIQ", data)
if magic != 0x0a504154434c414d or byte_order != 0x01020304 or version > 1 or features != 0:
    sys.exit(f"{sys.argv[1]}: not a recording this script can read")
chunk_size, = struct.unpack_from("<I", data, 60)

UNSLOTTED = 3456
EXITED = UNSLOTTED + 8 * WORDS
EXTENTS = EXITED + 24 + 16 * WORDS
extent_count, = struct.unpack_from("<I", data, EXTENTS)
areas = collections.defaultdict(bytes)
for i in range(extent_count):
    kind, _, offset, size = struct.unpack_from("<IIQQ", data, EXTENTS + 8 + 24 * i)
    areas[kind] += data[offset:offset + size]

def counters(buffer, offset):
    return struct.unpack_from(f"<{WORDS}Q", buffer, offset)

published, = struct.unpack_from("<Q", data, EXITED)
rows = [counters(data, UNSLOTTED), counters(data, EXITED + 24 + (published & 1) * 8 * WORDS)]
for slot in range(0, len(areas[THREADS]), 4096):
    state, tid, thread = struct.unpack_from("<IIQ", areas[THREADS], slot)
    if state != 0 and thread not in (0, published >> 1):
        rows.append(counters(areas[THREADS], slot + 128))
totals = [sum(column) for column in zip(*rows)]
for op, name in enumerate(ALLOC_OPS):
    calls = sum(totals[CALLS + op * CLASSES:CALLS + (op + 1) * CLASSES])
    print(f"total {name} calls {calls} bytes {totals[op]} failed {totals[FAILED + op]}")
for name, value in zip(COUNTERS, totals[len(ALLOC_OPS):]):
    print(f"total {name} {value}")

calls, variance = collections.Counter(), collections.Counter()
for chunk in range(0, len(areas[CHUNKS]), chunk_size):
    state, committed, sequence = struct.unpack_from("<IIQ", areas[CHUNKS], chunk)
    at, end = chunk + 64, chunk + 64 + committed
    while sequence != 0 and at < end:
        kind, op, length, stack = struct.unpack_from("<BBHI", areas[CHUNKS], at)
        if kind == ALLOC:
            ticks, address, size, weight = struct.unpack_from("<QQQd", areas[CHUNKS], at + 8)
            calls[stack] += weight
            variance[stack] += weight * (weight - 1)
        at += length
for stack, estimate in sorted(calls.items()):
    print(f"estimate stack {stack} calls {estimate:.3f} +- {math.sqrt(variance[stack]):.3f}")

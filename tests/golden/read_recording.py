#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Totals and estimates of a recording and the calls of a log, by docs/FORMAT.md alone: what a reader in another language
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
THREADS, CHUNKS, ALLOC, RECORDS, LOG, REALLOC, FREE = 1, 4, 1, 0, 1, 2, 4

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

def estimate(stack, weight):
    calls[stack] += weight
    variance[stack] += weight * (weight - 1)

def read_records(chunk, at, end):
    while at < end:
        kind, op, length, stack = struct.unpack_from("<BBHI", chunk, at)
        if kind == ALLOC:
            ticks, address, size, weight = struct.unpack_from("<QQQd", chunk, at + 8)
            estimate(stack, weight)
        at += length

def distance(length, code, base):
    return code if length == 8 else base + (code >> 1) * (-8 if code & 1 else 8)

def read_log(chunk, at, end, ticks, thread):
    """Events of the log: (ticks, 0 for the end of a block and 1 for a beginning, thread, line)."""
    base = stack = 0
    while at < end:
        tag, resized = struct.unpack_from("<H", chunk, at)[0], 0
        op, failed = tag & 7, tag & 8
        at += 2
        shifts = [(tag, 4), (tag, 7), (tag, 10), (tag, 13)]
        if op == REALLOC:
            shifts += [(chunk[at], 0), (chunk[at], 3)]
            at += 1
        fields, lengths = [0] * 6, [0] * 6
        for i, (bits, shift) in enumerate(shifts):
            lengths[i] = (0, 1, 2, 3, 4, 5, 6, 8)[bits >> shift & 7]
            fields[i] = int.from_bytes(chunk[at:at + lengths[i]], "little")
            at += lengths[i]
        time, new_stack, address, size, old, duration = fields
        ticks = (ticks + time) % 2**64
        stack = new_stack if lengths[1] else stack
        old = distance(lengths[4], old, base) if op == REALLOC else 0
        if failed or (op == REALLOC and size == lengths[2] == 0):
            address = 0
        else:
            address = distance(lengths[2], address, old if op == REALLOC else base)
        base = address or old or base
        call = f"thread {thread} {(*ALLOC_OPS, 'free')[op]}"
        if op == FREE:
            yield ticks, 0, thread, f"{call} ends {address:#x} size 0 old 0 stack {stack}"
            continue
        if old and not failed:
            yield ticks, 0, thread, f"{call} ends {old:#x} size 0 old 0 stack {stack}"
        yield (ticks + duration, 1, thread, f"{call} begins {address:#x} size {size} old {old:#x} "
               f"stack {stack}{' failed' if failed else ''}")
        estimate(stack, 1)

log = []
for offset in range(0, len(areas[CHUNKS]), chunk_size):
    chunk = areas[CHUNKS][offset:offset + chunk_size]
    state, committed, sequence, thread, first_ticks = struct.unpack_from("<IIQQQ", chunk)
    content, = struct.unpack_from("<I", chunk, 48)
    if sequence != 0 and content == RECORDS:
        read_records(chunk, 64, 64 + committed)
    elif sequence != 0 and content == LOG:
        log += read_log(chunk, 64, 64 + committed, first_ticks, thread)
for stack, weight in sorted(calls.items()):
    print(f"estimate stack {stack} calls {weight:.3f} +- {math.sqrt(variance[stack]):.3f}")
for ticks, _, _, line in sorted(log, key=lambda event: event[:3]):
    print(f"call {ticks} {line}".replace(" 0x0 ", " 0 "))

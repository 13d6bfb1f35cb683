#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Unpack a packed recording by docs/FORMAT.md alone, with the zstd command, and compare it with what it was packed
from.

usage: unpack_columns.py PACKED RECORDING
"""
import struct, subprocess, sys

REST, SITE, LISTED, STACK, CALL, TIME, SIZE, BYTES, DURATION, GIVEN, AGE, GOT, FREED_AGE, DISTANCE, WHOLE, BITS = range(16)
REALLOC, FREE, FAILED, RECENT = 2, 4, 8, 65536

def decompress(data):
    return subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout

def hashed(value, bits):
    return (value * 0x9e3779b97f4a7c15) % 2**64 >> (64 - bits)

def place(base, code):
    return (base + (code >> 1) * (-8 if code & 1 else 8)) % 2**64

class Columns:
    def __init__(self, frame):
        self.chunk_size, count = struct.unpack_from("<II", frame, 8)
        assert count == 16
        at, self.columns = 16 + 8 * count, []
        for column in range(count):
            compressed, size = struct.unpack_from("<II", frame, 16 + 8 * column)
            self.columns.append(decompress(frame[at:at + compressed]))
            assert len(self.columns[column]) == size
            at += compressed
        self.at = [0] * count  # in bytes; of choices in quarters, of BITS in bits

    def bytes(self, column, count):
        self.at[column] += count
        return self.columns[column][self.at[column] - count:self.at[column]]

    def byte(self, column):
        return self.bytes(column, 1)[0]

    def choice(self, column):
        index, self.at[column] = self.at[column], self.at[column] + 1
        return self.columns[column][index // 4] >> index % 4 * 2 & 3

    def bits(self, count):
        start, self.at[BITS] = self.at[BITS], self.at[BITS] + count
        part = self.columns[BITS][start // 8:(start + count + 7) // 8]
        return int.from_bytes(part, "little") >> start % 8 & (1 << count) - 1

    def number(self, column):
        code = self.byte(column)
        if code < 128:
            return code
        if code == 255:
            return self.bits(64)
        low = 7 + (code - 128) // 4 - 2
        return (4 + code % 4) << low | self.bits(low)

class Model:
    def __init__(self, columns):
        self.columns = columns
        self.before, self.follow = (0, 0, 0), [{}, {}, {}]
        self.sites, self.new_stack = [], 0
        self.table, self.obtained, self.freed, self.free_blocks = {}, [], [], {}
        self.last = self.adjacent = 0

    def site(self):
        a, b, c = self.before
        places = [hashed(a, 15), hashed(a + (b << 16), 15), hashed(a + (b << 16) + (c << 32), 15)]
        choice = self.columns.choice(SITE)
        if choice < 3:
            number = self.follow[2 - choice].get(places[2 - choice], 0)
        else:
            number = self.columns.number(LISTED) - 1
        if number < 0:
            self.new_stack = place(self.new_stack * 8, self.columns.number(STACK)) // 8
            self.sites.append([self.new_stack, self.columns.byte(CALL), 0, 0])
            number = (len(self.sites) - 1) % RECENT
        for table, at in zip(self.follow, places):
            table[at] = number
        self.before = number, a, b
        return self.sites[(len(self.sites) - 1 - number) // RECENT * RECENT + number]

    def size(self, site):
        choice = self.columns.choice(SIZE)
        if choice == 0:
            return site[2]
        size = site[3] if choice == 1 else self.columns.number(BYTES)
        site[2:4] = size, site[2]
        return size

    def known(self, address):
        known = self.table.get(hashed(address, 17))
        return known if known and known[0] == address else None

    def free(self, address):
        known = self.known(address)
        if known and known[1]:
            blocks = self.free_blocks.setdefault(known[2], [])
            blocks.append(address)
            del blocks[:-16]
        self.table[hashed(address, 17)] = [address, False, None]
        self.freed.append(address)

    def given(self):
        choice = self.columns.choice(GIVEN)
        if choice == 0:
            return self.obtained[-self.columns.number(AGE)]
        if choice == 1:
            return place(self.last, self.columns.number(DISTANCE))
        return self.columns.number(WHOLE) if choice == 2 else 0

    def got(self, old, size):
        size_class = 2 if size < 24 else min((size + 23) // 16, 4095)
        how = self.columns.byte(GOT)
        if how == 17:
            known = self.known(old)
            if known and known[1]:
                known[2] = size_class
            return old
        if old:
            self.free(old)
        if how < 16:
            address = self.free_blocks[size_class].pop(-1 - how)
        elif how == 16:
            address = self.adjacent
        elif how == 18:
            address = self.freed[-self.columns.number(FREED_AGE)]
        elif how == 19:
            address = place(self.last, self.columns.number(DISTANCE))
        else:
            address = self.columns.number(WHOLE) if how == 20 else 0
        if address:
            self.table[hashed(address, 17)] = [address, True, size_class]
            self.obtained.append(address)
            self.adjacent = (address + 16 * size_class) % 2**64
        return address

    def event(self):
        site = self.site()
        stack, op, failed = site[0], site[1] & 7, site[1] & FAILED
        time, size, duration, old, address = self.columns.number(TIME), 0, 0, 0, 0
        if op == FREE:
            if not failed:
                address = self.given()
                self.free(address)
        else:
            size = self.size(site)
            if op == REALLOC:
                duration, old = self.columns.number(DURATION), self.given()
            if not failed:
                address = self.got(old, size)
        self.last = address or old or self.last
        return op, failed, time, stack, address, size, old, duration

def field(value, least=0):
    """The code of a field's length, and its bytes."""
    size = max((value.bit_length() + 7) // 8, least)
    return (size, value.to_bytes(size, "little")) if size < 7 else (7, value.to_bytes(8, "little"))

def distance(address, base):
    apart = abs(address - base)
    return field(apart // 8 * 2 + (address < base)) if apart % 8 == 0 and apart < 2**46 else field(address, 8)

def encode(event, base, last_stack):
    op, failed, time, stack, address, size, old, duration = event
    where = distance(address, old if op == REALLOC else base) if address else field(0)
    if op == REALLOC and address and where[0] == size == 0:
        where = field(address, 8)
    fields = [field(time), field(0) if stack == last_stack else field(stack, 1), where, field(size)]
    tag = op | failed | sum(code << 4 + 3 * i for i, (code, _) in enumerate(fields))
    head = struct.pack("<H", tag)
    if op == REALLOC:
        fields += [distance(old, base) if old else field(0, 8), field(duration)]
        head += bytes([fields[4][0] | fields[5][0] << 3])
    return head + b"".join(content for _, content in fields)

def unpack(frame, size):
    columns = Columns(frame)
    model, recording = Model(columns), b""
    in_columns = columns.bytes(REST, size // columns.chunk_size)
    for flag in in_columns:
        head = columns.bytes(REST, 64)
        committed = struct.unpack_from("<I", head, 4)[0] if flag else 0
        events, base, stack = b"", 0, 0
        while len(events) < committed:
            event = model.event()
            events += encode(event, base, stack)
            base, stack = event[4] or event[6] or base, event[3]
        recording += head + events + columns.bytes(REST, columns.chunk_size - 64 - committed)
    return recording

packed, recording = (open(path, "rb").read() for path in sys.argv[1:3])
count, = struct.unpack_from("<I", packed, len(packed) - 9)
table, at, unpacked = len(packed) - 9 - 8 * count, 0, b""
for i in range(count):
    in_file, size = struct.unpack_from("<II", packed, table + 8 * i)
    frame = packed[at:at + in_file]
    part = unpack(frame, size) if frame[:4] == b"\x5c\x2a\x4d\x18" else decompress(frame)
    if len(part) != size:
        sys.exit(f"frame {i} has {len(part)} bytes instead of {size}")
    unpacked, at = unpacked + part, at + in_file
features, = struct.unpack_from("<Q", unpacked, 24)
unpacked = unpacked[:24] + struct.pack("<Q", features & ~1) + unpacked[32:]
if unpacked != recording:
    sys.exit("not the same")

/* SPDX-License-Identifier: MIT */
/* compiler.h - what the language leaves to the compiler. */
#ifndef COMMON_COMPILER_H
#define COMMON_COMPILER_H

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define noinline __attribute__((__noinline__))
#define always_inline inline __attribute__((__always_inline__))
#define cold __attribute__((__cold__, __noinline__))

/* For data that one shared object keeps to itself: reached directly, not through the GOT. */
#define HIDDEN __attribute__((visibility("hidden")))

/* Alignment that keeps two writers out of each other's cache lines (adjacent-line prefetch too). */
#define CACHE_LINE 128

/* Round up to a multiple of a power of two. */
#define ALIGN_UP(x, to) (((x) + ((to)-1)) & ~((__typeof__(x))(to)-1))

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

#endif

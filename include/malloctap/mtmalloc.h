/* SPDX-License-Identifier: MIT */
/*
 * mtmalloc.h - options of the mtmalloc allocator, set by the program itself.
 *
 * Link with -lmtmalloc, or preload libmtmalloc.so. See mtmalloc(3).
 */
#ifndef MALLOCTAP_MTMALLOC_H
#define MALLOCTAP_MTMALLOC_H

#ifdef __cplusplus
extern "C" {
#endif

/* 1: a block that is freed twice is left alone. 0, the default: the process aborts. */
#define MTDOUBLEFREE 1
/* 1: freed blocks are filled with 0xdeadbeef and checked when they are handed out again; the
 * process aborts when one was written to. 0, the default: they are not. */
#define MTDEBUGPATTERN 2
/* 1: new blocks are filled with 0xbaddcafe. 0, the default: they are not. */
#define MTINITBUFFER 4
/* Size of the caches made from now on, in units of 8 KiB: 9, the default, to 256. Any other value
 * changes nothing. */
#define MTCHUNKSIZE 32

/* Set an option at any moment, from any thread. An unknown command changes nothing. */
void mallocctl(int cmd, long value);

#ifdef __cplusplus
}
#endif

#endif

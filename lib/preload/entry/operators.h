/* SPDX-License-Identifier: MIT */
/*
 * operators.h - C++ operator new and delete.
 *
 * The C++ library's own call malloc and free, and are left alone: a call that comes here goes on to
 * them and is counted once, at malloc. But jemalloc, tcmalloc and mimalloc bring operators that do
 * not call malloc. With such an allocator as the backend they are counted here; under another
 * backend the C++ library's are called instead, because a block must go back to the allocator that
 * made it.
 */
#ifndef PRELOAD_OPERATORS_H
#define PRELOAD_OPERATORS_H

/* Find the operators of the objects loaded at the start, which stay. Where there are none, those of
 * a C++ library that is opened later, or malloc and free, are called. */
void operators_init(void);

#endif

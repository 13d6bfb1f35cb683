/* SPDX-License-Identifier: MIT */
/*
 * redirect.h - the malloc that libc itself defines, turned to the tap.
 *
 * A library opened with RTLD_DEEPBIND looks for malloc in what it needs before it looks at what was
 * preloaded, and finds libc's; so does who asks dlsym() for libc's. But strdup() hands out blocks
 * of the backend, also to such a library, which would then give them to libc's free(). So libc's
 * table of symbols is made to say that malloc is the tap's: whoever looks it up from now on gets
 * that, and nothing else about how such a library is bound changes. It is seen, too.
 */
#ifndef PRELOAD_REDIRECT_H
#define PRELOAD_REDIRECT_H

/* To be called when the backend is chosen, which finds libc's functions by the same table. Not done
 * where an object in between may forward to whatever libc's table says: it would go in circles. */
void redirect_libc(void);

#endif

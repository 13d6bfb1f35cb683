/* SPDX-License-Identifier: MIT */
/*
 * memory.h - what a thread remembers of the stack it took last, so that the next one is walked only
 * where it differs.
 *
 * A thread's own: no other uses it, and no signal handler while a capture is under way. Valid when
 * all zero, and it may become all zero at any instruction, as it does in a forked child.
 *
 * The remembered frames, innermost first, end at the end of the arrays, so that their outer part
 * stays in place while the inner part changes; the frames of a walk under way are collected at the
 * start of the arrays. What is remembered is only ever a guess, to be verified.
 */
#ifndef PRELOAD_STACK_MEMORY_H
#define PRELOAD_STACK_MEMORY_H

#include <stdint.h>

#define MEMORY_FRAMES 272u /* those of the deepest stack, and room to move */
#define MEMORY_OWN 12u
#define MEMORY_WAYS 4u
#define MEMORY_MODULES 16u
#define MEMORY_PLACES 256u

enum memory_flags {
    MEMORY_NEEDS_FP = 1, /* the frame's step, or one outside it, depends on fp */
    MEMORY_READS_FP = 2, /* the caller's fp, which is needed, was saved by the frame */
    MEMORY_UNUSUAL = 4,  /* more than the return address and that fp decide where the step leads */
    MEMORY_END = 8,      /* there is no step from here */
};

struct memory_frame {
    uint64_t pc, sp, fp;
    uint64_t rule;    /* how the caller is reached, see rule_pack() */
    uint32_t id;      /* of the stack that begins here; 0: not known */
    uint16_t modules; /* the modules of this frame and all outside it, a bit each */
    uint8_t module;   /* its own; MEMORY_MODULES: none */
    uint8_t flags;
};

/* A way out of our own frames (a malloc's is not a free's), as offsets from the stack pointer that
 * a walk starts with. Our code stays where it is, so the return addresses alone decide whether it
 * is the same way. */
struct memory_way {
    uint32_t count;    /* of our own frames; 0: nothing is known */
    uint16_t cfa;      /* of the last one: the stack pointer of the first other frame */
    uint16_t saved_fp; /* where that frame's fp is; cfa: still in its register */
    struct {
        uint64_t pc; /* of our frame */
        uint64_t ra; /* where its return address is */
    } frames[MEMORY_OWN];
};

/* A module met; id 0: this slot is free. */
struct memory_module {
    uint64_t low, high; /* a range that is the module's alone */
    uint64_t packing;   /* an address in it plus this is a frame as the depot stores it */
    uint64_t id;
};

/* A place in the code met lately, in front of the process's rule cache: denser, and the thread's
 * own. The address with its module above it; rule 0: none. */
struct memory_place {
    uint64_t module_and_address;
    uint64_t rule;
};

struct stack_memory {
    /* Where the remembered frames begin, plus the address of the rule cache of the process that
     * remembers them: in any other process all of this is worth nothing. Stored last. */
    uint64_t chain;
    uint32_t limit;       /* of the stacks that ids stand for */
    uint16_t last_module; /* found last */
    uint16_t kept;        /* the modules that stay for as long as the process lives, a bit each */
    uint32_t next_way;    /* to be replaced */
    struct memory_way ways[MEMORY_WAYS];
    struct memory_module modules[MEMORY_MODULES + 1]; /* last: none, for addresses in no module */
    struct memory_place places[MEMORY_PLACES];
    uint64_t packed[MEMORY_FRAMES];                /* as the depot stores them */
    uint64_t hashes[MEMORY_FRAMES + 1];            /* of the frame and all outside it; last: 0 */
    struct memory_frame frames[MEMORY_FRAMES + 1]; /* last: where the outermost one's step leads */
};

#endif

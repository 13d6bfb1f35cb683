/* SPDX-License-Identifier: MIT */
/*
 * memory.h - what a thread remembers of the stacks it took, so that the next one is walked only
 * where it differs from the last, or not at all if it is one of some hundred others.
 *
 * A thread's own: no other uses it, and no signal handler while a capture is under way. Valid when
 * all zero, and it may become all zero at any instruction, as it does in a forked child.
 *
 * The frames are those of the thread's own stack, outermost first, as a stack grows. What is
 * remembered is only ever a guess, to be verified: as long as the words of the stack that led from
 * frame to frame hold what they held, so do the frames.
 */
#ifndef PRELOAD_STACK_MEMORY_H
#define PRELOAD_STACK_MEMORY_H

#include "rule.h"

#include <malloctap/recording.h>

#include <stdbool.h>
#include <stdint.h>

#define MEMORY_FRAMES 320u /* those of the deepest stack, and room to move */
#define MEMORY_CHECKS_A_FRAME 2u
#define MEMORY_MODULES 63u
#define MEMORY_PLACES 1024u
#define MEMORY_STACKS 256u
#define MEMORY_RECALLED 256u
#define MEMORY_RECALLED_WORDS 4096u
#define MEMORY_BUCKETS 128u
#define MEMORY_WORDS_A_STACK 256u

struct memory_frame {
    uint64_t pc, sp;
    uint64_t fp;         /* if it is needed */
    uint64_t hash;       /* of the frame and all outside it, see depot_hash_add() */
    uint64_t modules;    /* of the frame and all outside it, those to be verified, a bit each */
    int32_t ra_from_top; /* where its step found the return address: so far from the stack's top */
    uint16_t checks;     /* of the frame and all outside it */
    uint8_t module;      /* MEMORY_MODULES: none */
    bool needs_fp;       /* its step, or one outside it, depends on fp */
};

/* A word that a frame's step read beside the return address. All zero, it can be read all the same.
 */
struct memory_check {
    int32_t from_top;
    uint32_t frame;
    uint64_t word;
};

/* A frame of a walk under way. */
struct memory_new_frame {
    uint64_t pc, sp, fp;
    uint64_t spread;
    struct rule rule;
    int32_t ra_from_top;
    uint32_t module;
};

/* A module met; id 0: this slot is free. */
struct memory_module {
    uint64_t low, high; /* a range that is the module's alone */
    uint64_t packing;   /* an address in it plus this is a frame as the depot stores it */
    uint64_t id;
};

/* A place in the code met lately, in front of the process's rule cache: the thread's own. */
struct memory_place {
    uint64_t address;
    struct rule rule; /* RULE_NONE: no place */
    uint64_t spread;  /* what the frame adds to a hash */
    uint32_t module;
    uint8_t plain; /* enum place_kind */
};

/* A stack met lately, in front of the process's depot. */
struct memory_stack {
    uint64_t key; /* see depot_key() */
    uint32_t id;  /* 0: no stack */
};

/* A whole stack, by the words that led from frame to frame, see recall.h. */
struct memory_recalled {
    uint64_t pc, sp, fp; /* of its innermost frame; fp: if it is needed */
    uint64_t sum;        /* of the words */
    uint64_t modules;    /* those to be verified, a bit each */
    uint32_t id;
    uint32_t older;       /* the serial of the one before it in its bucket; 0: none */
    uint32_t follower;    /* the serial of the one that came after it last time; 0: none */
    uint32_t words_begin; /* where the words are: see memory_recall */
    uint16_t words;
    bool needs_fp;
    uint32_t layout; /* a hash of where the words are, of the modules, and of whether it needs fp */
};

/* The stacks whose innermost frames are the same pc and sp, or happen to share a bucket. */
struct memory_bucket {
    uint32_t newest;  /* serial; 0: none */
    uint16_t wasted;  /* stacks put here in vain, less what the others are worth */
    uint16_t skipped; /* since so many were that it is hardly looked at any more */
};

struct memory_recall {
    uint32_t serial;    /* of the newest stack, which is at this modulo MEMORY_RECALLED */
    uint32_t last;      /* of the one that was met last */
    uint32_t words_end; /* of the newest one's words, counted from the first that ever was */
    struct memory_bucket buckets[MEMORY_BUCKETS];
    struct memory_recalled stacks[MEMORY_RECALLED];
    /* Where the words are: so many words from the stack's top, negative. The last ones of all that
     * were written, in turn; those of one stack in a row. */
    int16_t words[MEMORY_RECALLED_WORDS + MEMORY_WORDS_A_STACK];
    /* One stack's, on their way there. Never anything else: a wipe may let others be read. */
    int16_t new_words[MEMORY_WORDS_A_STACK];
};

/* No stack is known any more: it is as if all had been replaced. */
static inline void memory_forget_recalled(struct memory_recall *recall)
{
    recall->serial += MEMORY_RECALLED;
}

struct stack_memory {
    /* How many frames are remembered, plus the address of the rule cache of the process that
     * remembers them: in any other process all of this is worth nothing. Stored last. */
    uint64_t chain;
    uint32_t limit;       /* of the stacks that ids stand for */
    uint32_t id;          /* of the stack that was taken last; 0: not known */
    uint32_t last_module; /* found last */
    bool cut;             /* there are frames outside the outermost one */
    uint64_t kept;        /* the modules that stay for as long as the process lives, a bit each */
    uint64_t power;       /* of the base of hashes, by the limit */
    struct memory_module modules[MEMORY_MODULES + 1]; /* last: none, for addresses in no module */
    struct memory_check checks[MEMORY_FRAMES * MEMORY_CHECKS_A_FRAME];
    struct memory_frame frames[MEMORY_FRAMES];
    union { /* one after the other */
        struct memory_new_frame added[MEMORY_FRAMES];
        int16_t words[MEMORY_WORDS_A_STACK];         /* places on their way into memory_recall */
        uint64_t packed[MALLOCTAP_STACK_FRAMES_MAX]; /* a stack on its way into the depot */
    };
    struct memory_place places[MEMORY_PLACES];
    struct memory_stack stacks[MEMORY_STACKS];
    struct memory_recall recall;
};

#endif

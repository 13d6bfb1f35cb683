/* SPDX-License-Identifier: MIT */
/*
 * recording.h - the recording: the one contract between the preload object and the tools.
 *
 * A recording is one file, written through a shared mapping by one process (never by its
 * children) and read at any moment by any other. All integers are in the writer's byte order,
 * which `byte_order` shows. Times are ticks of the clock described in the header. Offsets are from
 * the start of the file, in bytes, unless a field says otherwise.
 *
 *   +----------------------------+ 0
 *   | malloctap_header           | identity, options, clock, state, losses, extent directory
 *   +----------------------------+ header_size
 *   | extents, in creation order | each of one kind; extents of a kind, in directory order,
 *   |   THREADS  thread slots    | form one logical array ("area") that can grow
 *   |   DEPOT    call stacks     |
 *   |   MODULES  loaded objects  |
 *   |   CHUNKS   records         |
 *   |   LATENCY  histograms      |
 *   |   LOCKS    allocator locks |
 *   +----------------------------+
 *
 * docs/FORMAT.md tells the same story for someone who writes a reader in another language.
 */
#ifndef MALLOCTAP_RECORDING_H
#define MALLOCTAP_RECORDING_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define MALLOCTAP_MAGIC 0x0a504154434c414dULL /* "MALCTAP\n" read as little-endian */
#define MALLOCTAP_VERSION 1u
#define MALLOCTAP_BYTE_ORDER 0x01020304u

/* Features a reader must know to make sense of the file. Unknown bits: refuse. */
#define MALLOCTAP_FEATURES_KNOWN 0ULL

/* Set in the header of a packed recording only, and not in what it unpacks to: frames of its log are
 * in columns, which docs/FORMAT.md describes. */
#define MALLOCTAP_FEATURE_COLUMNS 1ULL

enum malloctap_state {
    MALLOCTAP_STATE_RUNNING = 1,  /* also what a killed process leaves behind */
    MALLOCTAP_STATE_FINISHED = 2, /* the process reached its destructors; end_ticks is set */
};

enum malloctap_mode { MALLOCTAP_MODE_COUNT = 1, MALLOCTAP_MODE_SAMPLE = 2, MALLOCTAP_MODE_LOG = 3 };

/* ---- what is counted ---------------------------------------------------------------------- */

/* Operations that obtain memory; each has its own size histogram and counters. */
#define MALLOCTAP_ALLOC_OPS(X)                                                                     \
    X(MALLOC, malloc)   /* malloc, operator new of a linked allocator */                           \
    X(CALLOC, calloc)   /* calloc */                                                               \
    X(REALLOC, realloc) /* realloc, reallocarray, whatever they do with the block */               \
    X(ALIGNED, aligned) /* posix_memalign, aligned_alloc, memalign, valloc, pvalloc */

enum malloctap_op {
#define X(NAME, name) MALLOCTAP_OP_##NAME,
    MALLOCTAP_ALLOC_OPS(X)
#undef X
        MALLOCTAP_OP_FREE, /* free, free_sized, free_aligned_sized */
    MALLOCTAP_OPS,
    MALLOCTAP_OPS_ALLOC = MALLOCTAP_OP_FREE,
};

/*
 * Size class of a request: its bit width. Class 0 holds size 0, class c > 0 the sizes
 * 2^(c-1) ... 2^c - 1.
 */
#define MALLOCTAP_SIZE_CLASSES 65

/* Counters of a thread beside those by operation; one 64-bit word each. */
#define MALLOCTAP_COUNTERS(X)                                                                      \
    X(frees)              /* calls that give memory back, free(NULL) included */                   \
    X(frees_null)         /* of these, free(NULL) */                                               \
    X(reallocs_from_null) /* realloc(NULL, n): a new block */                                      \
    X(reallocs_to_zero)   /* realloc(p, 0), p not NULL, that returned NULL: a block freed */       \
    X(samples)            /* calls sampled */                                                      \
    X(samples_lost)       /* calls that should have been recorded but were not */                  \
    X(stacks_truncated)   /* samples whose stack could not be walked to its end */                 \
    X(lives_lost)         /* sampled blocks whose free will not be noticed (address table full) */ \
    X(uncounted)          /* calls that came while the recorder itself was at work (handlers) */

/* What every call touches comes first, in one cache line; the size classes from 8 to 2047 bytes of
 * malloc share another. */
struct malloctap_counters {
    uint64_t bytes[MALLOCTAP_OPS_ALLOC]; /* bytes requested by the calls that did not fail */
#define X(name) uint64_t name;
    MALLOCTAP_COUNTERS(X)
#undef X
    uint64_t failed[MALLOCTAP_OPS_ALLOC]; /* calls that returned NULL (or an error) for lack of
                                             memory or for bad arguments */
    uint64_t reserved[3];
    /* calls by operation and size class, failed ones included; the sum over classes is the number
     * of calls */
    uint64_t calls[MALLOCTAP_OPS_ALLOC][MALLOCTAP_SIZE_CLASSES];
};

/* ---- thread slots -------------------------------------------------------------------------- */

#define MALLOCTAP_THREAD_SLOT_SIZE 4096u

enum malloctap_thread_state {
    MALLOCTAP_THREAD_UNUSED = 0,
    MALLOCTAP_THREAD_LIVE = 1,
    MALLOCTAP_THREAD_EXITED = 2, /* its destructors ran; counters may still move a little */
};

/*
 * One thread's own counters, written with plain stores by that thread alone. Slot i is at offset
 * i * MALLOCTAP_THREAD_SLOT_SIZE of the THREADS area. When there are many dead threads, the oldest
 * slots are folded into the header's `exited` totals and reused.
 *
 * A slot counts when state is not UNUSED, `thread` is not 0 and not the one folded last (see struct
 * malloctap_exited). So that this holds at every instruction, the writer
 *   - makes a slot live by storing `thread`, then `state` (release), and counts only after that;
 *   - folds one slot at a time, of a thread that will not count any more;
 *   - after publishing the fold zeroes the counters, then `thread` (release), then state, all
 * before it folds another slot or this one gets a new `thread`.
 */
struct malloctap_thread_slot {
    uint32_t state; /* enum malloctap_thread_state */
    uint32_t tid;
    uint64_t thread;      /* unique in the recording, from 1 in order of first call; 0: unused */
    uint64_t birth_ticks; /* the thread's first call */
    uint64_t death_ticks; /* 0 while alive */
    char name[16];        /* NUL-terminated; as the kernel knew it at the first sample or death */
    uint64_t latency;     /* 0 or 1 + offset of the thread's histograms in the LATENCY area */
    uint64_t cpu_ns;      /* processor time since the first sample, at the latest look at it, which
                             is after every few samples; 0: not known */
    uint64_t reserved[8];
    struct malloctap_counters counters;
};

/*
 * Totals of threads whose slots were reused. Crash-safe: `published` names the valid copy in its
 * lowest bit, and in the other bits the `thread` folded last. A slot whose `thread` equals that one
 * is already in the totals and must not be counted again. The writer fills in the other copy, then
 * stores `published` (release); a reader that sees the same `published` before and after has seen
 * totals and slots between which no thread moved.
 */
struct malloctap_exited {
    uint64_t published;
    uint64_t threads[2]; /* number of threads in each copy */
    struct malloctap_counters copy[2];
};

/* ---- extents -------------------------------------------------------------------------------- */

enum malloctap_extent_kind {
    MALLOCTAP_EXTENT_THREADS = 1,
    MALLOCTAP_EXTENT_DEPOT = 2,
    MALLOCTAP_EXTENT_MODULES = 3,
    MALLOCTAP_EXTENT_CHUNKS = 4,
    MALLOCTAP_EXTENT_LATENCY = 5,
    MALLOCTAP_EXTENT_LOCKS = 6,
};

/*
 * The file has the extent's full size before `kind` is stored (release). Extents of one kind appear
 * in directory order, so that what is added never moves what is there; no thread slot, stack,
 * module, chunk, histogram or lock row crosses from one extent into the next.
 */
struct malloctap_extent {
    uint32_t kind; /* written last: 0 means not there yet; unknown kinds are skipped */
    uint32_t reserved;
    uint64_t offset; /* in the file, multiple of 4096 */
    uint64_t size;   /* multiple of 4096; CHUNKS: of chunk_size */
};

#define MALLOCTAP_EXTENTS_MAX 512u

/* ---- header --------------------------------------------------------------------------------- */

/* Losses of the process as a whole, beside the per-thread ones among the counters. */
#define MALLOCTAP_LOSSES(X)                                                                        \
    X(records_overwritten) /* records of a bounded ring that newer ones replaced */                \
    X(records_no_space)    /* records that found no space (disk, limit) */                         \
    X(stacks_no_space)     /* stacks that found no space in the depot */                           \
    X(modules_no_space)    /* loaded objects that could not be described */                        \
    X(threads_no_space)    /* threads without a slot: their calls are in `unslotted` */            \
    X(extents_failed)      /* attempts to grow the file that failed */                             \
    X(foreign_blocks)      /* frees and reallocs of blocks an unseen allocator made */             \
    X(unwinder_missing)    /* samples taken while no stack walker was available */

struct malloctap_losses {
#define X(name) uint64_t name;
    MALLOCTAP_LOSSES(X)
#undef X
};

/*
 * What a tool asks of the running process; the only part of a recording that others may write. The
 * tool fills in the values, then adds 1 to `generation` (release). Each thread looks from time to
 * time, at the latest after as many calls as separate two samples, while it only counts 65536, and
 * obeys.
 */
struct malloctap_control {
    uint32_t generation;
    uint32_t seen;  /* the last generation that some thread obeyed */
    uint32_t mode;  /* enum malloctap_mode from now on; 0: as it was at the start */
    uint32_t modes; /* 1 << enum malloctap_mode of each that was ever asked for */
    uint64_t calls; /* one in so many calls is sampled from now on; 0: as at the start */
    uint64_t bytes; /* one sample in so many bytes; 0: as at the start */
};

struct malloctap_header {
    uint64_t magic;       /* stored last (release) of what never changes again */
    uint32_t version;     /* of the format: larger than the reader's: refuse */
    uint32_t byte_order;  /* MALLOCTAP_BYTE_ORDER as the writer stores it */
    uint32_t header_size; /* offset of the first extent; may grow within a version */
    uint32_t header_used; /* sizeof(struct malloctap_header) of the writer */
    uint64_t features;    /* MALLOCTAP_FEATURES_KNOWN */
    uint32_t state;       /* enum malloctap_state; FINISHED is stored last (release) */
    uint32_t mode;        /* enum malloctap_mode at the start */
    uint32_t pid;
    uint32_t parent_pid;
    uint32_t arch;         /* ELF e_machine of the process */
    uint32_t pointer_bits; /* 64 */
    uint32_t page_size;
    uint32_t chunk_size;
    uint64_t start_realtime_ns; /* wall clock at start_ticks, since the epoch */
    uint64_t start_ticks;
    uint64_t end_ticks; /* 0 while running; not FINISHED: when others saw the end, or 0 */
    /* nanoseconds = ticks * clock_mult / 2^clock_shift, computed in 128 bits */
    uint64_t clock_mult;
    uint64_t clock_shift;
    uint64_t sample_mean;    /* M: mean units between samples; 0: no sampling */
    uint64_t call_units;     /* k: units a call costs beside its bytes */
    uint64_t ring_limit;     /* bytes of CHUNKS the ring may take; 0: unbounded */
    uint64_t peak_rss_bytes; /* VmHWM at the end; 0: unknown */
    uint64_t rss_bytes;      /* VmRSS at the end; 0: unknown */
    uint64_t probe_cost_ns;  /* what a probe itself takes, already subtracted from every time_ns */
    /* Of a bounded ring: no record earlier than this is sure to be there any more; an allocation
     * from before may have ended without a trace. 0: nothing was overwritten. */
    uint64_t overwritten_until;
    uint64_t lost_since; /* when the first record was lost for want of space; 0: none was */
    struct malloctap_control control;
    /* Forks of this process that could not have a recording of their own; they add to it. */
    uint64_t children_unrecorded;
    uint64_t reserved[6];
    struct malloctap_losses lost;
    /* NUL-terminated, cut to fit; never empty but where unknown */
    char executable[1024];
    char command_line[1024];  /* arguments separated by spaces, quoted as a shell would need */
    char backend[64];         /* as asked: own, libc, mtmalloc, ... */
    char backend_object[512]; /* the object whose malloc is called; "built in" for mtmalloc */
    char options[512];        /* as given, KEY=VALUE with commas */
    /* calls of threads that could not get a slot; bumped atomically */
    struct malloctap_counters unslotted;
    struct malloctap_exited exited;
    uint32_t extent_count; /* entries of the directory that may be in use */
    uint32_t reserved2;
    struct malloctap_extent extents[MALLOCTAP_EXTENTS_MAX];
};

#define MALLOCTAP_HEADER_SIZE 32768u

/* A program with the tap that can have no recording has a mapping of this name, which the number of
 * the error follows: who may see it from outside can tell. */
#define MALLOCTAP_UNRECORDED "malloctap-cannot-record-"

/* ---- stack depot and modules ----------------------------------------------------------------- */

/*
 * A stack is named by its id: its offset in the DEPOT area divided by 8, so id 0 (never used) means
 * no stack. Frames are innermost first; the first is the caller of the allocator.
 *
 * A frame packs the module and the place in it:
 *      63        48 47                                          0
 *     +------------+---------------------------------------------+
 *     | module     | return address - the module's load bias     |
 *     +------------+---------------------------------------------+
 * Module 0: no known object (generated code); the low bits are the plain address. A frame holds a
 * *return* address: look up symbols at address - 1. Of an interrupted frame it is the pc plus 1.
 */
struct malloctap_stack {
    uint32_t frame_count; /* written last */
    uint32_t flags;       /* MALLOCTAP_STACK_... */
    uint64_t frames[];
};

#define MALLOCTAP_STACK_TRUNCATED 1u /* the walk stopped before the outermost frame */
#define MALLOCTAP_STACK_LIMITED 2u   /* deeper than the limit in force */
#define MALLOCTAP_STACK_FRAMES_MAX 256u

#define MALLOCTAP_FRAME_MODULE(frame) ((uint32_t)((frame) >> 48))
#define MALLOCTAP_FRAME_OFFSET(frame) ((frame)&0xffffffffffffULL)

/*
 * One mapping of one object. Module id i (from 1) is at offset (i - 1) * sizeof(struct
 * malloctap_module) of the MODULES area. An object loaded again is a new module; two ids may
 * describe the same loading.
 */
struct malloctap_module {
    uint32_t committed; /* 1 when complete, written last */
    uint32_t build_id_size;
    uint64_t start; /* lowest and one past the highest address mapped */
    uint64_t end;
    uint64_t bias; /* address = bias + the object's own virtual address */
    uint64_t first_ticks;
    uint8_t build_id[32];
    char path[952];
};

/* ---- the ring -------------------------------------------------------------------------------- */

enum malloctap_chunk_state {
    MALLOCTAP_CHUNK_FREE = 0,
    MALLOCTAP_CHUNK_OPEN = 1,
    MALLOCTAP_CHUNK_SEALED = 2, /* its owner is done with it */
};

enum malloctap_chunk_content {
    MALLOCTAP_CHUNK_RECORDS = 0, /* struct malloctap_record and its like */
    MALLOCTAP_CHUNK_LOG = 1,     /* every call, in the encoding below */
};

/*
 * Chunk i is at offset i * chunk_size of the CHUNKS area: this header, then `committed` bytes of
 * records. A reader reads `sequence`, then this header, then the records, then `sequence` again: if
 * it changed, the chunk was reused meanwhile and the copy is worthless. To reuse a chunk, the
 * writer stores sequence 0, then (after a release fence) the other fields with committed 0, then
 * the new `sequence` (release), and only then records.
 */
struct malloctap_chunk {
    uint32_t state;       /* enum malloctap_chunk_state */
    uint32_t committed;   /* bytes of complete records; release store after each record */
    uint64_t sequence;    /* order of claims over the whole recording, from 1; 0: never used */
    uint64_t thread;      /* malloctap_thread_slot.thread of the owner */
    uint64_t first_ticks; /* no record in the chunk is earlier */
    uint32_t records;     /* complete ones, at most one behind `committed` */
    uint32_t tid;
    uint64_t last_ticks; /* SEALED: no record in the chunk is later */
    uint32_t content;    /* enum malloctap_chunk_content */
    uint32_t reserved[3];
};

enum malloctap_record_kind {
    MALLOCTAP_RECORD_ALLOC = 1, /* a sampled allocation: struct malloctap_sample */
    MALLOCTAP_RECORD_FREE = 2,  /* a sampled free: struct malloctap_sample */
    MALLOCTAP_RECORD_FREED = 3, /* a sampled allocation was freed: struct malloctap_freed */
};

/* Every record starts so; a reader skips kinds it does not know by their length. */
struct malloctap_record {
    uint8_t kind;
    uint8_t op;      /* enum malloctap_op of the call */
    uint16_t length; /* of the record, this header included; multiple of 8 */
    uint32_t stack;  /* id in the depot; 0: none */
};

#define MALLOCTAP_SAMPLE_FAILED 1u /* the call returned NULL */
#define MALLOCTAP_SAMPLE_UNTRACKED                                                                 \
    2u /* no FREED record will follow: no room in the address table */
#define MALLOCTAP_SAMPLE_WATCHED                                                                   \
    4u /* all calls of the thread were watched then: BLOCKED and PREEMPTED ones are all recorded,  \
          with weight 1, and the others that were drawn */

/* What happened to the thread while the sampled call was in the allocator. */
enum malloctap_probe {
    MALLOCTAP_PROBE_NONE = 0,      /* not probed */
    MALLOCTAP_PROBE_FAST = 1,      /* the allocator's own work, spinning included */
    MALLOCTAP_PROBE_FAULTING = 2,  /* the kernel gave pages */
    MALLOCTAP_PROBE_BLOCKED = 3,   /* it slept: waiting, mostly for a lock; wait_ns says how long */
    MALLOCTAP_PROBE_PREEMPTED = 4, /* another thread got the processor: time_ns is not the call's */
    MALLOCTAP_PROBE_UNCLASSED = 5, /* timed, but the kernel may not be asked what happened */
    MALLOCTAP_PROBES,
};

/*
 * A sampled call. `weight` is 1 / p, p being the probability with which this very call was sampled:
 * the sum of weight is an unbiased estimate of the number of calls, the sum of weight * size of the
 * bytes, and the sum of weight * (weight - 1) * x^2 of the variance of the estimate of sum x.
 *
 * Both kinds are recorded when the call is over: a process killed inside one leaves no record of
 * it.
 */
struct malloctap_sample {
    struct malloctap_record head;
    uint64_t ticks;   /* ALLOC: after the memory was obtained; FREE: before it goes back */
    uint64_t address; /* 0: the call failed */
    uint64_t size;    /* ALLOC: bytes requested; FREE: 0 */
    double weight;
    uint32_t flags;   /* MALLOCTAP_SAMPLE_... */
    uint32_t probe;   /* enum malloctap_probe */
    uint64_t time_ns; /* inside the allocator */
    uint64_t wait_ns; /* of these, waiting */
    uint64_t usable; /* ALLOC: bytes the backend holds for the block (malloc_usable_size); else 0 */
    uint32_t peak_rss_kib; /* of the process up to now; 0: not known */
    uint32_t reserved;
};

/* The end of a sampled allocation, by free or realloc in any thread; head.stack is the
 * allocation's stack, head.op the operation that ended it. */
struct malloctap_freed {
    struct malloctap_record head;
    uint64_t ticks; /* before the memory went back */
    uint64_t address;
    uint64_t size; /* of the allocation */
    double weight; /* of the allocation */
    uint64_t allocated_ticks;
};

/* ---- the log --------------------------------------------------------------------------------- */

/*
 * A chunk of content LOG holds one event a call, in the order of the calls of its thread. All is
 * little-endian and unaligned. Each chunk can be read alone: times, addresses and stacks are
 * relative to the event before, at the chunk's start to first_ticks, address 0 and stack 0.
 *
 *   tag, 16 bits:  15    13 12    10 9      7 6      4    3    2  0
 *                 +--------+--------+--------+--------+------+-----+
 *                 |  size  |address | stack  |  time  |failed| op  |   op: enum malloctap_op
 *                 +--------+--------+--------+--------+------+-----+
 *   realloc only, 8 bits:  7  6 5      3 2      0
 *                         +----+--------+--------+
 *                         | 0  |duration|  old   |
 *                         +----+--------+--------+
 *   then, each as long as the tag says: time, stack, address, size, old, duration
 *
 * A length of 0 ... 6 is so many bytes, 7 is eight bytes.
 *   time     ticks since the `time` of the event before, modulo 2^64. Of an allocation: when the
 *            memory was obtained; of a free: before it goes back; of a realloc: before the old
 * block goes back. A call that a signal handler interrupted comes after those of the handler. stack
 * id in the depot; length 0: that of the event before. address  of the block obtained or given
 * back, as a distance (see below) from the address in the event before; of a realloc that did not
 * fail, from `old`. Where the call obtained or gave back none (it failed, free(NULL)), `failed` is
 * set and the length is 0: address 0. A realloc to size 0 that just gave its block back has not
 * failed; its address and size have length 0 (a block resized to 0 in place has its address in
 * eight bytes). size     bytes requested; of a free: length 0. old      the block given to realloc,
 * as a distance from the address in the event before; eight zero bytes: NULL. duration ticks from
 * `time` until the new block was obtained. "The address in the event before" is its block's, that
 * of a realloc without one is `old`; where there is none either, it is the one before that.
 *
 * A distance of less than 2^46 that is a multiple of 8 is (|distance| / 8) * 2 + (1 if negative),
 * in up to 6 bytes; instead of any other stands, in eight bytes, the address itself.
 */
#define MALLOCTAP_LOG_OP(tag) ((tag)&7u)
#define MALLOCTAP_LOG_FAILED 8u
#define MALLOCTAP_LOG_TIME_SHIFT 4
#define MALLOCTAP_LOG_STACK_SHIFT 7
#define MALLOCTAP_LOG_ADDRESS_SHIFT 10
#define MALLOCTAP_LOG_SIZE_SHIFT 13
#define MALLOCTAP_LOG_OLD_SHIFT 0
#define MALLOCTAP_LOG_DURATION_SHIFT 3
#define MALLOCTAP_LOG_LENGTH(tag, shift) ((tag) >> (shift)&7u)
#define MALLOCTAP_LOG_EVENT_MAX 48u /* no event is longer */

/* ---- latency --------------------------------------------------------------------------------- */

/*
 * Log-linear histograms of the time that probed calls took, one row a thread (struct
 * malloctap_thread_slot.latency says where); preempted calls are left out. A bucket holds the sum
 * of the weights of its calls, so a quantile of a row is an unbiased estimate of the quantile of
 * all calls. Bucket b < 16 is b ns; from there each power of two has 8 buckets: b holds the times
 * from (8 + b % 8) << (b / 8 - 1) ns up to the next bucket's. The last one holds all that are
 * longer.
 *
 * Rows follow one another from the start of each LATENCY extent; one that is all zeros is not in
 * use. Before a slot is reused, its row's `thread` becomes MALLOCTAP_LATENCY_MOVING, the row is
 * added to that of the folded threads, the first of the area, and emptied, `thread` last. A row
 * that is moving does not count. So no call is ever in both; if the process is killed right then,
 * some are in neither.
 */
#define MALLOCTAP_LATENCY_BUCKETS 320u
#define MALLOCTAP_LATENCY_MOVING UINT64_MAX

struct malloctap_latency {
    uint64_t thread; /* malloctap_thread_slot.thread; 0: the row of all threads that were folded */
    uint64_t reserved[7];
    struct {
        double weight[MALLOCTAP_PROBES]; /* calls by class, estimated; [NONE] is 0 */
        double time_ns;                  /* of all classes but PREEMPTED, estimated */
        double wait_ns;
        uint64_t max_ns; /* the longest that was probed */
        uint64_t samples;
        /* the variances of the estimates time_ns and wait_ns: sums of weight * (weight - 1) * x^2
         */
        double time_variance;
        double wait_variance;
        double reserved[4];
        double buckets[MALLOCTAP_LATENCY_BUCKETS];
    } ops[MALLOCTAP_OPS];
};

/* ---- allocator locks ------------------------------------------------------------------------- */

enum malloctap_lock_kind {
    MALLOCTAP_LOCK_PARENT = 1,   /* of one per-cpu list */
    MALLOCTAP_LOCK_CACHE = 2,    /* all caches of one size class in one list */
    MALLOCTAP_LOCK_OVERSIZE = 3, /* the one of large blocks */
};

/*
 * One row of the LOCKS area. Rows of kind 0 are not in use and to be skipped: there are gaps. A row
 * appears when its locks are first used in this process.
 *
 * Waits and the OVERSIZE row are exact at every moment. The other rows lag in `acquisitions` and
 * what is in use, for each cache by less than 512 buffers taken and as many returned, and less than
 * half of all; a finished recording has everything.
 */
struct malloctap_lock_row {
    uint32_t kind;        /* enum malloctap_lock_kind, written last */
    uint32_t list;        /* OVERSIZE: 0 */
    uint32_t buffer_size; /* CACHE: bytes of its buffers; else 0 */
    uint32_t caches;      /* CACHE: how many there are, each with its lock */
    uint64_t acquisitions;
    uint64_t contended; /* acquisitions that did not get the lock at once */
    uint64_t wait_ns;   /* sum over the contended ones */
    uint64_t wait_max_ns;
    /* memory behind these locks */
    uint64_t held_bytes;      /* obtained from the system */
    uint64_t buffers;         /* CACHE: buffers, OVERSIZE: blocks; in use or free */
    uint64_t in_use;          /* of these, handed out */
    uint64_t in_use_bytes;    /* as rounded up */
    uint64_t requested_bytes; /* of these, asked for when they were handed out */
    uint64_t reserved[5];
};

/* ---- layout guards --------------------------------------------------------------------------- */

#define MALLOCTAP_OFFSET(type, field, offset)                                                      \
    static_assert(offsetof(struct type, field) == (offset), #type "." #field)
MALLOCTAP_OFFSET(malloctap_header, state, 32);
MALLOCTAP_OFFSET(malloctap_header, start_realtime_ns, 64);
MALLOCTAP_OFFSET(malloctap_header, control, 168);
MALLOCTAP_OFFSET(malloctap_header, lost, 256);
MALLOCTAP_OFFSET(malloctap_thread_slot, counters, 128);
MALLOCTAP_OFFSET(malloctap_counters, calls, 160);
MALLOCTAP_OFFSET(malloctap_module, path, 72);
#undef MALLOCTAP_OFFSET
static_assert(sizeof(struct malloctap_thread_slot) <= MALLOCTAP_THREAD_SLOT_SIZE, "thread slot");
static_assert(sizeof(struct malloctap_header) <= MALLOCTAP_HEADER_SIZE, "header");
static_assert(sizeof(struct malloctap_module) == 1024, "module");
static_assert(sizeof(struct malloctap_chunk) == 64, "chunk");
static_assert(sizeof(struct malloctap_sample) == 80, "sample");
static_assert(sizeof(struct malloctap_freed) == 48, "freed");
static_assert(sizeof(struct malloctap_latency) == 13504, "latency");
static_assert(sizeof(struct malloctap_lock_row) == 128, "lock row");

#endif

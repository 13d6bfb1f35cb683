/* SPDX-License-Identifier: MIT */
#include "switches.h"

#include <compiler.h>

#include <dlfcn.h>
#include <linux/rseq.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A section of one instruction that nobody executes. The kernel reads the signature before the
 * place where it would continue after an interruption, and ends the process if it is not the one
 * that the C library has registered.
 */
#if defined __x86_64__
#define SIGNATURE "0x53053053"
#elif defined __aarch64__ && defined __AARCH64EL__
#define SIGNATURE "0xd428bc00"
#endif

#ifdef SIGNATURE
__asm__(".pushsection .text\n"
        ".globl switches_section, switches_section_aborted\n"
        ".hidden switches_section, switches_section_aborted\n"
        "switches_section: nop\n"
        ".balign 4\n"
        ".long " SIGNATURE "\n"
        "switches_section_aborted: nop\n"
        ".popsection");
extern const char switches_section[] HIDDEN, switches_section_aborted[] HIDDEN;

static const struct rseq_cs section = {
    .start_ip = (uintptr_t)switches_section,
    .post_commit_offset = 1,
    .abort_ip = (uintptr_t)switches_section_aborted,
};

/* From the thread pointer to the area; 0: there is none. */
static ptrdiff_t distance;

/* Looked up by name: a reference would make an older C library refuse the whole object. */
void switches_init(void)
{
    const ptrdiff_t *offset = dlsym(RTLD_DEFAULT, "__rseq_offset");
    const unsigned *size = dlsym(RTLD_DEFAULT, "__rseq_size");
    if (offset == NULL || size == NULL)
        dlerror(); /* ours, not to be found by the program */
    else if (*size > 0)
        distance = *offset;
}

static struct rseq *area(void)
{
    struct rseq *area =
        (struct rseq *)((uintptr_t)__builtin_thread_pointer() + (uintptr_t)distance);
    /* A thread whose registration failed has a negative number in it. */
    return distance != 0 && (int32_t)area->cpu_id >= 0 ? area : NULL;
}

static uint64_t *name(struct rseq *area)
{
    return (uint64_t *)((uintptr_t)area + offsetof(struct rseq, rseq_cs));
}

bool switches_watch(void)
{
    struct rseq *own = area();
    if (own != NULL)
        __atomic_store_n(name(own), (uintptr_t)&section, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return own != NULL;
}

bool switches_ruled_out(void)
{
    struct rseq *own = area();
    uint64_t ours = (uintptr_t)&section;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (own == NULL || __atomic_load_n(name(own), __ATOMIC_RELAXED) != ours)
        return false;
    __atomic_store_n(name(own), 0, __ATOMIC_RELAXED);
    return true;
}
#else
void switches_init(void)
{
}

bool switches_watch(void)
{
    return false;
}

bool switches_ruled_out(void)
{
    return false;
}
#endif

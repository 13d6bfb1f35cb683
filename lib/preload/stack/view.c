/* SPDX-License-Identifier: MIT */
#include "view.h"

#include "arch/arch.h"

#include <errno.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* How far down from its top a thread's stack is looked for, page by page, once a thread. Beyond it
 * each walk asks for the pages it needs. */
#define OWN_STACK_REACH (8u << 20)

/* The size of the kernel's signal sets, not of the C library's. */
#define KERNEL_SIGSET_SIZE 8

/* Written by stack_view_prepare() alone. */
static uintptr_t page_size = 4096;
static uintptr_t main_stack_top;
static uintptr_t main_thread_pointer;
static bool may_ask;
static bool under_valgrind;

_Thread_local struct own_stack own_stack;

void stack_view_prepare(bool may_ask_kernel)
{
    may_ask = may_ask_kernel;
    under_valgrind = arch_under_valgrind();
    uintptr_t size = getauxval(AT_PAGESZ);
    if (size != 0)
        page_size = size;
    /* The kernel puts these bytes above the first frame, in the same mapping. */
    main_stack_top = getauxval(AT_RANDOM);
    if (syscall(SYS_gettid) == getpid())
        main_thread_pointer = arch_thread_pointer();
}

/* Of another process's memory valgrind holds no opinion, and our own passes for one. */
static cold bool readable_under_valgrind(uintptr_t address)
{
    char byte;
    struct iovec to = {&byte, 1}, from = {(void *)address, 1};
    return syscall(SYS_process_vm_readv, syscall(SYS_getpid), &to, 1, &from, 1, 0) == 1;
}

/*
 * sigprocmask() with an operation that does not exist: the kernel copies the set first (EFAULT),
 * only then finds that it cannot be obeyed (EINVAL). It changes nothing, and sandboxes, which may
 * refuse process_vm_readv(), let it pass; if one does not, the answer is no.
 * valgrind would find fault with both the set and the operation.
 */
bool stack_view_readable(uintptr_t address)
{
    if (!may_ask)
        return false;
    if (unlikely(under_valgrind))
        return readable_under_valgrind(address);
    const int no_operation = -1;
    uintptr_t aligned = address & ~(uintptr_t)(KERNEL_SIGSET_SIZE - 1);
    return syscall(SYS_rt_sigprocmask, no_operation, aligned, NULL, KERNEL_SIGSET_SIZE) == -1 &&
           errno == EINVAL;
}

bool stack_view_object_readable(uintptr_t address)
{
    return !may_ask || stack_view_readable(address);
}

static uintptr_t page_of(uintptr_t address)
{
    return address & ~(page_size - 1);
}

noinline bool stack_view_find(struct stack_view *view, uintptr_t address)
{
    if (address > UINTPTR_MAX - sizeof(uint64_t))
        return false;
    if (address >= view->low && address + sizeof(uint64_t) <= view->high)
        return true;
    uintptr_t first = page_of(address), last = page_of(address + sizeof(uint64_t) - 1);
    for (uintptr_t page = first; page <= last; page += page_size) {
        if (page >= view->low && page < view->high)
            continue;
        if (!stack_view_readable(page))
            return false;
    }
    if (first > view->high || last + page_size < view->low) {
        view->low = first;
        view->high = last + page_size;
    } else {
        view->low = first < view->low ? first : view->low;
        view->high = last + page_size > view->high ? last + page_size : view->high;
    }
    return true;
}

/* The top of the stack that the thread was started with, if `sp` may be on it. */
static uintptr_t own_stack_top(uintptr_t sp)
{
    if (sp < main_stack_top && main_stack_top - sp < OWN_STACK_REACH)
        return main_stack_top;
    uintptr_t self = arch_thread_pointer();
    /* The main thread's control block is not on its stack: what lies below it is no stack. */
    return self != main_thread_pointer ? self : 0;
}

/* Find the own stack's readable pages down to the one that holds `sp`. Where the kernel may not be
 * asked, the main thread's is known without: as far as it may grow, nothing else is mapped below
 * it. Of any other stack's lower end nothing is known. */
static void find_own_stack(uintptr_t sp, uintptr_t top)
{
    uintptr_t bottom = page_of(sp);
    uintptr_t low = own_stack.top == top ? own_stack.low : page_of(top);
    bool known = !may_ask && top == main_stack_top;
    while (low > bottom && (known || stack_view_readable(low - page_size)))
        low -= page_size;
    own_stack = (struct own_stack){low, top};
}

noinline void stack_view_init_slowly(struct stack_view *view, uintptr_t sp)
{
    uintptr_t top = own_stack_top(sp), bottom = page_of(sp);
    if (sp < top && top - sp <= OWN_STACK_REACH)
        find_own_stack(sp, top);
    *view = (struct stack_view){.low = bottom, .high = bottom + page_size};
    if (sp >= own_stack.low && sp + sizeof(uint64_t) <= own_stack.top) {
        view->own_low = sp;
        view->own_words = own_stack.top - sp - sizeof(uint64_t) + 1;
    }
}

/* SPDX-License-Identifier: MIT */
#include "budget.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* At most so much in one step. */
#define STEP 8u

/* A thread begins with a mean of so small a part. */
#define FIRST_PART 4u

/* Of this process and all it will fork. */
static bool may_ask;

void budget_init(bool may_ask_kernel)
{
    may_ask = may_ask_kernel;
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec now;
    if (syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/*
 * By the time that a unit takes, which the distances drawn do not make uncertain. But where
 * allocations are much larger than the mean, more units are spent than were drawn: that samples
 * come too fast shows only in the time that they took.
 */
uint64_t budget_next(const struct budget *budget, uint64_t time_ns, uint64_t least, uint64_t most)
{
    double mean = (double)budget->mean;
    double wanted = (double)budget->units * (double)budget->apart_ns / ((double)time_ns + 1);
    if (time_ns < budget->draws * budget->apart_ns / 2 && wanted < mean * 2)
        wanted = mean * 2;
    if (wanted > mean * STEP)
        wanted = mean * STEP;
    else if (wanted < mean / STEP)
        wanted = mean / STEP;
    return clamp((uint64_t)wanted, least, most);
}

struct budget budget_begin(uint64_t apart_ns, uint64_t least, uint64_t most)
{
    return (struct budget){.mean = may_ask ? clamp(most / FIRST_PART, least, most) : most,
                           .apart_ns = apart_ns};
}

uint64_t budget_look(struct budget *budget, uint64_t units, uint64_t least, uint64_t most)
{
    budget->units += units;
    bool first = units > 0 && budget->cpu_ns == 0;
    budget->draws += units > 0;
    if (!may_ask || (budget->draws < BUDGET_DRAWS && !first))
        return 0;
    uint64_t now = thread_cpu_ns(), before = budget->cpu_ns;
    if (now > before) {
        budget->took_ns = now - before;
        budget->took_units = budget->units;
        budget->mean = budget_next(budget, now - before, least, most);
    }
    budget->cpu_ns = now;
    budget->units = budget->draws = 0;
    return before > 0 && now > before ? now - before : 0;
}

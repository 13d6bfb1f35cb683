/* SPDX-License-Identifier: MIT */
#include "thread_filter.h"

struct thread_filter thread_filter(const struct malloctap_recording *recording, uint32_t tid)
{
    struct thread_filter filter = {.tid = tid};
    struct malloctap_thread_slot slot;
    bool inserted;
    for (uint64_t position = 0;
         tid && malloctap_recording_next_thread(recording, &position, &slot);)
        if (slot.tid == tid)
            table_insert(&filter.threads, slot.thread, 0, 0, &inserted);
    return filter;
}

bool thread_filter_passes(const struct thread_filter *filter, const struct malloctap_event *event)
{
    if (!filter->tid)
        return true;
    return filter->threads.count ? table_find(&filter->threads, event->thread, 0) != NULL
                                 : event->tid == filter->tid;
}

void thread_filter_deinit(struct thread_filter *filter)
{
    table_deinit(&filter->threads);
}

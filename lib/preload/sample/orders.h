/* SPDX-License-Identifier: MIT */
/*
 * orders.h - what a thread is to do with its calls: count, sample or log them.
 *
 * At first what the options say; later what a tool wrote into the recording's header, which each
 * thread looks at whenever it draws the distance to its next sample. Where nothing is sampled it
 * draws one all the same, in order to look.
 */
#ifndef PRELOAD_ORDERS_H
#define PRELOAD_ORDERS_H

#include <thread/thread.h>

/* At the default rate: processor time between two samples at first, where calls are so frequent. */
#define ORDERS_APART_NS 600000u

/* A new thread's. */
void orders_begin(struct thread *thread);

/* Whether there are other orders than those the thread follows. */
bool orders_changed(const struct thread *thread);

/* Look at the orders in force; returns the thread's next limit. */
uint64_t orders_next_limit(struct thread *thread);

#endif

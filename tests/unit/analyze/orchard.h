/* SPDX-License-Identifier: MIT */
/*
 * orchard.h - a library whose call paths are known to the line. Each function calls `probe` and has
 * something left to do afterwards, so that the call is no jump and the return address is its own.
 */
#ifndef TESTS_ORCHARD_H
#define TESTS_ORCHARD_H

typedef void orchard_probe(void);

void orchard_plain(orchard_probe *probe);
void orchard_through_inlined(orchard_probe *probe);
void orchard_through_static(orchard_probe *probe);
void orchard_cxx(orchard_probe *probe) __asm__("_ZN7orchard4Tree4growEiPKc");
void orchard_rust(orchard_probe *probe) __asm__("_RNvNtCs4fqI2P2rA04_7orchard4tree5prune");
void orchard_old_rust(orchard_probe *probe) __asm__("_ZN7orchard4tree5graft17h0123456789abcdefE");

/* `probe` must not return: the address after this call is outside the function. */
void orchard_last(orchard_probe *probe) __attribute__((noreturn));

/* The lines of the calls in orchard.c. */
enum {
    ORCHARD_PLAIN_LINE = 15,
    ORCHARD_INNER_LINE = 21,
    ORCHARD_OUTER_LINE = 27,
    ORCHARD_THROUGH_LINE = 33,
    ORCHARD_STATIC_LINE = 39,
    ORCHARD_LAST_LINE = 69,
};

#endif

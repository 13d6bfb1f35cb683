/* SPDX-License-Identifier: MIT */
/* The test knows the lines of the calls: keep orchard.h in step. */
#include "orchard.h"

/* Neither removed nor merged with its like in another function. */
#define REMAINS(text) __asm__ volatile("/* " text " */" ::: "memory")

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NEVER_INLINE __attribute__((noinline))

/* clang-format off */

NEVER_INLINE void orchard_plain(orchard_probe *probe)
{
    probe();
    REMAINS("plain");
}

ALWAYS_INLINE void inlined_inner(orchard_probe *probe)
{
    probe();
    REMAINS("inner");
}

ALWAYS_INLINE void inlined_outer(orchard_probe *probe)
{
    inlined_inner(probe);
    REMAINS("outer");
}

NEVER_INLINE void orchard_through_inlined(orchard_probe *probe)
{
    inlined_outer(probe);
    REMAINS("through inlined");
}

NEVER_INLINE static void hidden_function(orchard_probe *probe)
{
    probe();
    REMAINS("hidden");
}

NEVER_INLINE void orchard_through_static(orchard_probe *probe)
{
    hidden_function(probe);
    REMAINS("through static");
}

NEVER_INLINE void orchard_cxx(orchard_probe *probe)
{
    probe();
    REMAINS("cxx");
}

NEVER_INLINE void orchard_rust(orchard_probe *probe)
{
    probe();
    REMAINS("rust");
}

NEVER_INLINE void orchard_old_rust(orchard_probe *probe)
{
    probe();
    REMAINS("old rust");
}

NEVER_INLINE void orchard_last(orchard_probe *probe)
{
    probe();
    __builtin_unreachable();
}

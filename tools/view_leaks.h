/* SPDX-License-Identifier: MIT */
/* view_leaks.h - what is live and who allocated it: as text, JSON and CSV. */
#ifndef TOOLS_VIEW_LEAKS_H
#define TOOLS_VIEW_LEAKS_H

#include "emit.h"
#include "leaks.h"

/* Moments are nanoseconds from the recording's start. */
struct view_leaks_query {
    uint64_t at_ns;     /* UINT64_MAX: the end */
    uint64_t since_ns;  /* only blocks allocated from then on; 0: all */
    uint64_t before_ns; /* only blocks allocated until then; UINT64_MAX: all */
    bool growth;        /* minus what was live at from_ns */
    uint64_t from_ns;
    uint32_t tid;       /* 0: all threads */
    size_t depth;       /* frames that count; 0: all */
    uint64_t min_bytes; /* rows with less are left out */
    size_t rows_max;    /* 0: all */
    bool runtime;       /* the C and C++ runtime's own are rows like any other */
};

struct view_leaks {
    const struct malloctap_recording *recording;
    struct view_leaks_query query;
    const struct suppressions *hidden;
    struct leaks leaks;
    struct symbols *symbols;
    struct leaks_groups groups;
    uint64_t now_ns;  /* the moment that is looked at */
    bool at_end;      /* it is the end, or as far as a running program has come */
    bool running;     /* the program is */
    bool logged;      /* every call is in the recording, but for those that are missing */
    bool switched;    /* what is recorded was changed while the program ran */
    uint64_t missing; /* calls of which it is known that they left no record */
    bool complete;    /* nothing is missing that could change what is shown */
    bool pathless;    /* but for paths of some blocks, which found no space */
};

/* Returns 0; or -1 with `error` set when nothing can be said about the recording's blocks. `hidden`
 * must outlive the view. */
int view_leaks_create(struct malloctap_recording *recording, struct view_leaks_query query,
                      const struct suppressions *hidden, struct view_leaks *ret,
                      struct malloctap_error *error);
void view_leaks_destroy(struct view_leaks *view);

void view_leaks_print(const struct view_leaks *view, enum emit_format format, FILE *out);

void view_leaks_print_text(const struct view_leaks *view, FILE *out);
void view_leaks_print_json(const struct view_leaks *view, FILE *out);
void view_leaks_print_csv(const struct view_leaks *view, FILE *out);

/* Figures are exact: nothing is estimated, nothing is missing. */
bool view_leaks_exact(const struct view_leaks *view);

/* How many of the rows have enough bytes, and how many of these are shown. */
size_t view_leaks_large(const struct view_leaks *view);
size_t view_leaks_shown(const struct view_leaks *view);

/* Since the oldest of the blocks was allocated; 0: there is none. */
uint64_t view_leaks_age_ns(const struct view_leaks *view, const struct leaks_sums *sums);

#endif

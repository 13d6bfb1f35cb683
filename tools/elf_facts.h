/* SPDX-License-Identifier: MIT */
/* elf_facts.h - what an ELF file says about itself, as far as a tap has to know. */
#ifndef TOOLS_ELF_FACTS_H
#define TOOLS_ELF_FACTS_H

#include <stdbool.h>
#include <stdint.h>

struct elf_facts {
    bool readable;    /* the rest is known */
    bool elf;         /* the rest has meaning */
    bool native;      /* class, byte order and machine are those of this command */
    bool executable;  /* can be started: not an object file, not a core */
    bool interpreted; /* has a PT_INTERP: the loader starts it */
    char interpreter[256];
    bool go;              /* linked by the Go toolchain */
    bool defines_malloc;  /* has a malloc of its own inside */
    bool inner_allocator; /* has an allocator inside that goes by other names than malloc */
    char sanitizer[24];   /* runtime that replaces malloc: "AddressSanitizer"; "": none */
    char allocator[64];   /* soname of a known allocator it is linked with; "": none */
    /* Bit i: it needs, or has, the i-th of private_names.def. */
    uint32_t private_imports, private_definitions;
};

/* Never fails: what cannot be had is false. */
void elf_facts_read(const char *path, struct elf_facts *ret);

/* The first name in such a set, which is not empty. */
const char *elf_private_name(uint32_t set);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * program_name.h - what to call the program that left a recording.
 */
#ifndef PROGRAM_NAME_H
#define PROGRAM_NAME_H

#include <malloctap/recording.h>

struct program_name {
    char text[sizeof((struct malloctap_header *)0)->command_line];
};

/* As it was called: a link's name says more than that of the file behind it. Without directories;
 * "" where nothing is known. */
struct program_name program_name(const struct malloctap_header *header);

#endif

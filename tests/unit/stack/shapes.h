/* SPDX-License-Identifier: MIT */
/* shapes.h - functions with frames of every shape; each calls `callee(argument)`. */
#ifndef TESTS_STACK_SHAPES_H
#define TESTS_STACK_SHAPES_H

typedef void shape(void (*callee)(void *), void *argument);

/* Two of one layout. */
shape shape_left, shape_right;

shape shape_plain, shape_frame_pointer, shape_alloca, shape_realigned, shape_large;

#ifdef __x86_64__
shape shape_rbx, shape_expression, shape_undescribed;
/* These lead a walk astray; `argument` points to the word to put there. */
shape shape_bogus_frame_pointer, shape_lying_frame_pointer, shape_bogus_return, shape_lying,
    shape_lying_much, shape_standing_still;
/* Raises SIGILL at its first instruction, 2 bytes long, and returns. */
void shape_trap(void *unused);
#endif

#endif

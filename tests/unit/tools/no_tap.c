/* SPDX-License-Identifier: MIT */
/* In the tap's place: a library that does nothing, and so leaves no recording. */
int no_tap;

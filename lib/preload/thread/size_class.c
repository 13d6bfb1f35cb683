/* SPDX-License-Identifier: MIT */
#include "size_class.h"

#ifdef __x86_64__
size_t size_class_flip;

void size_class_prepare(void)
{
    size_class_flip = size_class_scan(1);
}
#else
void size_class_prepare(void)
{
}
#endif

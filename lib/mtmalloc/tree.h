/* SPDX-License-Identifier: MIT */
/*
 * tree.h - an ordered set of nodes that live in their owners: find the nearest, insert and remove
 * in logarithmic expected time. Nodes with equal keys are ordered by address. Not locked.
 */
#ifndef MTMALLOC_TREE_H
#define MTMALLOC_TREE_H

#include <stdint.h>

struct mt_node {
    struct mt_node *lower;
    struct mt_node *higher;
    uint64_t key;
};

/* An empty tree is a NULL root. The key is set before, and not changed while in a tree. */
void mt_tree_insert(struct mt_node **root, struct mt_node *node);

/* The node must be in the tree. */
void mt_tree_remove(struct mt_node **root, struct mt_node *node);

/* The first node with at least this key, or the last with at most this key. NULL: there is none. */
struct mt_node *mt_tree_at_least(struct mt_node *root, uint64_t key);
struct mt_node *mt_tree_at_most(struct mt_node *root, uint64_t key);

#endif

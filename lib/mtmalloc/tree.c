/* SPDX-License-Identifier: MIT */
/*
 * tree.c - a treap: a search tree by key that is also a heap by priority. The priority is a hash of
 * the node's address, so the shape is that of a tree built in random order, whatever the order was.
 */
#include "tree.h"

#include <compiler.h>

#include <stdbool.h>
#include <stddef.h>

static always_inline uint32_t priority(const struct mt_node *node)
{
    return (uint32_t)(((uintptr_t)node >> 4) * 0x9e3779b97f4a7c15u >> 32);
}

static always_inline bool comes_before(const struct mt_node *a, const struct mt_node *b)
{
    return a->key < b->key || (a->key == b->key && a < b);
}

void mt_tree_insert(struct mt_node **root, struct mt_node *node)
{
    struct mt_node *below = *root;
    while (below != NULL && priority(below) >= priority(node)) {
        root = comes_before(node, below) ? &below->lower : &below->higher;
        below = *root;
    }
    *root = node;
    /* What was below is split along the path that a search for the node takes. */
    struct mt_node **lower = &node->lower, **higher = &node->higher;
    while (below != NULL) {
        if (comes_before(below, node)) {
            *lower = below;
            lower = &below->higher;
            below = *lower;
        } else {
            *higher = below;
            higher = &below->lower;
            below = *higher;
        }
    }
    *lower = NULL;
    *higher = NULL;
}

void mt_tree_remove(struct mt_node **root, struct mt_node *node)
{
    while (*root != node)
        root = comes_before(node, *root) ? &(*root)->lower : &(*root)->higher;
    struct mt_node *lower = node->lower, *higher = node->higher;
    while (lower != NULL && higher != NULL) {
        if (priority(lower) >= priority(higher)) {
            *root = lower;
            root = &lower->higher;
            lower = *root;
        } else {
            *root = higher;
            root = &higher->lower;
            higher = *root;
        }
    }
    *root = lower != NULL ? lower : higher;
}

struct mt_node *mt_tree_at_least(struct mt_node *root, uint64_t key)
{
    struct mt_node *best = NULL;
    while (root != NULL) {
        if (root->key >= key) {
            best = root;
            root = root->lower;
        } else {
            root = root->higher;
        }
    }
    return best;
}

struct mt_node *mt_tree_at_most(struct mt_node *root, uint64_t key)
{
    struct mt_node *best = NULL;
    while (root != NULL) {
        if (root->key <= key) {
            best = root;
            root = root->higher;
        } else {
            root = root->lower;
        }
    }
    return best;
}

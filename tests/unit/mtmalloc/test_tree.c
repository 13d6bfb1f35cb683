/* SPDX-License-Identifier: MIT */
#include <tree.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NODES = 400, KEYS = 200 }; /* fewer keys than nodes: some are equal */

static struct mt_node nodes[NODES];
static bool inside[NODES];

/* By looking at all. */
static struct mt_node *expect_at_least(uint64_t key)
{
    struct mt_node *best = NULL;
    for (int i = 0; i < NODES; i++)
        if (inside[i] && nodes[i].key >= key && (best == NULL || nodes[i].key < best->key))
            best = &nodes[i];
    return best;
}

static struct mt_node *expect_at_most(uint64_t key)
{
    struct mt_node *best = NULL;
    for (int i = 0; i < NODES; i++)
        if (inside[i] && nodes[i].key <= key && (best == NULL || nodes[i].key >= best->key))
            best = &nodes[i];
    return best;
}

static void test_against_model(void **state)
{
    struct mt_node *root = NULL;
    srand(1);
    for (int step = 0; step < 20000; step++) {
        int i = rand() % NODES;
        if (inside[i]) {
            mt_tree_remove(&root, &nodes[i]);
        } else {
            nodes[i].key = (uint64_t)(rand() % KEYS);
            mt_tree_insert(&root, &nodes[i]);
        }
        inside[i] = !inside[i];
        uint64_t key = (uint64_t)(rand() % (KEYS + 2));
        assert_ptr_equal(mt_tree_at_least(root, key), expect_at_least(key));
        assert_ptr_equal(mt_tree_at_most(root, key), expect_at_most(key));
    }
}

static int depth(const struct mt_node *node)
{
    if (node == NULL)
        return 0;
    int lower = depth(node->lower), higher = depth(node->higher);
    return 1 + (lower > higher ? lower : higher);
}

/* The order that ruins a plain search tree. */
static void test_ascending_keys_stay_shallow(void **state)
{
    enum { COUNT = 100000 };
    struct mt_node *many = calloc(COUNT, sizeof *many), *root = NULL;
    for (uint64_t i = 0; i < COUNT; i++) {
        many[i].key = i;
        mt_tree_insert(&root, &many[i]);
    }
    assert_in_range(depth(root), 17, 80);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_ascending_keys_stay_shallow),
    };
    return cmocka_run_group_tests_name("mtmalloc-tree", tests, NULL, NULL);
}

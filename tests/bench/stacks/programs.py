#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a stack costs at every allocation of real programs: by libunwind, whose result is thrown
away, by a full walk and by a joined one, both interned; and that all three agree on each stack.

    programs.py [--brief] SHIM DEEP_STACKS
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile

PYTHON = """
import collections, json, re
rows = [json.loads(json.dumps({"a": i, "b": [1, 2, "x" * (i % 17)], "c": {"k" + str(i): i}}))
        for i in range(ROWS)]
print(len(collections.Counter(re.sub(r"[0-9]", "#", json.dumps(row)) for row in rows)))
"""


def sqlite_script(rows):
    drawn = random.Random(5)
    yield "create table t(a integer primary key, b text, c real); begin;"
    for i in range(rows):
        text = "x" * drawn.randint(4, 60) + str(drawn.randint(0, 10**9))
        yield f"insert into t values({i}, '{text}', {drawn.random()});"
    yield ("commit; create index ib on t(b);"
           "select count(*), sum(length(b)), avg(c) from t where b like '%77%';"
           "select substr(b, 1, 3) k, count(*) from t group by k order by 2 desc limit 5;"
           "update t set c = c * 2 where a % 3 = 0; delete from t where a % 5 = 0;")


def run(shim, mode, arguments, stdin):
    environment = {**os.environ, "LD_PRELOAD": shim, "STACK_SHIM": mode,
                   "PYTHONMALLOC": "malloc"}
    with open(stdin or os.devnull, encoding="ascii") as script:
        done = subprocess.run(arguments, env=environment, stdin=script, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, check=False)
    print(done.stderr, end="", flush=True)
    if done.returncode != 0:
        sys.exit(f"{arguments[0]}: status {done.returncode}")


def main():
    brief = sys.argv[1] == "--brief"
    shim, deep_stacks = sys.argv[-2:]
    scale = 1 if brief else 20
    with tempfile.TemporaryDirectory() as directory:
        script = os.path.join(directory, "script.sql")
        with open(script, "w", encoding="ascii") as file:
            file.write("\n".join(sqlite_script(6000 * scale)))
        programs = {
            "sqlite3": (["sqlite3", ":memory:"], script),
            "python3": (["python3", "-c", PYTHON .replace("ROWS", str(300 * scale))], None),
            "4 threads, a new path for each allocation":
                ([deep_stacks, "4", str(50000 * scale), "1"], None),
            "4 threads, 8 allocations on each path":
                ([deep_stacks, "4", str(50000 * scale), "8"], None),
        }
        for name, (arguments, stdin) in programs.items():
            if shutil.which(arguments[0]) is None:
                continue
            print(name, flush=True)
            for mode in ("compare", "measure"):
                run(shim, mode, arguments, stdin)


if __name__ == "__main__":
    main()

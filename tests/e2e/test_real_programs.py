# SPDX-License-Identifier: MIT
"""Real programs under every backend: same output, same exit status, a recording that can be read."""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import time

from harness import *


def needed(name, *more):
    """The path of an installed program, by any of its names."""
    for candidate in (name, *more):
        path = shutil.which(candidate) or shutil.which(candidate, path="/usr/sbin:/usr/local/sbin")
        if path:
            return path
    raise Skip(f"{name} is not installed")


def check_everywhere(place, arguments, stdin=b"", environment=None):
    """Run plain, then under every backend; all must do the same."""
    environment = environment or clean_environment()
    plain = run(arguments, place, environment, stdin)
    check_exit(plain, 0, f"{arguments[0]}, plain")
    check(plain.stdout, f"{arguments[0]}, plain: no output to compare")
    for backend in backends():
        what = f"{pathlib.Path(arguments[0]).name} under {backend}"
        recording = place / f"{backend}.mtap"
        done = run_command(recording, arguments, place, ["-b", backend], environment=environment,
                           stdin=stdin)
        check_exit(done, 0, what)
        check(done.stdout == plain.stdout, f"{what}: other output than plain")
        check_equal(done.stderr, plain.stderr, f"{what}: stderr")
        check_readable(recording, what)


def test_sqlite3(place):
    script = ["create table t(id integer primary key, name text, amount integer);", "begin;"]
    script += [f"insert into t(name, amount) values('name {i * 7919 % 1000}', {i * 31 % 977});"
               for i in range(20000)]
    script += ["commit;", "create index by_name on t(name);",
               "select name, sum(amount), count(*) from t group by name order by 2, 1;"]
    check_everywhere(place, [needed("sqlite3"), ":memory:"], "\n".join(script).encode())


def test_python3(place):
    script = place / "work.py"
    script.write_text(
        "import json, re, threading\n"
        "def work():\n"
        "    rows = [{'id': i, 'name': 'n' * (i % 50), 'tags': list(range(i % 9))}"
        " for i in range(8000)]\n"
        "    text = json.dumps(rows)\n"
        "    assert json.loads(text) == rows\n"
        "    print(len(text), len(re.findall(r'n+', text)))\n"
        "threads = [threading.Thread(target=work) for _ in range(3)]\n"
        "for thread in threads: thread.start(); thread.join()\n")
    check_everywhere(place, [needed("python3"), script],
                     environment=clean_environment(PYTHONMALLOC="malloc"))


def test_ruby(place):
    check_everywhere(place, [needed("ruby"), "-e",
                             "h = Hash.new(0); 200000.times { |i| h['k' + (i % 5000).to_s] += i }; "
                             "puts h.size, h.values.sum, h.keys.sort.first(5)"])


def test_node(place):
    check_everywhere(place, [needed("node"), "-e",
                             "const m = new Map(); for (let i = 0; i < 200000; i++) "
                             "m.set('k' + i % 5000, Buffer.alloc(100 + i % 50)); "
                             "console.log(m.size, JSON.stringify([...m.keys()].sort()).length)"])


def test_gcc(place):
    source = place / "large.c"
    lines = ["#include <stdio.h>", "#include <stdlib.h>"]
    for i in range(600):
        lines.append(f"static int f{i}(int a, int b) {{ int s = 0; for (int i = 0; i < a; i++) "
                     f"s += i * b ^ {i}; return s + (a > {i} ? {'f%d(a - 1, b)' % (i - 1) if i else 0} : b); }}")
    lines.append("int main(void) { printf(\"%d\\n\", f599(3, 4)); return 0; }")
    source.write_text("\n".join(lines) + "\n")
    check_everywhere(place, [needed("gcc"), "-O1", "-S", "-o", "-", source])
    children = [path for path in place.glob("own.*.mtap")]
    check(children, "no recording of the compiler proper, which gcc starts")
    for path in children:
        check_readable(path, path.name)


def make_repository(git, place):
    """A repository with some history, the same every time."""
    when = {"GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z",
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(place)}
    environment = clean_environment(**when)
    check_exit(run([git, "init", "-q", "."], place, environment), 0, "git init")
    stream = []
    for commit in range(150):
        stream.append(f"commit refs/heads/main\ncommitter a <a@example.com> {978307200 + commit} +0000\n"
                      f"data 9\ncommit {commit % 100:02d}\n")
        for file in range(8):
            text = "".join(f"line {line * (commit + file) % 1000}\n" for line in range(150))
            stream.append(f"M 644 inline directory{file % 3}/file{file}\ndata {len(text)}\n{text}\n")
    check_exit(run([git, "fast-import", "--quiet"], place, environment, "".join(stream).encode()), 0,
               "git fast-import")
    return environment


def test_git(place):
    git = needed("git")
    repository = place / "repository"
    repository.mkdir()
    environment = make_repository(git, repository)
    for arguments in (["log", "--stat", "-p", "--format=%H %s", "main"], ["fsck", "--full", "--strict"],
                      ["rev-list", "--objects", "--all"], ["grep", "-c", "line 99", "main"]):
        for old in place.glob("*.mtap"):
            old.unlink()
        if arguments[0] == "fsck":
            done = run_command(place / "fsck.mtap", [git, "-C", repository, *arguments], place,
                               environment=environment)
            check_exit(done, 0, "git fsck")
            continue
        check_everywhere(place, [git, "-C", repository, *arguments], environment=environment)


# ---- servers: on a free port of 127.0.0.1, ended by their own process id ---------------------------

def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port, server):
    for _ in range(300):
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"the server does not answer; exit {server.poll()}: {server.stderr.read()}")


@contextlib.contextmanager
def server_under(backend, arguments, place, port, recording):
    """A server under `malloctap run`; on leaving it must end well within a while."""
    server = subprocess.Popen(
        [str(MALLOCTAP), "run", "-q", "-b", backend, "-o", str(recording), "--", *arguments],
        cwd=place, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE)
    try:
        wait_for_port(port, server)
        yield server
        check_equal(server.wait(30), 0, f"{arguments[0]} under {backend}: exit status")
    finally:
        if server.poll() is None:
            with contextlib.suppress(Exception):
                os.kill(view("summary", recording)["pid"], 9)
            server.kill()
        server.wait()
        server.stderr.close()


def redis_server(place):
    """Debian's redis-tools has the server under another name, and no service that would start."""
    with contextlib.suppress(Skip):
        return needed("redis-server")
    link = place / "redis-server"
    if not link.exists():
        link.symlink_to(needed("redis-check-rdb"))
    return str(link)


def backends_beneath(place, server):
    """Where a program calls jemalloc by names of its own, as redis of some distributions does, no
    other can be put beneath it, and `run` says so."""
    bound = b"\0mallocx\0" in pathlib.Path(server).resolve().read_bytes()
    possible = {"own", "jemalloc"} if bound else set(backends())
    for backend in set(backends()) - possible:
        refused = run_command(place / "x.mtap", [server, "--version"], place, ["-b", backend])
        check_exit(refused, 2, f"redis under {backend}")
        check_one_line(refused.stderr, f"redis under {backend}")
    return [backend for backend in backends() if backend in possible]


def test_redis(place):
    benchmark, client, server = needed("redis-benchmark"), needed("redis-cli"), redis_server(place)
    for backend in backends_beneath(place, server):
        port, recording = free_port(), place / f"{backend}.mtap"
        arguments = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                     "--appendonly", "no"]
        with server_under(backend, arguments, place, port, recording):
            load = run([benchmark, "-p", port, "-q", "-P", 8, "-n", 8000, "-r", 2000, "-d", 200, "-t",
                        "set,get,lpush,lpop,sadd,hset,zadd,mset"], place)
            check_exit(load, 0, f"redis-benchmark under {backend}")
            run([client, "-p", port, "set", "key", "x" * 5000], place)
            got = run([client, "-p", port, "get", "key"], place)
            check_equal(got.stdout, b"x" * 5000 + b"\n", f"a value from redis under {backend}")
            run([client, "-p", port, "bgsave"], place)  # a fork while serving
            run([client, "-p", port, "shutdown", "nosave"], place)
        check_readable(recording, f"redis under {backend}")


def test_nginx(place):
    nginx = needed("nginx")
    (place / "page.html").write_text("a page\n" * 500)
    for backend in backends():
        port, recording = free_port(), place / f"{backend}.mtap"
        configuration = place / "nginx.conf"
        configuration.write_text(
            f"daemon off; worker_processes 2; pid {place}/nginx.pid; error_log {place}/error.log;\n"
            "events { worker_connections 64; }\n"
            f"http {{ access_log off; client_body_temp_path {place}/b; proxy_temp_path {place}/p;\n"
            f"fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\n"
            f"server {{ listen 127.0.0.1:{port}; root {place}; }} }}\n")
        place.chmod(0o755)
        arguments = [nginx, "-e", str(place / "error.log"), "-c", str(configuration)]
        with server_under(backend, arguments, place, port, recording):
            for _ in range(50):
                with socket.create_connection(("127.0.0.1", port), 5) as connection:
                    connection.sendall(b"GET /page.html HTTP/1.0\r\n\r\n")
                    answer = b"".join(iter(lambda: connection.recv(65536), b""))
                check(answer.endswith(b"a page\n" * 500), f"nginx under {backend}: {answer[:200]!r}")
            os.kill(int((place / "nginx.pid").read_text()), 15)
        check_readable(recording, f"nginx under {backend}")
        workers = [path for path in place.glob(f"{backend}.*.mtap")]
        check(workers, f"no recording of nginx's workers under {backend}")

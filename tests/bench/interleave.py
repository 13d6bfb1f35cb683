# SPDX-License-Identifier: MIT
"""What the benchmarks share: variants take turns, ratios are taken within a round."""
import math
import os
import statistics
import subprocess
import time

TEMPORARY_RECORDING = "bench.mtap"


def variants(bare_shim, library, directory, modes=("count", "sample")):
    """Environments that are added for each variant; a tapped one leaves a recording."""
    recording = os.path.join(directory, TEMPORARY_RECORDING)
    tapped = {mode: {"LD_PRELOAD": library, "MALLOCTAP": f"mode={mode},out={recording}"}
              for mode in modes}
    return {"plain": {}, "bare shim": {"LD_PRELOAD": bare_shim}, **tapped}


def check_recording(variant, directory):
    """A tapped run counts only if the tap was there; its recording makes room for the next."""
    if variant not in ("count", "sample", "log"):
        return
    path = os.path.join(directory, TEMPORARY_RECORDING)
    if not os.path.exists(path):
        raise RuntimeError(f"{variant}: the tap left no recording")
    os.unlink(path)


def timed(arguments, environment, stdin=None, cwd=None):
    """Wall and CPU seconds of a program, waited for in the kernel."""
    start = time.monotonic()
    process = subprocess.Popen(arguments, env={**os.environ, **environment}, stdin=stdin, cwd=cwd,
                               stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{arguments}: exit {process.returncode}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime}


def interleaved(names, rounds, measure):
    """Results of measure(name) by name, a list each; the order rotates from round to round."""
    results = {name: [] for name in names}
    for turn in range(rounds):
        for i in range(len(names)):
            name = names[(turn + i) % len(names)]
            results[name].append(measure(name))
    return results


def median_ratio(values, base):
    """Median of the ratios within rounds, and the ranks between which it lies with 95 %."""
    ratios = sorted(a / b for a, b in zip(values, base))
    low = max(0, math.floor((len(ratios) - 1.96 * math.sqrt(len(ratios))) / 2))
    return statistics.median(ratios), ratios[low], ratios[-1 - low]

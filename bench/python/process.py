"""Runs a command several times: a line of JSON with the median of its seconds and the largest of its resident memory in MB.

    process.py RUNS COMMAND [ARGUMENT ...]
"""

import json
import resource
import subprocess
import sys
import time


def main(runs, *command):
    times = []
    for _ in range(int(runs)):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    rss = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    print(json.dumps({"seconds": sorted(times)[len(times) // 2], "rss_mb": rss}))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The functions that take the most time in one scenario: `python bench/hotspots.py chat1k`. The profiler doubles the
cost of small functions, so read the order and the number of calls here, and the cost in the results of `run`.
"""

import argparse
import pstats
import sys
import tempfile
from dataclasses import asdict

from load import Job
from program import ProgramError
from scenarios import BY_NAME, TIMED
from testbed import GATEWAY, Testbed, free_port, raise_open_file_limit


def main() -> int:
    """Run the gateway under load and cProfile, stop it, and print its top functions by their own time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=sorted(BY_NAME))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--streams", type=int, default=500, help="profiled, a core relays fewer than run.py's 1,000")
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--sort", default="tottime", choices=["tottime", "cumtime", "ncalls"])
    parser.add_argument("--command", default=GATEWAY, help="what to profile, as for --target of run.py")
    options = parser.parse_args()
    raise_open_file_limit()
    with tempfile.NamedTemporaryFile(suffix=".pstats") as profile, Testbed() as testbed:
        command = options.command.replace("{python}", f"{{python}} -m cProfile -o {profile.name}", 1)
        port = free_port()
        try:
            with testbed.proxy("profiled", command, port) as proxy:
                proxy.first_200(port, "/v1/models")
                timed = options.scenario == TIMED.name
                connections = options.streams if timed else options.connections
                job = Job(options.scenario, port, proxy.pid, connections, 0.0, options.seconds)
                result = testbed.load.ask(asdict(job))
            statistics = pstats.Stats(profile.name)
        except (ProgramError, EOFError) as error:
            print(error or "the program wrote no profile: it must end by itself on SIGTERM", file=sys.stderr)
            return 1
        print(f"{options.scenario}, profiled: {result}")
        statistics.sort_stats(options.sort).print_stats(options.lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`serve` raises its own limit of open files, which shells set to 1024."""

import resource
import subprocess
import sys

LIMITED = """
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (256, min(hard, 2000)))
from gateway.cli.open_files import raise_limit
raise_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_soft_limit_is_raised_to_the_hard_one():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 2000)
    assert done.stdout == f"({hard}, {hard})\n"

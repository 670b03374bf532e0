"""The benchmark of reloads in short: no request fails or sees two configurations, and each bad file is named."""

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench" / "reload.py"


def test_changes_under_load_fail_nothing():
    options = ["--changes", "20", "--rate", "40", "--streams", "4", "--stream-seconds", "2"]
    done = subprocess.run([sys.executable, BENCH, *options], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 changes" in done.stdout
    for count in ("errors: 0 ", "requests that saw two generations: 0\n", "good ones refused: 0 "):
        assert count in done.stdout

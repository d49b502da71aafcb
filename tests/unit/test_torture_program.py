"""The suites start as a program, where nothing else has prepared the imports of Jina."""

import subprocess
import sys


def test_the_suites_start_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.torture", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "--scale" in done.stdout, done.stderr

"""Runs the `ffmpeg` command of a package, the same on each machine: it makes videos that PyAV's encoders cannot."""

import subprocess

import imageio_ffmpeg


def run_ffmpeg(*arguments: object) -> bytes:
    """Returns: what it wrote to its standard output. Raises: CalledProcessError, which has its messages."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout

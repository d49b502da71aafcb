"""Subtitles that came with the video: `cleaning` drops styles and repeats, `coverage` tells what speech they cover."""

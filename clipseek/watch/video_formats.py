"""The formats that videos come in: one list for the suffixes to look for and for what FFmpeg may open.

Containers hold pictures or sound themselves. Playlists (hls, dash, concat), devices, text and still images are left
out: they make FFmpeg read other files or addresses.
"""

# FFmpeg's name of a container -> suffixes of the videos in it.
_CONTAINERS = {
    "mov,mp4,m4a,3gp,3g2,mj2": ".mp4 .m4v .mov .qt .3gp .3g2 .f4v",
    "matroska,webm": ".mkv .webm",
    "avi": ".avi .divx",
    "mpegts": ".ts .m2ts .mts .m2t",
    "mpeg": ".mpg .mpeg .vob",
    "flv": ".flv",
    "asf": ".wmv .asf",
    "ogg": ".ogv .ogm",
    "mxf": ".mxf",
    "rm": ".rm .rmvb",
    "nut": ".nut",
    "ivf": ".ivf",
    "dv": ".dv",
    "gxf": ".gxf",
    "wtv": ".wtv",
    "nsv": ".nsv",
    "nuv": ".nuv",
    "gif": ".gif",
    "yuv4mpegpipe": ".y4m",
}
# Pictures without a container, and so without times. FFmpeg takes much for one of these: they are tried only if the
# suffix says so.
_RAW_STREAMS = {
    "h264": ".h264 .264 .avc",
    "hevc": ".hevc .h265 .265",
    "mpegvideo": ".m2v .m1v",
    "mjpeg": ".mjpeg .mjpg",
}
_SOUND = "mp3,aac,flac,wav,aiff"  # for a better error message

CONTAINERS = ",".join([*_CONTAINERS, _SOUND])
RAW_STREAMS = frozenset(_RAW_STREAMS)
RAW_SUFFIXES = {suffix: name for name, suffixes in _RAW_STREAMS.items() for suffix in suffixes.split()}
# A file that is named itself is tried with any suffix.
VIDEO_SUFFIXES = frozenset(" ".join([*_CONTAINERS.values(), *RAW_SUFFIXES]).split())

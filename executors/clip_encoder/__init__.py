"""Models, and the two executors that run them: pictures and texts become vectors of one space.

Rooms, from the bottom: `model/` finds a model; `run/` runs it, `relevance/` reads its scores; `starter/` and `int8/`
make models; `image/` and `text/` are the executors, and nothing but their `executor.py` imports jina or docarray.
"""

from executors.clip_encoder.run.quirks import hide_openvino_telemetry, import_open_clip

# Before anything else imports them:
hide_openvino_telemetry()
import_open_clip()

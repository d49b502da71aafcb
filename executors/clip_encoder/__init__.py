"""Models, and the two executors that run them: pictures and texts become vectors of one space.

Rooms, from the bottom: `model/` finds a model; `pytorch/` is all that needs torch; `run/` runs a model, `relevance/`
reads its scores; `starter/` and `int8/` make models; `image/` and `text/` are the executors, and nothing but their
`executor.py` imports jina or docarray.
"""

from executors.clip_encoder.model.quirks import hide_openvino_telemetry

hide_openvino_telemetry()  # before anything imports OpenVINO

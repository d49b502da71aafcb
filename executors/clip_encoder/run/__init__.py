"""Runs a model: pictures and texts become vectors. Start at `towers` (one half each) and `encoder` (settings to tower).
`loaded_models` has those that libraries use.

`device` chooses CPU or GPU and the engine; `openvino_model` and `saved_half` are OpenVINO. `preprocessing`
fits pictures, `still_pictures` skips repeated ones, `languages` warns about texts.
"""

"""Runs a model: pictures and texts become vectors. Start at `towers` (one half each) and `encoder` (settings to tower).

`device` chooses CPU or GPU and the engine, `openvino_model` is that engine; `preprocessing` and `tokenizer` feed it.
`still_pictures` skips repeated pictures, `quirks` patches what we import.
"""

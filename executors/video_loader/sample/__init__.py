"""Sampling frames for the model: `sampler` has the rule and reads spans, `frame_picker` decides which frames to take.

`span_reader` reads consecutive spans in one pass, and `shots` finds the cuts between shots.
"""

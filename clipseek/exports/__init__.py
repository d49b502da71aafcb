"""Moments as files that other programs read: editors, players and spreadsheets.

`moments.py` says what to export, `sources.py` what is known of each video, `media_paths.py` where its file lies for the
reader. `edit_list.py` turns seconds into frames, as clips do. Each writer takes an edit list: `otio.py`, `edl.py` (CMX
3600), `fcp7.py` (Premiere), `fcpxml.py` (Final Cut, Resolve), `tables.py` (CSV, JSON, SRT). `formats.py` lists them.

Only `otio.py` writes with OpenTimelineIO. Its adapters for other formats are not right yet: that for FCPXML fails at
29.97, that for Final Cut Pro 7 leaves sound empty, that for EDL has none, and moves timecodes where rates differ.
"""

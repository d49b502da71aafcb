"""The executor that turns a span's subtitles, sound and stills into timed lines of words.

`speech/` recognises what is said, `screen/` reads what is written in the picture, `subtitles/` cleans what somebody
wrote. `reading` does all three in a process that ends when it is idle; nothing but `executor.py` imports jina.
"""

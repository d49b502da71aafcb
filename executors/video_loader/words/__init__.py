"""What holds the words of a span: subtitle lines, sound for recognising speech, and stills on which text can be read.

`span_words` gathers all three; `tracks` and `files` read subtitles, `captions` those inside of the pictures, `speech`
the sound; `text_map` tells where text may have changed, and `stills` takes a picture there.
"""

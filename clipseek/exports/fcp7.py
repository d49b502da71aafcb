"""Final Cut Pro 7 XML (xmeml 4): what Premiere Pro imports, and Resolve, too.

Frames of a source count from its first picture, at the source's rate; places in the sequence at the sequence's.
"""

from fractions import Fraction

from clipseek.api.formats import one_line
from clipseek.exports.edit_list import Edit, EditList
from clipseek.exports.media_paths import file_url
from clipseek.exports.sources import Source
from clipseek.exports.xml_text import Element, document, element, texts
from clipseek.timecode import Timecode

_CHANNELS = (1, 2)  # of sound: each is a track of its own
_NTSC = 1001  # the denominator of 29.97 and its relatives


def write_fcp7(edits: EditList) -> str:
    """A sequence with a track of pictures and two of sound, whose clips are linked."""
    known: set[str] = set()
    pictures = element("track", *(_clip(edits, number, 0, known) for number in range(len(edits.edits))))
    sounding = [number for number, edit in enumerate(edits.edits) if edit.source.has_audio]
    sounds = [element("track", *(_clip(edits, n, channel, known) for n in sounding)) for channel in _CHANNELS]
    first = edits.edits[0].source
    video = element("video", element("format", _picture_format(first, edits.rate)), pictures)
    audio = element("audio", *texts({"numOutputChannels": len(_CHANNELS)}), _sound_format(), *sounds)
    sequence = element(
        "sequence",
        *texts({"name": edits.title, "duration": edits.length}),
        _rate(edits.rate),
        _timecode(edits.zero),
        element("media", video, *[audio] * bool(sounding)),
        id="sequence-1",
    )
    return document(element("xmeml", sequence, version="4"), "xmeml")


def _clip(edits: EditList, number: int, channel: int, known: set[str]) -> Element:
    """A clip on the track of pictures (channel 0) or of a sound. The first one that names a file describes it."""
    edit, rate = edits.edits[number], edits.edits[number].source.rate
    kind = "audio" if channel else "video"
    return element(
        "clipitem",
        *texts({"name": edit.source.title, "enabled": "TRUE", "duration": edit.source.frames or edit.end}),
        _rate(rate),
        *texts({"start": edit.at, "end": edit.at + edit.length, "in": edit.start, "out": edit.end}),
        _file(edits, edit, known),
        element("sourcetrack", *texts({"mediatype": kind, "trackindex": channel or 1})),
        *_links(edits, number),
        *_comments(edit),
        id=_clip_id(number, channel),
    )


def _clip_id(number: int, channel: int) -> str:
    return f"clipitem-{number + 1}-{f'audio-{channel}' if channel else 'video'}"


def _file(edits: EditList, edit: Edit, known: set[str]) -> Element:
    source = edit.source
    id_ = f"file-{edits.sources.index(source) + 1}"
    if id_ in known:
        return element("file", id=id_)
    known.add(id_)
    sound = element("audio", _sound_samples(), *texts({"channelcount": len(_CHANNELS)}))
    return element(
        "file",
        *texts({"name": source.path.name, "pathurl": file_url(source.path, "localhost")}),
        _rate(source.rate),
        *texts({"duration": source.frames or edit.end}),
        _timecode(source.first),
        element("media", element("video", _picture_format(source, source.rate)), *[sound] * source.has_audio),
        id=id_,
    )


def _links(edits: EditList, number: int) -> list[Element]:
    """What moves together: the pictures and both sounds."""
    if not edits.edits[number].source.has_audio:
        return []
    before = sum(edit.source.has_audio for edit in edits.edits[:number])
    places = [(0, "video", 1, number + 1), *((channel, "audio", channel, before + 1) for channel in _CHANNELS)]
    return [
        element(
            "link",
            *texts({"linkclipref": _clip_id(number, channel), "mediatype": kind}),
            *texts({"trackindex": track, "clipindex": index}),
        )
        for channel, kind, track, index in places
    ]


def _comments(edit: Edit) -> list[Element]:
    facts = edit.moment.facts
    return [element("comments", *texts({"mastercomment1": one_line(" | ".join(facts))}))] if facts else []


def _rate(rate: Fraction) -> Element:
    """29.97 is the time base 30 with the sign that it is NTSC."""
    return element("rate", *texts({"timebase": round(rate), "ntsc": "TRUE" if rate.denominator == _NTSC else "FALSE"}))


def _timecode(timecode: Timecode) -> Element:
    form = "DF" if timecode.drops else "NDF"
    values = {"string": timecode, "frame": timecode.frame, "displayformat": form}
    return element("timecode", _rate(timecode.rate), *texts(values))


def _picture_format(source: Source, rate: Fraction) -> Element:
    size = {"width": source.width, "height": source.height, "pixelaspectratio": "square"}
    return element("samplecharacteristics", _rate(rate), *texts(size if source.width else {}))


def _sound_format() -> Element:
    return element("format", _sound_samples())


def _sound_samples() -> Element:
    return element("samplecharacteristics", *texts({"depth": 16, "samplerate": 48000}))

"""FCPXML 1.8: what Final Cut Pro imports, and Resolve.

Every time is a fraction of seconds, a whole number of frames. Times in a source count from its timecode's zero.
"""

from fractions import Fraction

from clipseek.api.formats import one_line
from clipseek.exports.edit_list import Edit, EditList
from clipseek.exports.media_paths import file_url
from clipseek.exports.sources import Source
from clipseek.exports.xml_text import Element, document, element, texts
from clipseek.timecode import Timecode

# The rates that a source may state, as the format writes them.
_STATED_RATES = ("23.98", "24", "25", "29.97", "30", "47.95", "48", "50", "59.94", "60", "90", "100", "119.88", "120")


def write_fcpxml(edits: EditList) -> str:
    """A project with one storyline; each clip has its pictures and its sound."""
    formats: dict[tuple[Fraction, int, int], Element] = {}
    first = edits.edits[0].source
    own = _format(formats, edits.rate, first)
    assets = [
        _asset(number, source, _format(formats, source.rate, source)) for number, source in enumerate(edits.sources)
    ]
    spine = element("spine", *(_clip(edit, edits, formats) for edit in edits.edits))
    sequence = element(
        "sequence",
        spine,
        format=own,
        duration=_time(edits.length, edits.rate),
        tcStart="0s",
        tcFormat=_form(edits.zero),
        audioLayout="stereo",
        audioRate="48k",
    )
    name = one_line(edits.title)
    event = element("event", element("project", sequence, name=name), name=name)
    resources = element("resources", *formats.values(), *assets)
    return document(element("fcpxml", resources, element("library", event), version="1.8"), "fcpxml")


def _format(formats: dict[tuple[Fraction, int, int], Element], rate: Fraction, source: Source) -> str:
    """The id of a format of this rate and the source's size; a new one is added."""
    key = (rate, source.width, source.height)
    if key not in formats:
        size = {"width": str(source.width), "height": str(source.height)} if source.width else {}
        formats[key] = element("format", id=f"r{len(formats) + 1}", frameDuration=_frame(rate), **size)
    return formats[key].attrib["id"]


def _asset(number: int, source: Source, format_: str) -> Element:
    sound = {"hasAudio": "1", "audioSources": "1", "audioChannels": "2", "audioRate": "48000"}
    return element(
        "asset",
        id=_asset_id(number),
        name=one_line(source.title),
        src=file_url(source.path),
        start=_time(source.first.frame, source.rate),
        duration=_time(source.frames, source.rate),
        hasVideo="1",
        format=format_,
        **(sound if source.has_audio else {}),
    )


def _asset_id(number: int) -> str:
    return f"a{number + 1}"


def _clip(edit: Edit, edits: EditList, formats: dict[tuple[Fraction, int, int], Element]) -> Element:
    source = edit.source
    made = element(
        "asset-clip",
        *texts({"note": " | ".join(edit.moment.facts)} if edit.moment.facts else {}),
        *_conforming(source, edits.rate),
        ref=_asset_id(edits.sources.index(source)),
        name=one_line(source.title),
        offset=_time(edit.at, edits.rate),
        start=_time(edit.source_in.frame, source.rate),
        duration=_time(edit.length, edits.rate),
        format=_format(formats, source.rate, source),
        tcFormat=_form(source.first),
    )
    if source.has_audio:
        made.set("audioRole", "dialogue")
    return made


def _conforming(source: Source, rate: Fraction) -> list[Element]:
    """That a source of another rate keeps its speed."""
    stated = f"{round(float(source.rate), 2):g}"
    if source.rate == rate or stated not in _STATED_RATES:
        return []
    return [element("conform-rate", scaleEnabled="0", srcFrameRate=stated)]


def _form(timecode: Timecode) -> str:
    return "DF" if timecode.drops else "NDF"


def _frame(rate: Fraction) -> str:
    return f"{rate.denominator}/{rate.numerator}s"


def _time(frames: int, rate: Fraction) -> str:
    """The seconds of so many frames, with the rate's own denominator: readers count frames by it."""
    return f"{frames * rate.denominator}/{rate.numerator}s" if frames else "0s"

"""The formats of an export: the suffix of each, and what writes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from clipseek.exports.edit_list import EditList
from clipseek.exports.edl import write_edl
from clipseek.exports.fcp7 import write_fcp7
from clipseek.exports.fcpxml import write_fcpxml
from clipseek.exports.otio import write_otio
from clipseek.exports.tables import write_csv, write_json, write_srt


@dataclass(frozen=True)
class ExportFormat:
    """A kind of file. `write` raises InvalidRequest where the package for it is not installed."""

    suffix: str
    media_type: str
    write: Callable[[EditList], str]
    for_editors: bool = True  # it names the files of its sources


EXPORT_FORMATS: Mapping[str, ExportFormat] = MappingProxyType(
    {
        "otio": ExportFormat(".otio", "application/json", write_otio),
        "edl": ExportFormat(".edl", "text/plain", write_edl),
        "fcp7": ExportFormat(".xml", "application/xml", write_fcp7),
        "fcpxml": ExportFormat(".fcpxml", "application/xml", write_fcpxml),
        "csv": ExportFormat(".csv", "text/csv", write_csv, for_editors=False),
        "json": ExportFormat(".json", "application/json", write_json, for_editors=False),
        "srt": ExportFormat(".srt", "text/plain", write_srt, for_editors=False),
    }
)

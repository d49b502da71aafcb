"""What decodes videos: FFmpeg's own code, or a chip of this machine.

Hardware gives frames in another layout (NV12, P010), which PyAV copies into system memory. Sizes, times, colours and
orientation stay the same, because the same parser reads the video either way.
"""

import logging

import av
import av.logging
from av.codec import Codec
from av.codec.hwaccel import HWAccel, HWConfig, hwdevices_available
from av.video.codeccontext import VideoCodecContext

from clipseek.api.errors import InvalidSetting
from clipseek.config.settings import AUTO, SOFTWARE, variable_of

logger = logging.getLogger(__name__)

_USUAL_CODEC = "h264"  # hardware that cannot decode this one is of no use


def list_hardware() -> list[str]:
    """Kinds of hardware that FFmpeg was built to decode with, whether this machine has them or not."""
    usable = {config.device_type.name for config in _configs(Codec(_USUAL_CODEC, "r"))}
    return [name for name in hwdevices_available() if name in usable]


def choose_decoder(setting: str) -> str:
    """Resolve CLIPSEEK_DECODER: `software`, a kind of hardware, or `auto`: the first that opens, else `software`.

    Raises: InvalidSetting: FFmpeg has no hardware of this name, or it cannot be opened.
    """
    if setting == SOFTWARE:
        return SOFTWARE
    variable, kinds = variable_of("decoder"), list_hardware()
    if setting not in (AUTO, *kinds):
        raise InvalidSetting(
            f"{variable} is '{setting}', but must be {SOFTWARE}, {AUTO}, or hardware that FFmpeg offers here: "
            f"{', '.join(kinds) or 'none'}"
        )
    problems = {}
    for kind in kinds if setting == AUTO else [setting]:
        problem = find_problem(kind)
        if problem is None:
            return kind
        problems[kind] = problem
    reasons = "; ".join(f"{kind}: {problem}" for kind, problem in problems.items()) or "FFmpeg offers none"
    if setting == AUTO:
        logger.warning("videos are decoded in software: no hardware can be opened (%s)", reasons)
        return SOFTWARE
    raise InvalidSetting(
        f"{variable} is '{setting}', but it cannot be opened ({reasons}). Check the driver, or set {variable} to "
        f"{AUTO}, which then uses {SOFTWARE}. FFmpeg offers here: {', '.join(kinds)}"
    )


def find_problem(kind: str) -> str | None:
    """Why hardware of this kind cannot be opened; None if it can."""
    level = av.logging.get_level()
    with av.logging.Capture() as messages:
        av.logging.set_level(av.logging.ERROR)  # the first message is the cause: "Cannot load libcuda.so.1"
        try:
            HWAccel(kind).create(Codec(_USUAL_CODEC, "r"))
        except (av.FFmpegError, NotImplementedError) as error:
            return messages[0][2].strip() if messages else str(error)
        finally:
            av.logging.set_level(level)
    return None


def make_accelerator(decoder: str) -> HWAccel | None:
    """The `hwaccel` argument of `av.open` for this decoder; None for software."""
    if decoder == SOFTWARE:
        return None
    # With one CUDA context for the process, videos open twice as fast.
    options: dict[str, object] = {"primary_ctx": "1"} if decoder == "cuda" else {}
    return HWAccel(decoder, allow_software_fallback=True, options=options)


def is_decoded_in_hardware(context: VideoCodecContext, kind: str) -> bool:
    """Whether the hardware decoded the decoder's last frame. It may not support the video's profile or size."""
    formats = {c.format.name for c in _configs(context.codec) if c.device_type.name == kind and c.format}
    return context.pix_fmt in formats


def _configs(codec: Codec) -> list[HWConfig]:
    return [config for config in codec.hardware_configs if config.is_supported]

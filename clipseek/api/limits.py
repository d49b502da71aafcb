"""Limits that client, server and command line share. What an operator can change is in `clipseek.config.limits`."""

# Ways to sample a video: equally often everywhere; more often where it moves; only keyframes, which is fastest.
EVEN, ADAPTIVE, KEYFRAMES = "even", "adaptive", "keyframes"
SAMPLINGS = (EVEN, ADAPTIVE, KEYFRAMES)
MIN_RATE, MAX_RATE = 0.01, 120.0  # frames looked at per second of video
MAX_TOP_K = 1000
MAX_TITLE_LENGTH = 1000  # characters: titles may be this long because no file is named after one
MAX_IMAGE_BYTES = 32 * 1024 * 1024  # of an image to search with: enough for any photograph of a phone or camera

# The states of a job. The last three are its end.
WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
UNFINISHED = (WAITING, RUNNING)
INDEX = "index"  # the kind of job that indexes the missing spans of a video
WORDS = "words"  # the kind that reads the words of a video: what is said, subtitled and written in it
JOB_KINDS = (INDEX, WORDS)  # that callers file
CORRECT_TIMES = "times"  # the kind that gives videos of earlier versions the times of players; the service files it
CHANGE_MODEL = "model"  # the kind that embeds a library with another model
ANSWERS, CHANGING, KEPT, AVAILABLE = "answers", "changing", "kept", "available"  # the states of a library's model
MAX_UNFINISHED_JOBS = 10_000  # of one caller

# Where words come from, and what each is to a viewer: the reason of a match.
SUBTITLE, SPEECH, SCREEN = "subtitle", "speech", "screen"
WORD_SOURCES = (SUBTITLE, SPEECH, SCREEN)
SEEN, HEARD, WRITTEN = "seen", "heard", "written"
REASONS = (SEEN, HEARD, WRITTEN)
REASON_OF = {SUBTITLE: HEARD, SPEECH: HEARD, SCREEN: WRITTEN}
WORD_SPAN_SECONDS = 120.0  # the unit of work on words: long enough to tell a language, short enough to repeat
# How much more sound goes with a span, before and after it: no sentence is cut, and each belongs to one span.
SOUND_BEFORE_SECONDS, SOUND_AFTER_SECONDS = 10.0, 15.0
SPEECH_RATE = 16_000  # samples of that sound a second
MAX_CUE_CHARACTERS = 2000
MAX_SUBTITLE_BYTES = 20_000_000  # of one file: the subtitles of a long video have 200 kB
MAX_SUBTITLE_FILES = 16  # of one video
SUBTITLE_SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")

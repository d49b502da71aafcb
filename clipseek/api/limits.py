"""The bounds that client, server and command line share. What an operator may change is in `clipseek.config.settings`."""

# Ways to sample a film: as often everywhere; more often where it moves; only what decodes by itself, which is fastest.
EVEN, ADAPTIVE, KEYFRAMES = "even", "adaptive", "keyframes"
SAMPLINGS = (EVEN, ADAPTIVE, KEYFRAMES)
MIN_RATE, MAX_RATE = 0.01, 120.0  # frames looked at per second of film
MAX_TOP_K = 1000
MAX_TITLE_LENGTH = 1000  # characters: no file is named after a title, so it is kept whole
MAX_IMAGE_BYTES = 32 * 1024 * 1024  # of an image to search with: any photograph of a phone or a camera

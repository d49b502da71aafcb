"""What needs torch. Nothing else may import it at the top of a module: most services run without.

`weights` loads a half of a model, `half` runs or converts it, `tokenizer` reads texts for open_clip's text halves.
"""

from executors.clip_encoder.model.quirks import import_open_clip

import_open_clip()  # before any module of this room imports it

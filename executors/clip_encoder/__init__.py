"""One model registry and the two executors that use it: pictures and texts become vectors of one space.

`registry.resolve` turns what CLIPSEEK_MODEL says into a `ModelSpec`; `towers` loads one half of that model. Nothing in
the modules of this folder imports jina or docarray; the executors in `image/` and `text/` do.
"""

from executors.clip_encoder.run.quirks import import_open_clip

import_open_clip()

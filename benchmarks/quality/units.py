"""What scores look like with one kind of model: where its cosines lie and how they move.

`starter`: the starter model's cosines with the labelled videos. Its background lies near 0, moments that it recognises
stand out clearly, and frames are noisy.

`clip`: what is reported about ViT-B/32's cosines of pictures and captions. Unrelated pairs lie around 0.20, fitting
ones from 0.26 to 0.30, frames of one shot differ by 0.015 to 0.02: a high background, little contrast, and less noise
relative to the contrast. Its weights were not available when this was written, so nothing here is measured with it. A
threshold that is a share of the best score behaves differently on such a background. So both kinds are reported.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Units:
    """How score curves of one kind of model are drawn, and how VCED's rule reads them.

    Attributes:
        base: the median background; `base_spread` is the sigma of its logarithm from query to query.
        contrast: how far a moment stands above it, in the median.
        noise: the range of the frames' noise, its sigma in units of the contrast.
        unknown: the frames' cosine with the word "unknown".
        logit_scale: what VCED multiplies cosines by before its softmax.
    """

    name: str
    base: float
    base_spread: float
    contrast: float
    noise: tuple[float, float]
    unknown: float
    logit_scale: float


# "unknown" has a mean cosine of 0.01 with the frames of the labelled videos. The starter has no logit scale of its own;
# with 40 its contrast is as many logits as CLIP's: 0.2 * 40 = 0.08 * 100.
STARTER = Units("starter", 0.05, 0.15, 0.2, (0.15, 0.5), 0.01, 40.0)
# Noise of 0.015 to 0.02 at a contrast of 0.08. A word that describes no particular picture counts as an unrelated
# caption. 100 is the scale that all of OpenAI's CLIP models were trained to.
CLIP = Units("clip", 0.20, 0.05, 0.08, (0.19, 0.25), 0.20, 100.0)
# What the curves of `real_curves.py` have, whose noise is not drawn: the medians outside and inside of the moments.
MOMENT_DETR = Units("moment-detr", -0.499, 0.0, 0.876, (0.0, 0.0), -0.499, 8.0 / 0.876)  # as many logits as the others

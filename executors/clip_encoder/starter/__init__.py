"""The model that needs no download. `starter` builds it from two packages: an image classifier and a sentence encoder.

Texts join them: names and definitions of ImageNet's classes, and the nouns above them, which are in
`imagenet_hypernyms.tsv`.
"""

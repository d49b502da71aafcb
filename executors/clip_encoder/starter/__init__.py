"""The model that needs no download. `starter` builds it from two packages: an image classifier and a sentence encoder.

`class_names` lists the texts that join them: names and definitions of ImageNet's classes, and the nouns above them.
Those nouns are in `imagenet_hypernyms.tsv`.
"""

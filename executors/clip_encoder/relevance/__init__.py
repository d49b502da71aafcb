"""How to read a text's cosines. `score_scales` gives every text the cosines of relevance 0 and 1.

`neutral_phrases` are descriptions of ordinary pictures, which calibration compares with; `empty_texts` mean nothing.
`spelling` finds words that are probably misspelt.
"""

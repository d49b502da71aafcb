"""What VCED's packages put on the wire: recorded from jina 3.4.2 with docarray 0.19.1."""

# Document(uri="/data/dog.mp4", id="u1dog.mp4") to /index
INDEX = bytes.fromhex(
    "0a0c0a0272311a062f696e64657822290a270a250a097531646f672e6d70344a0d2f646174612f646f672e6d70345a09766964656f2f6d7034"
)
# Document(id="q1", text="a dog") to /search, with the parameters uid="u1" and maxCount=3
SEARCH = bytes.fromhex(
    "0a0d0a0272311a072f73656172636812240a0b0a0375696412041a0275310a150a086d6178436f756e741209110000000000000840220f0a0d"
    "0a0b0a02713122056120646f67"
)
# that document with a match: Document(id="m1", tags={"leftIndex": 2, "rightIndex": 5, "uri": "/data/dog.mp4"})
ANSWER = bytes.fromhex(
    "0a0d0a0272311a072f73656172636822630a610a5f0a02713122056120646f677a520a026d3130018a01490a160a096c656674496e64657812"
    "091100000000000000400a170a0a7269676874496e64657812091100000000000014400a160a03757269120f1a0d2f646174612f646f672e6d7034"
)

"""Files the page keeps.

`caches.py` holds the clips and thumbnails that the server made; `exports.py` makes files of a basket.
`page_folder.py` is the folder that outlives the process, with baskets and images in it.
"""

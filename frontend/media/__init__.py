"""Files the page keeps.

`clips.py` and `thumbnails.py` cache what the server made; `archive.py` and `edit_lists.py` write a basket's exports.
`page_folder.py` is the folder that outlives the process, with `basket_folder.py` and `query_images.py` in it.
"""

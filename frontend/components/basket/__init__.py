"""The basket page.

`clip_list.py` lists the chosen clips in their order.
`export.py` downloads them as files, as one video or as an edit list.
"""

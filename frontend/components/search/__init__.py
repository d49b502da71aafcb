"""The search page.

`search_form.py` reads what to search for, `results.py` asks the server and draws the answer.
`examples.py` offers searches that the library answers. `result_card.py` draws one match; the timeline page uses it too.
"""

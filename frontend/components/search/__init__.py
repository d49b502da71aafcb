"""The search page.

`search_form.py` reads what to search for, `results.py` asks the server and draws the answer.
`result_card.py` draws one match; the timeline page uses it too.
"""

"""The page's decisions as plain functions, free of Streamlit and of input and output.

`search_address.py` is a search and its address, `basket.py` the chosen clips and their edges.
`timeline_chart.py` builds the chart; the others turn errors, titles and the server's state into what the page shows.
"""

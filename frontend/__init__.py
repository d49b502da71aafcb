"""The page: a Streamlit app that talks to the Flow through `clipseek.Client` only. Start it with `clipseek serve --page`."""
